import FakeBackend
import Proxy
import Routing
import Testing

@Suite("Failures before the first byte")
struct RetryTests {
    /// A is first in order and misbehaves; B is fine.
    private func twoServers(_ fault: Fault?) -> Setup {
        Setup { $0.servers = [.init("A", Behaviour { $0.fault = fault }), .init("B")] }
    }

    @Test(
        "are tried elsewhere, and the client notices nothing",
        arguments: [
            "refuse", "reset-before-answer", "close-before-answer", "status=502", "status=503", "status=504", "two-lengths",
            "status=429", "status=500", "status=507", "status=529",
        ])
    func elsewhere(fault: String) async throws {
        try await withBalancer(twoServers(try Fault(parsing: fault))) { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 200)
            #expect(answer["X-Balancer-Server"] == "B")
            #expect(answer["X-Balancer-Attempts"] == "2")
            #expect(try balancer.engine("B").observations.work.last?.bodyText == chatBody())
            try await balancer.isAtRest()
            #expect(try await balancer.counters().retries == 1)
        }
    }

    @Test(
        "a prompt that is too long for one server is tried on another one, in every form of its answer",
        arguments: [[], ["chunk-extensions"], ["split-events"]])
    func tooLong(odd: [String]) async throws {
        let faults = try (["context-exceeded"] + odd).map { try Fault(parsing: $0) }
        let setup = Setup { $0.servers = [.init("A", Behaviour { $0.fault = faults[0] }), .init("B")] }
        try await withBalancer(setup) { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 200 && answer["X-Balancer-Server"] == "B" && answer["X-Balancer-Attempts"] == "2")
            try await balancer.isAtRest()
        }
    }

    @Test("when the prompt is too long for every server, the last one's answer passes untouched")
    func tooLongEverywhere() async throws {
        let setup = Setup { setup in
            setup.servers = ["A", "B"].map { .init($0, Behaviour { $0.fault = .contextExceeded }) }
        }
        try await withBalancer(setup) { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 400 && answer.text.contains("exceed_context_size_error"))
            #expect(answer["X-Balancer-Server"] == "B")
            try await balancer.isAtRest()
        }
    }

    @Test("connect refused is tried elsewhere")
    func connectRefused() async throws {
        let port = try await closedPort()
        try await withBalancer(Setup { $0.servers = [.init("A", port: port), .init("B")] }) { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer["X-Balancer-Server"] == "B" && answer["X-Balancer-Attempts"] == "2")
        }
    }

    @Test("a server that answers with another status is not left for another server", arguments: [400, 422, 501])
    func otherStatuses(status: Int) async throws {
        try await withBalancer(twoServers(.status(status))) { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == status && answer["X-Balancer-Server"] == "A")
            #expect(try balancer.engine("B").observations.received == 0)
        }
    }

    @Test("429 with nobody else: the request waits, with signs of life, and is answered when the pause is over")
    func waitsForFullServer() async throws {
        let setup = Setup {
            $0.servers = [.init("A", Behaviour { $0.fault = .status(429) })]
            $0.settings.keepAliveInterval = .milliseconds(10)
        }
        try await withBalancer(setup) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 && $0.runningCount == 0 }
            try await balancer.engine("A").update { $0.fault = nil }
            try await client.receive("a sign of life") { $0.contains(": waiting, 0 ahead\n\n") }
            let answer = try await client.answer()
            #expect(answer.status == 200 && answer.text.contains("data: [DONE]"))
            try await balancer.isAtRest()
        }
    }

    @Test("429 passes untouched when no request may wait")
    func passesFullServer() async throws {
        var policy = RoutingPolicy()
        policy.maxWaiting = 0
        try await withBalancer(Setup { $0.policy = policy }) { balancer in
            let answer = try await balancer.ask(chat(fault: "status=429"))
            #expect(answer.status == 429 && answer.text.contains("fault status=429"))
        }
    }

    @Test("an engine's own 503 passes untouched when nobody else can do better")
    func own503() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat(fault: "status=503"))
            #expect(answer.status == 503 && answer.text.contains("fault status=503"))
            #expect(answer["X-Balancer-Attempts"] == nil)
        }
        try await withBalancer(Setup { $0.servers = [.init("A"), .init("B")] }) { balancer in
            let answer = try await balancer.ask(chat(fault: "status=503"))
            #expect(answer.status == 503 && answer.text.contains("fault status=503"))
            #expect(answer["X-Balancer-Server"] == "B" && answer["X-Balancer-Attempts"] == "2")
        }
    }

    @Test("at most three attempts, and each server once")
    func threeAttempts() async throws {
        let setup = Setup { setup in setup.servers = ["A", "B", "C", "D"].map { .init($0) } }
        try await withBalancer(setup) { balancer in
            let answer = try await balancer.ask(chat(fault: "reset-before-answer"))
            #expect(answer.status == 502)
            let received = try ["A", "B", "C", "D"].map { try balancer.engine($0).observations.received }
            #expect(received == [1, 1, 1, 0])
        }
    }

    @Test("a 200 stream whose engine dies before its first event is tried elsewhere")
    func deadBeforeFirstEvent() async throws {
        try await withBalancer(twoServers(.resetAfterHeaders)) { balancer in
            let answer = try await balancer.ask(chat(stream: true))
            #expect(answer.status == 200 && answer.isWhole)
            #expect(answer["X-Balancer-Server"] == "B" && answer["X-Balancer-Attempts"] == "2")
            #expect(answer.events.first?.contains("assistant") == true)
        }
    }

    @Test("a failed attempt does not count as waiting, and leaves nothing in flight behind")
    func accounting() async throws {
        let setup = Setup {
            $0.servers = [
                .init("A", Behaviour { $0.fault = .resetBeforeAnswer }, requestMax: 1), .init("B", requestMax: 1),
            ]
        }
        try await withBalancer(setup) { balancer in
            for _ in 0..<5 {
                let answer = try await balancer.ask(chat(fields: ["X-Session-Id: \(Int.random(in: 0...Int.max))"]))
                #expect(answer["X-Balancer-Server"] == "B" && answer["X-Balancer-Queued-Ms"] == nil)
            }
            try await balancer.isAtRest()
        }
    }

    // Kept connections.

    private static let fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test("a kept connection that dies is replaced by a fresh one, and does not count against the server")
    func staleConnection() async throws {
        let engine = try await ScriptedEngine.start { turn in turn.request == 1 ? .send(Self.fine) : .close }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            for _ in 0..<3 {
                try await client.send(chat())
                let answer = try await client.answer()
                #expect(answer.status == 200 && answer.text == "ok")
                #expect(answer["X-Balancer-Attempts"] == nil)
            }
            // On the first connection one request, then a dead one and its repetition on the next, and so on.
            #expect(engine.turns.map(\.connection) == [1, 1, 2, 2, 3])
            #expect(balancer.router.snapshot().servers.map(\.phase) == [.up])
        }
        await engine.stop()
    }

    @Test("when the fresh connection dies as well, it is the server's fault")
    func staleThenDead() async throws {
        let engine = try await ScriptedEngine.start { turn in
            turn.connection == 1 && turn.request == 1 ? .send(Self.fine) : .close
        }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat())
            #expect(try await client.answer().status == 200)
            try await client.send(chat())
            #expect(try await client.answer().status == 502)
            #expect(engine.turns.map(\.connection) == [1, 1, 2])
        }
        await engine.stop()
    }

    @Test("a server found dead by its probes loses what has sent nothing yet to another one", arguments: [true, false])
    func foundDead(stream: Bool) async throws {
        try await withBalancer(twoServers(.stallBeforeAnswer)) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: stream))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            try balancer.isDown("A")
            let answer = try await client.answer()
            #expect(answer.status == 200 && answer["X-Balancer-Server"] == "B")
            try await balancer.engine("A").observations { $0.cancelled == 1 }
        }
    }

    @Test("a server that fails every request, though its probes are fine, is soon left alone and costs nobody an answer")
    func circuit() async throws {
        try await withBalancer(twoServers(.resetBeforeAnswer)) { balancer in
            for number in 0..<40 {
                let answer = try await balancer.ask(chat(fields: ["X-Session-Id: \(number)"]))
                #expect(answer.status == 200 && answer["X-Balancer-Server"] == "B")
                try balancer.isUp("A")
            }
            let tried = try balancer.engine("A").observations.received
            // Five until the circuit opens; then one a pause, and the pauses double.
            #expect((5...12).contains(tried), "\(tried) of 40")
        }
    }

    @Test("a black hole, too: neither accepted nor refused", .timeLimit(.minutes(1)))
    func blackHole() async throws {
        try await withBalancer(twoServers(.acceptNever)) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat())
            try await balancer.fleet("one running") { $0.runningCount == 1 }
            try balancer.isDown("A")
            #expect(try await client.answer()["X-Balancer-Server"] == "B")
        }
    }
}
