import Routing
import Testing
import Wire

@testable import Control

@Suite("The merged model list") struct ModelCatalogTests {
    private let first = BackendID(rawValue: 1)
    private let second = BackendID(rawValue: 2)

    private func models(_ entries: JSON...) -> [EngineReports.Model] {
        entries.map { .init(id: $0["id"]?.stringValue ?? $0["name"]?.stringValue ?? "", entry: $0) }
    }

    private func catalog() -> ModelCatalog {
        let catalog = ModelCatalog()
        catalog.keepOnly([server(first), server(second)])
        return catalog
    }

    private func server(_ id: BackendID, hasInstances: Bool = true) -> MonitoredServer {
        .init(id: id, name: "\(id)", engine: .init(host: "127.0.0.1", port: 1), hasInstances: hasInstances)
    }

    private func ids(_ list: JSON) -> [String] { (list["data"]?.arrayValue ?? []).compactMap { $0["id"]?.stringValue } }

    @Test("is empty while nobody has told, and says so in OpenAI's form")
    func empty() {
        #expect(catalog().models(leavingOut: []).openAI == ["object": "list", "data": []])
    }

    @Test("every model once, sorted, with the fields of the first server in order")
    func merged() {
        let catalog = catalog()
        // The second one is heard first; the order of the configuration counts.
        catalog.learned(second, kind: .vllm, models: models(["id": "b", "owned_by": "second"], ["id": "a", "object": "model"]))
        catalog.learned(
            first, kind: .llamaServer,
            models: models(["id": "c", "object": "model"], ["id": "b", "owned_by": "first", "meta": ["n": 1]]))
        #expect(
            catalog.models(leavingOut: []).openAI
                == [
                    "object": "list",
                    "data": [
                        ["id": "a", "object": "model"],
                        ["id": "b", "owned_by": "first", "meta": ["n": 1], "object": "model"],
                        ["id": "c", "object": "model"],
                    ],
                ])
    }

    @Test("numbered instances are hidden")
    func instances() {
        let catalog = catalog()
        catalog.learned(
            first, kind: .llamaServer,
            models: models(["id": "m"], ["id": "m-2"], ["id": "phi-4"], ["id": "gpt-oss:20b"], ["id": "m-2b"], ["id": "-2"]))
        #expect(ids(catalog.models(leavingOut: []).openAI) == ["-2", "gpt-oss:20b", "m", "m-2b", "phi-4"])
    }

    @Test("an entry that has only Ollama's name gets an id")
    func ollamaName() {
        let catalog = catalog()
        catalog.learned(first, kind: .ollama, models: models(["name": "qwen3:latest"]))
        #expect(
            catalog.models(leavingOut: []).openAI["data"]?[0] == [
                "id": "qwen3:latest", "name": "qwen3:latest", "object": "model",
            ])
    }

    @Test("a server that is left out takes its models and fields along; one that is forgotten, too")
    func leavingOut() {
        let catalog = catalog()
        catalog.learned(first, kind: .llamaServer, models: models(["id": "a"], ["id": "shared", "from": 1]))
        catalog.learned(second, kind: .vllm, models: models(["id": "shared", "from": 2]))
        #expect(ids(catalog.models(leavingOut: []).openAI) == ["a", "shared"])
        #expect(catalog.models(leavingOut: [first]).openAI["data"]?[0]?["from"] == 2)
        #expect(ids(catalog.models(leavingOut: [first]).openAI) == ["shared"])
        catalog.keepOnly([server(second)])
        #expect(ids(catalog.models(leavingOut: []).openAI) == ["shared"])
        #expect(catalog.kind(of: first) == nil)
        #expect(catalog.kind(of: second) == .vllm)
    }

    @Test("a server that does not tell its models this time keeps those it told before")
    func silence() {
        let catalog = catalog()
        catalog.learned(first, kind: .llamaServer, models: models(["id": "a"]))
        catalog.learned(first, kind: .llamaServer, models: nil)
        #expect(ids(catalog.models(leavingOut: []).openAI) == ["a"])
        catalog.learned(first, kind: .llamaServer, models: [])
        #expect(ids(catalog.models(leavingOut: []).openAI) == [])
    }

    @Test("with `instances: off`, numbered models are shown")
    func instancesOff() {
        let catalog = catalog()
        catalog.keepOnly([server(first, hasInstances: false)])
        catalog.learned(first, kind: .llamaServer, models: models(["id": "m"], ["id": "m-2"]))
        #expect(ids(catalog.models(leavingOut: []).openAI) == ["m", "m-2"])
    }

    @Test("a model is loaded if it is loaded anywhere, and has the capabilities of all")
    func merging() {
        let catalog = catalog()
        let unloaded = """
            {"models":[{"name":"m","capabilities":["completion"]}],"data":[{"id":"m","status":{"value":"unloaded"},"kept":1}]}
            """
        let loaded = """
            {"models":[{"name":"m","capabilities":["completion","multimodal"]}],
             "data":[{"id":"m","status":{"value":"loaded","args":[]}}]}
            """
        catalog.learned(first, kind: .llamaServer, models: EngineReports.models(Array(unloaded.utf8)))
        catalog.learned(second, kind: .llamaServer, models: EngineReports.models(Array(loaded.utf8)))
        let merged = catalog.models(leavingOut: []).openAI
        #expect(merged["data"]?[0]?["status"] == ["value": "loaded", "args": []])
        #expect(merged["data"]?[0]?["kept"] == 1)
        #expect(merged["models"]?[0]?["capabilities"] == ["completion", "multimodal"])
        #expect(merged["models"]?.arrayValue?.count == 1)
    }

    @Test("the entries of `data` and `models` belong together, and all have a status if one has it")
    func alignment() {
        let catalog = catalog()
        catalog.learned(first, kind: .llamaServer, models: models(["id": "a", "status": ["value": "unloaded"]], ["id": "z"]))
        catalog.learned(second, kind: .ollama, models: EngineReports.models(Array(#"{"models":[{"name":"m"}]}"#.utf8)))
        var merged = catalog.models(leavingOut: [])
        merged.add(names: ["gpt-4o"])
        #expect(ids(merged.openAI) == ["a", "gpt-4o", "m", "z"])
        #expect(merged.openAI["models"]?.arrayValue?.map { $0["name"] } == ["a", "gpt-4o", "m", "z"])
        #expect(merged.openAI["data"]?.arrayValue?.map { $0["status"]?["value"] } == ["unloaded", "loaded", "loaded", "loaded"])
    }

    @Test("`name:latest` and `name` are one model")
    func latest() {
        let catalog = catalog()
        catalog.learned(first, kind: .ollama, models: models(["id": "m:latest"]))
        catalog.learned(second, kind: .llamaServer, models: models(["id": "m"], ["id": "n"]))
        #expect(ids(catalog.models(leavingOut: []).openAI) == ["m:latest", "n"])
    }

    @Test("the configuration's own names are listed, unless a model has the name")
    func ownNames() {
        let catalog = catalog()
        catalog.learned(first, kind: .ollama, models: models(["id": "m", "owned_by": "library"]))
        var merged = catalog.models(leavingOut: [])
        merged.add(names: ["gpt-4o", "m"])
        #expect(ids(merged.openAI) == ["gpt-4o", "m"])
        #expect(merged.openAI["data"]?[1]?["owned_by"] == "library")
    }

    @Test("Ollama's lists have the models of every kind of engine, in Ollama's form")
    func ollamaLists() {
        let catalog = catalog()
        let tags = #"{"models":[{"name":"o:1b","model":"o:1b","size":5,"digest":"d"},{"name":"p:1b"}]}"#
        let running = #"{"models":[{"name":"o:1b","size_vram":5}]}"#
        let ollama = EngineReports.ollama(
            models(["id": "o:1b"], ["id": "p:1b"]), tags: Array(tags.utf8), running: Array(running.utf8))
        catalog.learned(first, kind: .ollama, models: ollama)
        catalog.learned(
            second, kind: .llamaServer, models: models(["id": "m", "status": ["value": "loaded"], "meta": ["size": 7]]))
        let merged = catalog.models(leavingOut: [])
        #expect(merged.ollamaTags["models"]?.arrayValue?.map { $0["name"] } == ["m", "o:1b", "p:1b"])
        #expect(merged.ollamaTags["models"]?[0]?["size"] == 7)
        #expect(merged.ollamaTags["models"]?[1]?["digest"] == "d")
        #expect(merged.ollamaTags["models"]?.arrayValue?.allSatisfy { $0["modified_at"] != nil && $0["model"] != nil } == true)
        #expect(merged.ollamaRunning["models"]?.arrayValue?.map { $0["name"] } == ["m", "o:1b"])
        #expect(merged.ollamaRunning["models"]?[1]?["size_vram"] == 5)
    }
}
