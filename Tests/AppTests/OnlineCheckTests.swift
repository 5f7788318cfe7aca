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
        #expect(good.isGood && good.text == "A: is llama-server; 3 slots; models m, n\nB: is ollama; models o")
        let bad = try await text([("A", llama), ("C", locked), ("D", gone)])
        let lines = bad.text.split(separator: "\n")
        #expect(!bad.isGood && lines.count == 3)
        #expect(lines[1].contains("answers 401 to /v1/models") && lines[1].contains("servers.C.api-key"))
        #expect(lines[2].hasPrefix("D: cannot be used: "))
        for engine in [llama, ollama, locked] { try await engine.stop() }
    }
}
