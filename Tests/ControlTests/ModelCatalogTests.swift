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
        catalog.keepOnly([first, second], order: [first, second])
        return catalog
    }

    private func ids(_ list: JSON) -> [String] { (list["data"]?.arrayValue ?? []).compactMap { $0["id"]?.stringValue } }

    @Test("is empty while nobody has told, and says so in OpenAI's form")
    func empty() {
        #expect(catalog().merged(leavingOut: []) == ["object": "list", "data": []])
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
            catalog.merged(leavingOut: [])
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
            models: models(["id": "m"], ["id": "m-2"], ["id": "m-10"], ["id": "gpt-oss:20b"], ["id": "m-2b"], ["id": "-2"]))
        #expect(ids(catalog.merged(leavingOut: [])) == ["-2", "gpt-oss:20b", "m", "m-2b"])
    }

    @Test("an entry that has only Ollama's name gets an id")
    func ollamaName() {
        let catalog = catalog()
        catalog.learned(first, kind: .ollama, models: models(["name": "qwen3:latest"]))
        #expect(catalog.merged(leavingOut: [])["data"]?[0] == ["id": "qwen3:latest", "name": "qwen3:latest", "object": "model"])
    }

    @Test("a server that is left out takes its models and fields along; one that is forgotten, too")
    func leavingOut() {
        let catalog = catalog()
        catalog.learned(first, kind: .llamaServer, models: models(["id": "a"], ["id": "shared", "from": 1]))
        catalog.learned(second, kind: .vllm, models: models(["id": "shared", "from": 2]))
        #expect(ids(catalog.merged(leavingOut: [])) == ["a", "shared"])
        #expect(catalog.merged(leavingOut: [first])["data"]?[0]?["from"] == 2)
        #expect(ids(catalog.merged(leavingOut: [first])) == ["shared"])
        catalog.keepOnly([second], order: [second])
        #expect(ids(catalog.merged(leavingOut: [])) == ["shared"])
        #expect(catalog.kind(of: first) == nil)
        #expect(catalog.kind(of: second) == .vllm)
    }

    @Test("a server that does not tell its models this time keeps those it told before")
    func silence() {
        let catalog = catalog()
        catalog.learned(first, kind: .llamaServer, models: models(["id": "a"]))
        catalog.learned(first, kind: .llamaServer, models: nil)
        #expect(ids(catalog.merged(leavingOut: [])) == ["a"])
        catalog.learned(first, kind: .llamaServer, models: [])
        #expect(ids(catalog.merged(leavingOut: [])) == [])
    }
}
