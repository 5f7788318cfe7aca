import FakeBackend
import Proxy
import Routing
import Testing

@Suite("A recording of a running balancer")
struct RecordingTests {
    @Test("when replayed, decides the same and ends the same")
    func replays() async throws {
        let setup = Setup {
            $0.servers = [.init("A", Behaviour { $0.fault = .status(503) }), .init("B")]
            $0.recordingLimit = 1000
        }
        try await withBalancer(setup) { balancer in
            var servers: [String] = []
            for number in 1...3 {
                let answer = try await balancer.ask(chat(fields: ["X-Request-Id: r\(number)", "X-Session-Id: c\(number)"]))
                servers.append(try #require(answer["X-Balancer-Server"]))
            }
            _ = try await balancer.ask(chat(model: "unknown", fields: ["X-Request-Id: r4"]))
            try balancer.isDown("A")
            try await balancer.isAtRest()
            let recording = try #require(balancer.router.recording())
            #expect(recording.isComplete)

            var last: [Ticket: String] = [:]
            var order: [Ticket] = []
            var again = recording.replay { step, effects in
                if case .requestArrived(let ticket, _) = step.event { order.append(ticket) }
                for case .grant(let ticket, let grant) in effects { last[ticket] = grant.serverName }
            }
            #expect(order.prefix(3).map { last[$0] } == servers)
            for number in 1...4 {
                let (seen, expected) = (
                    again.decisions(requestID: "r\(number)"), balancer.router.decisions(requestID: "r\(number)")
                )
                #expect(!seen.isEmpty)
                #expect(seen.map { "\($0)" } == expected.map { "\($0)" })
            }
            let (seen, expected) = (again.snapshot(at: Clock.now), balancer.router.snapshot())
            #expect(seen.servers.map { "\($0.name) \($0.phase)" } == expected.servers.map { "\($0.name) \($0.phase)" })
            #expect(seen.servers.map(\.decodeTokensPerSecond) == expected.servers.map(\.decodeTokensPerSecond))
            #expect(seen.servers.map(\.inFlight) == expected.servers.map(\.inFlight))
            #expect(seen.sessions.map { "\($0)" } == expected.sessions.map { "\($0)" })
            #expect(!seen.sessions.isEmpty)
        }
    }

    @Test("is kept only when asked for, and has the first events of a limited number")
    func limited() async throws {
        try await withBalancer { balancer in
            _ = try await balancer.ask(chat())
            #expect(balancer.router.recording() == nil)
        }
        try await withBalancer(Setup { $0.recordingLimit = 2 }) { balancer in
            _ = try await balancer.ask(chat())
            _ = try await balancer.ask(chat())
            try await balancer.isAtRest()
            let recording = try #require(balancer.router.recording())
            #expect(recording.steps.count == 2 && !recording.isComplete)
        }
    }
}
