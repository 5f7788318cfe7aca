import FakeBackend
import Proxy
import Routing
import Testing

@Suite("Shutting down and reloading")
struct LifecycleTests {
    /// A server that says twenty words in about two seconds.
    private static let speaking = Behaviour { $0.decodeTokensPerSecond = 10 }

    @Test("a running stream ends properly before the balancer goes; new clients are not accepted")
    func gracefulShutdown() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", Self.speaking)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, maxTokens: 20))
            try await client.receive("the first event") { $0.contains("data: ") }
            let idle = try await balancer.connect()
            try await idle.send(chat(maxTokens: 1))
            #expect(try await idle.answer().status == 200)
            async let shutdown: Void = balancer.proxy.shutDown(grace: .seconds(20))
            #expect(try await idle.ended() == .closed)
            await #expect(throws: (any Error).self) { _ = try await balancer.connect() }
            let answer = try await client.answer()
            #expect(answer.isWhole && answer.events.last == "[DONE]")
            #expect(try await client.ended() == .closed)
            await shutdown
        }
    }

    @Test("whoever waits is still served while the balancer shuts down")
    func waitingIsServed() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", Self.speaking, requestMax: 1)] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(stream: true, maxTokens: 20))
            try await first.receive("the first event") { $0.contains("data: ") }
            let second = try await balancer.connect()
            try await second.send(chat(maxTokens: 1))
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            async let shutdown: Void = balancer.proxy.shutDown(grace: .seconds(20))
            #expect(try await first.answer().events.last == "[DONE]")
            let answer = try await second.answer()
            #expect(answer.status == 200 && answer["Connection"] == "close")
            await shutdown
        }
    }

    @Test("when the grace is over what still runs is broken off, and its server is told")
    func graceIsOver() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, fault: "stall-after-events=1"))
            try await client.receive("the first event") { $0.contains("data: ") }
            await balancer.proxy.shutDown(grace: .milliseconds(50))
            try await client.ended()
            try await balancer.engine("A").observations { $0.cancelled == 1 }
            try await balancer.isAtRest()
        }
    }

    @Test("an idle client that is still reading its last answer gets all of it")
    func shutdownFlushes() async throws {
        let size = 3 << 20
        let engine = try await ScriptedEngine.start { _ in
            .sendAndClose(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(size)\r\n\r\n"
                    + String(repeating: "x", count: size))
        }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await RawClient.connect(port: balancer.port, receiveBuffer: 4096)
            try await client.stopReading()
            try await client.send(chat())
            try await balancer.records(1)
            async let shutdown: Void = balancer.proxy.shutDown(grace: .seconds(20))
            try await wait(for: "the listener's end", { (try? await balancer.connect()) == nil }, where: { $0 })
            try await client.goOnReading()
            #expect(try await client.answer().body.count == size)
            #expect(try await client.ended() == .closed)
            await shutdown
        }
        await engine.stop()
    }

    @Test("a page that watches our events does not keep the balancer from going")
    func eventFeed() async throws {
        try await withBalancer { balancer in
            let page = try await balancer.connect()
            try await page.send(get("/admin/events"))
            try await page.receive("the first event") { $0.contains("data: hello\n\n") }
            await balancer.proxy.shutDown(grace: .seconds(600))
            try await page.ended()
        }
    }

    @Test("a reload leaves running streams alone")
    func reload() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", Self.speaking), .init("B")] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, maxTokens: 20))
            try await client.receive("the first event") { $0.contains("data: ") }
            var fleet = balancer.setup.fleet
            fleet.policy.maxWaiting = 7
            try await balancer.proxy.reload(balancer.currentSettings(), fleet: fleet)
            let answer = try await client.answer()
            #expect(answer.isWhole && answer.events.last == "[DONE]")
            try await client.send(chat())
            #expect(try await client.answer().status == 200)
        }
    }

    @Test("a removed server ends what runs there and gets nothing new")
    func removedServer() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", Self.speaking), .init("B")] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, maxTokens: 20))
            try await client.receive("the first event") { $0.contains("data: ") }
            var (settings, fleet) = (balancer.currentSettings(), balancer.setup.fleet)
            settings.endpoints.removeFirst()
            fleet.servers.removeFirst()
            fleet.fallback = fleet.servers.first?.id
            try await balancer.proxy.reload(settings, fleet: fleet)
            #expect(try await balancer.ask(chat())["X-Balancer-Server"] == "B")
            let answer = try await client.answer()
            #expect(answer.isWhole && answer["X-Balancer-Server"] == "A")
            try await balancer.fleet("A is gone") { $0.servers.map(\.name) == ["B"] }
        }
    }

    @Test("whoever waits at a reload is served by the new configuration")
    func waitingAtReload() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let second = try await balancer.connect()
            try await second.send(chat())
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            var fleet = balancer.setup.fleet
            fleet.servers[0].requestMax = 2
            try await balancer.proxy.reload(balancer.currentSettings(), fleet: fleet)
            #expect(try await second.answer().status == 200)
        }
    }

    @Test("connections that a reload has outlived are not kept for ever")
    func reloadLeaksNothing() async throws {
        let engine = Behaviour { $0.idleTimeout = nil }
        try await withBalancer(Setup { $0.servers = [.init("A", engine)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(fault: "slow-headers=200"))
            let seen = try balancer.engine("A")
            try await seen.observations { $0.concurrency == 1 }
            try await balancer.proxy.reload(balancer.currentSettings(), fleet: balancer.setup.fleet)
            #expect(try await client.answer().status == 200)
            try await seen.observations(within: .seconds(10)) { $0.connectionsOpen == 0 }
        }
    }

    @Test("a drained server ends what runs there and gets nothing new, until it is undrained")
    func drain() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", Self.speaking), .init("B")] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, maxTokens: 20))
            try await client.receive("the first event") { $0.contains("data: ") }
            balancer.router.send(.drain(try balancer.id("A")))
            #expect(try await balancer.ask(chat(fields: ["X-Session-Id: x"]))["X-Balancer-Server"] == "B")
            #expect(try await client.answer().events.last == "[DONE]")
            balancer.router.send(.undrain(try balancer.id("A")))
            #expect(try await balancer.ask(chat(maxTokens: 1, fields: ["X-Session-Id: y"]))["X-Balancer-Server"] == "A")
        }
    }
}
