import FakeBackend
import Foundation
import Logging
import NIOCore
import NIOPosix
import Proxy
import Routing
import Simulation
import Testing
import Wire

@testable import App
@testable import Control

@Suite("What a balancer has recorded", .timeLimit(.minutes(2))) struct RecordedBalancerTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    /// Two turns of a conversation, and one of another that begins alike.
    private func converse(through balancer: Balancer) async throws {
        let system: JSON = ["role": "system", "content": .string(String(repeating: "You are precise. ", count: 300))]
        let question: JSON = ["role": "user", "content": "What is it?"]
        let turns: [[JSON]] = [
            [system, question],
            [system, question, ["role": "assistant", "content": "It is it."], ["role": "user", "content": "SECRET-WORD"]],
            [system, ["role": "user", "content": "Something else"]],
        ]
        for messages in turns {
            let body: JSON = ["model": "m", "max_tokens": 2, "messages": .array(messages)]
            let response = try await ProbeClient().send(
                "/v1/chat/completions", json: body.bytes, to: ProbeTarget(host: "127.0.0.1", port: balancer.port),
                timeout: .seconds(60), on: Self.group.next()
            ).get()
            #expect(response.status == 200)
        }
    }

    private func recorded(_ path: String) throws -> RecordedRequests {
        guard case .recorded(let recorded) = try RequestFile.read(path) else {
            Issue.record("no log and no recording: \(path)")
            return RecordedRequests(.accessLog)
        }
        return recorded
    }

    @Test("its access log and its recording can be played, and show which prompts begin alike")
    func plays() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "recorded-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (log, events) = (folder.appending(path: "log").path, folder.appending(path: "events").path)
        let engine = try await FakeLlamaServer.start(Behaviour { $0.models = ["m"] }, group: Self.group)
        var settings = try configuration(
            """
            listen: { host: 127.0.0.1, port: 0 }
            servers: { A: { url: "\(engine.baseURL)" } }
            """)
        settings.accessLog = .file(log)
        let balancer = try await Balancer.start(
            settings, file: nil, group: Self.group, recording: try RecordingFile(path: events),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await converse(through: balancer)
        await balancer.shutDown()
        try await engine.stop()

        #expect(try !String(contentsOfFile: log, encoding: .utf8).contains("SECRET-WORD"))
        let (fromLog, fromEvents) = (try recorded(log), try recorded(events))
        #expect((fromLog.source, fromEvents.source) == (.accessLog, .recording))
        for recorded in [fromLog, fromEvents] {
            #expect(recorded.requests.count == 3 && recorded.unanswered == 0)
            var workload = try recorded.workload(of: "x", timeScale: 1)
            let requests = workload.start()
            #expect(requests.map(\.model) == ["m", "m", "m"])
            guard requests.count == 3 else { continue }
            #expect(requests[0].conversation == requests[1].conversation && requests[0].conversation != requests[2].conversation)
            let prompts = requests.map(\.prompt)
            #expect(prompts[1].chain.commonLinks(with: prompts[0].chain) == prompts[0].chain.links.count)
            #expect(prompts[1].tokens.commonTokens(with: prompts[0].tokens) == prompts[0].tokens.count)
            #expect(prompts[2].tokens.commonTokens(with: prompts[0].tokens) > prompts[0].tokens.count / 2)
            #expect(prompts[2].chain.commonLinks(with: prompts[1].chain) > 0)
        }
        // Other hashes of the same boundaries.
        let hidden = Set(fromLog.requests.flatMap { $0.prompt.links.map(\.hash) })
        let seen = Set(fromEvents.requests.flatMap { $0.prompt.links.flatMap { [$0.hash >> 16, $0.hash & 0xFFFF_FFFF_FFFF] } })
        #expect(hidden.isDisjoint(with: seen))

        let load = SimulatedLoad(
            .recorded(try fromLog.workload(of: log, timeScale: 1), fromLog, timeScale: 1), countedFrom: 0, countedUntil: nil)
        let setup = SimulationSetup(
            servers: [EngineModel(prefillTokensPerSecond: 5000, slots: 2, cacheTokens: 10_000)], rule: .expectedCost)
        let runs = await SimulationRun.play(load, setup, rules: Simulate.rules, seeds: [1])
        #expect(runs.allSatisfy { $0.report.requests == 3 && $0.report.refused == 0 })
    }
}
