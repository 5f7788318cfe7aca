import FakeBackend
import Proxy
import Routing
import Testing

@Suite("Slow clients")
struct BackPressureTests {
    /// What kernels may keep on the way, on both connections together, with room to spare.
    private static let inKernels = 64 << 20

    @Test("a client that does not read slows its own answer down; nothing is hoarded here", .timeLimit(.minutes(2)))
    func slowClient() async throws {
        try await withBalancer { balancer in
            let slow = try await RawClient.connect(port: balancer.port, receiveBuffer: 65_536)
            try await slow.stopReading()
            try await slow.send(chat(fault: "big-answer=4000000000"))
            let engine = try balancer.engine("A")
            try await engine.observations { $0.concurrency == 1 }
            // While a quick client fetches this much, a hoarder would have taken as much for the slow one.
            for _ in 0..<4 {
                let quick = try await balancer.ask(chat(fault: "big-answer=\(Self.inKernels / 2)"))
                #expect(quick.isWhole && quick.body.count == Self.inKernels / 2)
            }
            await slow.close()
            let seen = try await engine.observations { $0.cancelled == 1 }
            let sent = try #require(seen.cancellations.first).eventsSent * 65_536
            #expect(sent < Self.inKernels)
        }
    }

    @Test("a client that pauses gets everything once it reads on", .timeLimit(.minutes(2)), arguments: ["1.1", "1.0"])
    func pause(version: String) async throws {
        try await withBalancer { balancer in
            let client = try await RawClient.connect(port: balancer.port, receiveBuffer: 65_536)
            try await client.stopReading()
            let fields = ["Content-Length: \(chatBody().utf8.count)", "X-Fake-Fault: big-answer=\(24 << 20)"]
            try await client.send(head("POST", "/v1/chat/completions", fields, version: version) + chatBody())
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            try await client.goOnReading()
            let answer = try await client.answer()
            #expect(answer.isWhole && answer.body.count == 24 << 20)
            let odd = answer.body.firstIndex { $0 != UInt8(ascii: "x") }
            #expect(odd == nil, "byte \(odd ?? 0) is \(answer.body[odd ?? 0])")
        }
    }

    @Test("a client that pauses is not the server's silence: no limit of the server's runs meanwhile")
    func pauseIsNotSilence() async throws {
        let setup = Setup { $0.settings.timeouts.betweenBytes = .milliseconds(500) }
        try await withBalancer(setup) { balancer in
            let client = try await RawClient.connect(port: balancer.port, receiveBuffer: 65_536)
            try await client.stopReading()
            try await client.send(chat(fault: "big-answer=\(24 << 20)"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let start = ContinuousClock.now
            try await wait(for: "two seconds", { ContinuousClock.now - start }, where: { $0 > .seconds(2) })
            // Found dead while it is us who do not read: it still gets its chance to be read to the end.
            try balancer.isDown("A")
            try balancer.isUp("A")
            try await client.goOnReading()
            let answer = try await client.answer()
            #expect(answer.isWhole && answer.body.count == 24 << 20)
        }
    }

    @Test("a client slower than its answer's end still gets all of it before the connection is closed")
    func slowEnd() async throws {
        let size = 3 << 20
        let engine = try await ScriptedEngine.start { _ in
            .sendAndClose("HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: size))
        }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await RawClient.connect(port: balancer.port, receiveBuffer: 4096)
            try await client.stopReading()
            let fields = ["Content-Length: \(chatBody().utf8.count)"]
            try await client.send(head("POST", "/v1/chat/completions", fields, version: "1.0") + chatBody())
            // It reads a little at a time until the last of the answer has been taken from the server.
            func readALittle() async throws -> Int {
                // With TLS it may have read the end already, and have closed.
                try? await client.goOnReading()
                try? await client.stopReading()
                return balancer.notes.records.count
            }
            try await wait(for: "the answer's end", readALittle, where: { $0 == 1 })
            // The time for which a finished connection lingers (2 s) passes without a loss.
            let start = ContinuousClock.now
            try await wait(for: "three seconds", { ContinuousClock.now - start }, where: { $0 > .seconds(3) })
            try? await client.goOnReading()
            let answer = try await client.answer()
            #expect(answer.isUntilClose && answer.body.count == size)
            #expect(try await client.ended() == .closed)
        }
        await engine.stop()
    }

    @Test("an engine that reads slowly gets the whole upload")
    func slowEngine() async throws {
        try await withBalancer { balancer in
            let body = chatBody(content: String(repeating: "x", count: 1 << 20))
            let answer = try await balancer.ask(post("/v1/chat/completions", body, fields: ["X-Fake-Fault: read-slow=20000000"]))
            #expect(answer.status == 200)
            #expect(try balancer.engine("A").observations.work.last?.bodyLength == body.utf8.count)
        }
    }
}
