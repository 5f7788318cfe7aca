import Proxy
import Routing
import Testing
import Wire

@testable import Control

@Suite("Engines are known by what they answer", .timeLimit(.minutes(2))) struct EngineKindTests {
    @Test("their kind, their models, and which of these are in memory", arguments: EngineFixture.all)
    func kinds(engine: EngineFixture) async throws {
        try await withDocuments(engine.documents) { server, fleet in
            try await fleet.server("A", is: "a \(engine.name)") { found in
                found.isUp && found.models.map(Set.init) == Set(engine.residencies.keys).subtracting(engine.unavailable)
                    && fleet.monitor.catalog.kind(of: found.id) == engine.kind
            }
            let residencies = { () -> [String: ListedModel.Residency?] in
                let models = fleet.monitor.catalog.models(leavingOut: []).all
                return Dictionary(models.map { ($0.id, $0.listed.residency) }) { first, _ in first }
            }
            try await wait(for: "the states of the models", residencies) { $0 == engine.residencies }
        }
    }

    @Test("whether a stream goes on there without its client", arguments: EngineFixture.all)
    func resumableStreams(engine: EngineFixture) async throws {
        try await withDocuments(engine.documents) { server, fleet in
            try await fleet.server("A", is: "a \(engine.name)") { fleet.monitor.catalog.kind(of: $0.id) == engine.kind }
            try await server.answersMoreProbes()
            #expect(fleet.router.snapshot().servers.map { $0.lastReport?.resumesStreams } == [engine.resumesStreams])
        }
    }

    @Test("one of no known kind is asked for its models and for signs, nothing else", arguments: EngineFixture.all)
    func others(engine: EngineFixture) async throws {
        guard engine.kind == .openai else { return }
        try await withDocuments(engine.documents) { server, fleet in
            try await fleet.server("A", is: "a \(engine.name)") { fleet.monitor.catalog.kind(of: $0.id) == .openai }
            try await server.answersMoreProbes()
            #expect(Set(server.asked) == Set(["/v1/models"] + EngineReports.signs.map(\.path)))
        }
    }

    @Test(
        "and are down when their health check says so, although they list models",
        arguments: [
            ("/health", "vllm"), ("/health", "sglang"), ("/health", "llama-swap"), ("/health", "llamacpp"),
            ("/api/version", "library"),
        ])
    func unhealthy(path: String, owner: String) async throws {
        let list = #"{"data":[{"id":"m","owned_by":"\#(owner)"}]}"#
        try await withDocuments(["/v1/models": .init(body: list), path: .init(body: "{}")]) { server, fleet in
            try await fleet.server("A", is: "up") { $0.isUp && $0.models == ["m"] }
            server.set(path, .init(status: 503))
            try await fleet.server("A", is: "down") { $0.isDown }
            server.set(path, .init())
            try await fleet.server("A", is: "up again") { $0.isUp }
        }
    }

    @Test(
        "a server that lacks the health check of its kind is asked for its models instead, once an interval",
        arguments: [EngineKind.vllm, nil, .llamaServer], [401, 404, 429])
    func withoutHealthCheck(kind: EngineKind?, status: Int) async throws {
        guard kind != .llamaServer || status == 404 else { return }
        let list = DocumentServer.Document(
            body: #"{"data":[{"id":"m","owned_by":"\#(kind == .llamaServer ? "llamacpp" : "vllm")"}]}"#)
        try await withDocuments(["/v1/models": list, "/health": .init(status: status)], kind: kind) { server, fleet in
            try await fleet.server("A", is: "up with its model") { $0.isUp && $0.models == ["m"] }
            try await wait(for: "more probes", { server.listings }) { $0 > 5 }
            #expect(server.asked.count { $0 == "/health" } == 1)
            #expect(fleet.router.snapshot().servers.map(\.isUp) == [true])
        }
    }

    @Test("what is known of Ollama's models stays when one of its lists cannot be asked")
    func lastDetails() throws {
        let models = [EngineReports.Model(id: "a", entry: ["id": "a"]), EngineReports.Model(id: "b", entry: ["id": "b"])]
        let tags = Array(#"{"models":[{"name":"a","size":5},{"name":"b","size":6}]}"#.utf8)
        let running = Array(#"{"models":[{"name":"b"}]}"#.utf8)
        let last = EngineReports.ollama(models, tags: tags, running: running)
        #expect(EngineReports.ollama(models, tags: nil, running: nil, last: last) == last)
        #expect(EngineReports.ollama(models, tags: tags, running: nil, last: last) == last)
        #expect(
            EngineReports.ollama(models, tags: nil, running: Array(#"{"models":[]}"#.utf8), last: last).map(\.residency) == [
                .unloaded, .unloaded,
            ])
        let swapped = EngineReports.llamaSwap(models, running: Array(#"{"running":[{"model":"a","state":"ready"}]}"#.utf8))
        #expect(EngineReports.llamaSwap(models, running: nil, last: swapped) == swapped)
        let detailed = Array(#"{"data":[{"id":"a","state":"loaded"},{"id":"not-served","state":"not-loaded"}]}"#.utf8)
        #expect(EngineReports.lmStudio(models, detailed: detailed).map(\.id) == ["a", "b"])
        #expect(EngineReports.lmStudio(models, detailed: detailed)[0].listed.residency == .loaded)
    }

    @Test("a server that wants a key says so, and its models are unknown, not none", arguments: [401, 403])
    func keyMissing(status: Int) async throws {
        try await withDocuments(["/v1/models": .init(status: status, server: "uvicorn")]) { server, fleet in
            let found = try await fleet.server("A", is: "up with a warning") { $0.isUp && $0.lastReport?.warning != nil }
            #expect(found.models == nil)
            #expect(found.lastReport?.warning?.contains("servers.A.api-key") == true)
            server.set("/v1/models", .init(body: #"{"data":[{"id":"m"}]}"#))
            try await fleet.server("A", is: "up without a warning") { $0.models == ["m"] && $0.lastReport?.warning == nil }
        }
    }

    @Test("an engine that never answered while it computed is not frozen because it is silent while it computes")
    func silentWhileComputing() async throws {
        let list = DocumentServer.Document(body: #"{"data":[{"id":"m"}]}"#)
        try await withDocuments(["/v1/models": list], timeout: .seconds(2)) { server, fleet in
            try await fleet.server("A", is: "up") { $0.isUp && $0.models == ["m"] }
            // It stops answering and gets work at the same time.
            server.set("/v1/models", .init(body: nil))
            let ticket = Ticket(owner: 0, sequence: 1)
            fleet.router.send(.requestArrived(ticket, RequestTraits(destination: .model("m"), client: "c")))
            let before = server.listings
            try await wait(for: "several silent probes", { server.listings }) { $0 > before + 2 }
            #expect(fleet.router.snapshot().servers.map(\.isDown) == [false])
            fleet.router.send(.finished(ticket, Outcome(.complete)))
            try await fleet.server("A", is: "down: it is silent without work") { $0.isDown }
        }
    }

    @Test("llamafile answers no health check while it reads a batch of a prompt, and is not frozen")
    func silentLlamafile() async throws {
        let documents = EngineFixture.llamafile.mapValues { DocumentServer.Document(server: "llama.cpp", body: $0.body) }
        try await withDocuments(documents, timeout: .seconds(2)) { server, fleet in
            try await fleet.server("A", is: "up with its slots") { $0.isUp && $0.lastReport?.slots?.total == 2 }
            for path in ["/health", "/slots"] { server.set(path, .init(body: nil)) }
            let ticket = Ticket(owner: 0, sequence: 1)
            let model = "Llama-3.2-1B-Instruct.Q6_K.gguf"
            fleet.router.send(.requestArrived(ticket, RequestTraits(destination: .model(model), client: "c")))
            let before = server.asked.count
            try await wait(for: "several silent probes", { server.asked.count }) { $0 > before + 2 }
            #expect(fleet.router.snapshot().servers.map(\.isDown) == [false])
        }
    }

    @Test("an engine that has answered while it computed is frozen when it is silent")
    func frozen() async throws {
        let list = DocumentServer.Document(body: #"{"data":[{"id":"m"}]}"#)
        try await withDocuments(["/v1/models": list], timeout: .seconds(2)) { server, fleet in
            try await fleet.server("A", is: "up") { $0.isUp && $0.models == ["m"] }
            let ticket = Ticket(owner: 0, sequence: 1)
            fleet.router.send(.requestArrived(ticket, RequestTraits(destination: .model("m"), client: "c")))
            let before = server.listings
            try await wait(for: "probes during the work", { server.listings }) { $0 > before + 12 }
            server.set("/v1/models", .init(body: nil))
            try await fleet.server("A", is: "down") { $0.isDown }
        }
    }
}

extension DocumentServer {
    /// How often the model list was asked for.
    fileprivate var listings: Int { asked.count { $0 == "/v1/models" } }

    /// Waits until what was known of the engine so far has had time to show.
    fileprivate func answersMoreProbes() async throws {
        let before = asked.count
        try await wait(for: "more probes", { asked.count }) { $0 > before + 8 }
    }
}
