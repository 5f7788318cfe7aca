import FakeBackend
import Proxy
import Routing
import Testing

@Suite("request-max and waiting")
struct WaitingTests {
    @Test("16 clients at once on a server with request-max 2: never more than two there, and all are answered")
    func limitHolds() async throws {
        let engine = Behaviour {
            $0.slots = 16
            $0.decodeTokensPerSecond = 100
        }
        try await withBalancer(Setup { $0.servers = [.init("A", engine, requestMax: 2)] }) { balancer in
            let answers = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                for index in 0..<16 {
                    group.addTask { try await balancer.ask(chat(stream: index.isMultiple(of: 2), maxTokens: 8)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count == 16)
            #expect(answers.allSatisfy { $0.status == 200 && $0.isWhole })
            let waits = answers.compactMap { $0["X-Balancer-Queued-Ms"].flatMap { Int($0) } }
            #expect(waits.allSatisfy { $0 >= 1 })
            #expect(waits.count == balancer.notes.records.count { $0.queuedMilliseconds > 0 })
            let seen = try balancer.engine("A").observations
            #expect(seen.peakConcurrency <= 2)
            #expect(seen.completed == 16)
        }
    }

    @Test("the next one is sent on when one has been answered, and not before")
    func oneOutOneIn() async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        var server = Setup.Server("A", port: engine.port)
        server.requestMax = 2
        try await withBalancer(Setup { $0.servers = [server] }) { balancer in
            var clients: [RawClient] = []
            for index in 0..<16 {
                let client = try await balancer.connect()
                clients.append(client)
                try await client.send(chat(fields: ["X-Session-Id: \(index)"]))
            }
            try await balancer.fleet("14 waiting") { $0.waitingCount == 14 }
            for answered in 0..<16 {
                let expected = min(16, answered + 2)
                try await wait(for: "request \(expected)", { engine.turns.count }, where: { $0 >= expected })
                #expect(engine.turns.count == expected)
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                try await engine.send(answer, on: engine.turns[answered].connection)
            }
            var waits = 0
            for client in clients where try await client.answer()["X-Balancer-Queued-Ms"] != nil { waits += 1 }
            #expect(waits == 14)
        }
        await engine.stop()
    }

    @Test("the slots that the engine reports are the limit where none is configured")
    func slotsAreTheLimit() async throws {
        try await withBalancer { balancer in
            try balancer.isUp("A", slots: 1)
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let second = try await balancer.connect()
            try await second.send(chat())
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            await first.close()
            #expect(try await second.answer()["X-Balancer-Queued-Ms"] != nil)
        }
    }

    @Test("two clients take turns, however many requests each of them has waiting")
    func fairness() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            var clients: [RawClient] = []
            for (count, name) in ["greedy", "greedy", "greedy", "modest", "modest"].enumerated() {
                let client = try await balancer.connect()
                clients.append(client)
                try await client.send(chat(fields: ["X-Session-Id: \(name)"]))
                try await balancer.fleet("\(count + 1) waiting") { $0.waitingCount == count + 1 }
            }
            await first.close()
            for client in clients { #expect(try await client.answer().status == 200) }
            let order = try balancer.engine("A").observations.work.dropFirst().compactMap { $0.field("X-Session-Id") }
            #expect(order == ["greedy", "modest", "greedy", "modest", "greedy"])
        }
    }

    @Test("whoever waits is bound to a server only when one frees: the first one that does")
    func boundLate() async throws {
        let setup = Setup { $0.servers = [.init("A", requestMax: 1), .init("B", requestMax: 1)] }
        try await withBalancer(setup) { balancer in
            var running: [RawClient] = []
            for name in ["A", "B"] {
                let client = try await balancer.connect()
                running.append(client)
                try await client.send(chat(fault: "stall-before-answer", fields: ["X-Session-Id: \(name)"]))
                try await balancer.engine(name).observations { $0.concurrency == 1 }
            }
            let waiting = try await balancer.connect()
            try await waiting.send(chat(fields: ["X-Session-Id: C"]))
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            await running[1].close()
            #expect(try await waiting.answer()["X-Balancer-Server"] == "B")
        }
    }

    @Test("what does not make an engine compute passes at once, full or not")
    func lightRequestsPass() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            #expect(try await balancer.ask(post("/tokenize", #"{"model":"m","content":"x"}"#)).status == 200)
            #expect(try await balancer.ask(get("/props")).status == 200)
            #expect(try await balancer.ask(get("/upstream/A/slots")).status == 200)
        }
    }

    @Test("a server that comes back takes those who wait")
    func serverComesBack() async throws {
        let setup = Setup { $0.servers = [.init("A", requestMax: 1), .init("B")] }
        try await withBalancer(setup) { balancer in
            try balancer.isDown("B")
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let second = try await balancer.connect()
            try await second.send(chat(fields: ["X-Session-Id: other"]))
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            try balancer.isUp("B")
            #expect(try await second.answer()["X-Balancer-Server"] == "B")
        }
    }
}
