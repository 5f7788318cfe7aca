import FakeBackend
import Proxy
import Routing
import Testing

@Suite("The client is gone: its request is cancelled")
struct CancellationTests {
    /// How a client leaves.
    enum Leaving: CaseIterable, Sendable {
        case closing, resetting

        func leave(_ client: RawClient) async throws {
            switch self {
            case .closing: await client.close()
            case .resetting: try await client.reset()
            }
        }
    }

    @Test("while it waits in the queue: it never reaches a server", arguments: Leaving.allCases)
    func queued(leaving: Leaving) async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let second = try await balancer.connect()
            try await second.send(chat(content: "never seen"))
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            try await leaving.leave(second)
            try await balancer.fleet("nobody waiting") { $0.waitingCount == 0 }
            await first.close()
            try await balancer.isAtRest()
            #expect(try balancer.engine("A").observations.received == 1)
            let records = try await balancer.records(2)
            #expect(records.map(\.status) == [499, 499])
            #expect(records.map(\.ending) == [.clientGone, .clientGone])
        }
    }

    @Test("before the first byte, streaming or not", arguments: [true, false], Leaving.allCases)
    func beforeFirstByte(stream: Bool, leaving: Leaving) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: stream, fault: "stall-before-answer"))
            let engine = try balancer.engine("A")
            try await engine.observations { $0.concurrency == 1 }
            try await leaving.leave(client)
            try await engine.observations { $0.cancelled == 1 && $0.concurrency == 0 }
            try await balancer.isAtRest()
        }
    }

    @Test("during a long prefill, when the engine's slot would go on computing", arguments: [true, false])
    func duringPrefill(stream: Bool) async throws {
        let slow = Behaviour { $0.prefillTokensPerSecond = 0.1 }
        try await withBalancer(Setup { $0.servers = [.init("A", slow)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: stream))
            let engine = try balancer.engine("A")
            try await engine.observations { $0.concurrency == 1 }
            await client.close()
            try await engine.observations { $0.cancelled == 1 }
            try await balancer.isAtRest()
        }
    }

    @Test("in the middle of a stream, also when nothing is being written", arguments: Leaving.allCases)
    func midStream(leaving: Leaving) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, fault: "stall-after-events=2"))
            try await client.receive("two events") { $0.components(of: "data: ") == 2 }
            try await leaving.leave(client)
            let engine = try balancer.engine("A")
            let seen = try await engine.observations { $0.cancelled == 1 }
            #expect(seen.cancellations.first?.eventsSent == 2)
            try await balancer.isAtRest()
            let record = try #require(try await balancer.records(1).first)
            #expect(record.status == 200 && record.ending == .clientGone)
        }
    }

    @Test("in the middle of an answer that is no stream")
    func midAnswer() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(fault: "stall-after-events=1"))
            try await client.receive("half a body") { $0.contains("choices") }
            await client.close()
            try await balancer.engine("A").observations { $0.cancelled == 1 }
            try await balancer.isAtRest()
        }
    }

    @Test("while it still sends its body: no server hears of it")
    func whileSending() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(String(chat().dropLast(5)))
            await client.close()
            try await wait(for: "the connection's end", { try await balancer.counters() }) {
                $0.connectionsAccepted == 1 && $0.clientConnections == 0
            }
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }

    @Test("while a connection to the server is being made, the connection is kept or closed, never lost")
    func whileConnecting() async throws {
        try await withBalancer { balancer in
            for _ in 0..<20 {
                let client = try await balancer.connect()
                try await client.send(chat())
                try await client.reset()
            }
            try await balancer.isAtRest()
            #expect(try await balancer.ask(chat()).status == 200)
            let seen = try await balancer.engine("A").observations { $0.concurrency == 0 }
            #expect(seen.received == seen.completed + seen.cancelled + seen.broken)
        }
    }

    @Test("an administrator can cancel by the request's id, waiting or running")
    func byAdministrator() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            let running = try await balancer.connect()
            try await running.send(chat(fault: "stall-before-answer", fields: ["X-Request-Id: running"]))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let waiting = try await balancer.connect()
            try await waiting.send(chat(fields: ["X-Request-Id: waiting"]))
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            #expect(balancer.router.cancel(requestID: "other") == .notFound)
            #expect(balancer.router.cancel(requestID: "waiting") == .cancelled)
            let refused = try await waiting.answer()
            #expect(refused.status == 410)
            #expect(balancer.router.cancel(requestID: "running") == .cancelled)
            let stopped = try await running.answer()
            #expect(stopped.status == 410)
            try await balancer.engine("A").observations { $0.cancelled == 1 }
            try await balancer.isAtRest()
        }
    }

    @Test("the place of a client that has gone is free for the next one at once")
    func placeIsFree() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            for _ in 0..<3 {
                let client = try await balancer.connect()
                try await client.send(chat(fault: "stall-before-answer"))
                let engine = try balancer.engine("A")
                try await engine.observations { $0.concurrency == 1 }
                await client.close()
                try await engine.observations { $0.concurrency == 0 }
            }
            #expect(try await balancer.ask(chat()).status == 200)
        }
    }
}

extension String {
    /// How often the text occurs.
    func components(of text: String) -> Int { ranges(of: text).count }
}
