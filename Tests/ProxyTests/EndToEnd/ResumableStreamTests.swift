import FakeBackend
import NIOCore
import Proxy
import Routing
import Testing

/// llama-server's resumable streams.
@Suite("A stream with X-Conversation-Id")
struct ResumableStreamTests {
    private static let name = "X-Conversation-Id: chat-7"
    private static let event =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"

    @Test("goes on when its client leaves, keeps its place until it is whole, and is counted out then")
    func goesOn() async throws {
        let engine = try await ScriptedEngine.start { _ in .send(Self.event) }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, fields: [Self.name]))
            try await client.receive("an event") { $0.contains("data: 1") }
            await client.close()
            try await wait(for: "the client to be gone", { try await balancer.counters().clientsGone }, where: { $0 == 1 })
            #expect(balancer.router.snapshot().runningCount == 1)
            #expect(engine.openConnections == 1)
            try await engine.send("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n", on: 1)
            try await balancer.isAtRest()
            let record = try #require(try await balancer.records(1).first)
            #expect(record.ending == .clientGone && record.status == 200)
            #expect(try await balancer.counters().detachedStreams == 0)
        }
        await engine.stop()
    }

    @Test("also during its prefill; and when its server breaks, it is over")
    func prefill() async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, fields: [Self.name]))
            try await wait(for: "the request", { engine.turns.count }, where: { $0 == 1 })
            await client.close()
            try await wait(for: "the client to be gone", { try await balancer.counters().clientsGone }, where: { $0 == 1 })
            #expect(engine.openConnections == 1)
            await engine.closeConnections()
            try await balancer.isAtRest()
        }
        await engine.stop()
    }

    @Test("ends with its client like any other once so many go on alone")
    func bounded() async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        try await withBalancer(
            Setup {
                $0.servers = [.init("A", port: engine.port)]
                // Of each loop.
                $0.settings.limits.detachedStreams = 1
            }
        ) { balancer in
            let count = 3 * System.coreCount
            for number in 1...count {
                let client = try await balancer.connect()
                try await client.send(chat(stream: true, fields: ["X-Conversation-Id: chat-\(number)"]))
                try await wait(for: "the request", { engine.turns.count }, where: { $0 == number })
                await client.close()
                try await wait(
                    for: "the client to be gone", { try await balancer.counters().clientsGone }, where: { $0 == number })
            }
            let alone = try await balancer.counters().detachedStreams
            #expect(alone >= 1 && alone <= System.coreCount)
            try await wait(for: "the others to be ended", { engine.openConnections }, where: { $0 == alone })
            await engine.closeConnections()
        }
        await engine.stop()
    }

    @Test("is ended by an administrator, with or without its client")
    func cancelled() async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, fields: [Self.name, "X-Request-Id: mine"]))
            try await wait(for: "the request", { engine.turns.count }, where: { $0 == 1 })
            await client.close()
            try await wait(for: "the client to be gone", { try await balancer.counters().detachedStreams }, where: { $0 == 1 })
            #expect(balancer.router.cancel(requestID: "mine") == .cancelled)
            try await wait(for: "the server's end", { engine.openConnections }, where: { $0 == 0 })
            #expect(try await balancer.counters().detachedStreams == 0)
        }
        await engine.stop()
    }

    @Test("is cancelled like all others while it waits in the line, and when it is not streamed")
    func others() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer", fields: [Self.name]))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let second = try await balancer.connect()
            try await second.send(chat(stream: true, fields: [Self.name]))
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            await second.close()
            try await balancer.fleet("nobody waiting") { $0.waitingCount == 0 }
            await first.close()
            try await balancer.engine("A").observations { $0.cancelled == 1 }
        }
    }

    @Test("is taken up again where it runs", arguments: ["/v1/stream?from=3&conv_id=chat%2D7", "/v1/stream/chat-7"])
    func takenUpAgain(target: String) async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", models: ["other"]), .init("B")] }) { balancer in
            _ = try await balancer.ask(chat(stream: true, fields: [Self.name]))
            #expect(try await balancer.ask(get(target))["X-Balancer-Server"] == "B")
            #expect(try balancer.engine("A").observations.requests.isEmpty)
            let unknown = try await balancer.ask(get(target.replacing("7", with: "8")))
            #expect(unknown.status == 404 && unknown["X-Balancer-Server"] == "B", "both were asked, A first")
            #expect(try balancer.engine("A").observations.requests.count == 1)
        }
    }
}
