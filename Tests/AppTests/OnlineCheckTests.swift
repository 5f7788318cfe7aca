import FakeBackend
import NIOPosix
import Testing

@testable import App

@Suite("check --online", .timeLimit(.minutes(1))) struct OnlineCheckTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    @Test("says of every server what it is and what it has, or what is wrong")
    func report() async throws {
        let llama = try await FakeLlamaServer.start(
            Behaviour {
                $0.models = ["m", "n"]; $0.slots = 3
            }, group: Self.group)
        let ollama = try await FakeLlamaServer.start(
            Behaviour {
                $0.kind = .ollama; $0.models = ["o"]
            }, group: Self.group)
        let locked = try await FakeLlamaServer.start(Behaviour { $0.apiKey = "k" }, group: Self.group)
        let gone = try await FakeLlamaServer.start(group: Self.group)
        try await gone.stop()
        func text(_ engines: [(String, FakeLlamaServer)]) async throws -> (text: String, isGood: Bool) {
            let servers = engines.map { "\($0.0): { url: 'http://127.0.0.1:\($0.1.port)' }" }.joined(separator: ", ")
            return try await OnlineCheck.report(on: configuration("servers: { \(servers) }"))
        }
        let good = try await text([("A", llama), ("B", ollama)])
        let noLimit = "no limit of requests: it reports no slots, and request-max is not set"
        #expect(good.isGood && good.text == "A: is llama-server; 3 slots; models m, n\nB: is ollama; models o; \(noLimit)")
        let bad = try await text([("A", llama), ("C", locked), ("D", gone)])
        let lines = bad.text.split(separator: "\n")
        #expect(!bad.isGood && lines.count == 3)
        #expect(lines[1].contains("answers 401 to /v1/models") && lines[1].contains("servers.C.api-key"))
        #expect(lines[2].hasPrefix("D: cannot be used: "))
        let named = try await OnlineCheck.report(
            on: configuration(
                "servers: { A: { url: 'http://127.0.0.1:\(llama.port)' } }\naliases: { x: m, y: [n, p] }\ndefault-model: q"))
        #expect(named.text.contains("aliases.y: no server lists \"p\" as a model\ndefault-model: no server lists \"q\""))
        for engine in [llama, ollama, locked] { try await engine.stop() }
    }
}
