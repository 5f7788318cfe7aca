import FakeBackend
import Proxy
import Routing
import Testing

/// Streams here last until the test ends them: nothing depends on how fast anything is.
@Suite("Shutting down and reloading")
struct LifecycleTests {
    private static let firstEvent =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
    private static let lastEvent = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    private static let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    /// A balancer in front of A, whose first answer is a stream that is in the middle, and B.
    private func withRunningStream(
        requestMax: Int? = nil,
        _ body: (TestBalancer, _ client: RawClient, _ end: @Sendable () async throws -> Void) async throws -> Void
    ) async throws {
        let engine = try await ScriptedEngine.start { turn in .send(turn.connection == 1 ? Self.firstEvent : Self.whole) }
        var server = Setup.Server("A", port: engine.port)
        server.requestMax = requestMax
        let setup = Setup { $0.servers = [server, .init("B", models: ["other"])] }
        try await withBalancer(setup) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await client.receive("the first event") { $0.contains("data: 1") }
            try await body(balancer, client) { try await engine.send(Self.lastEvent, on: 1) }
        }
        await engine.stop()
    }

    @Test("a running stream ends properly before the balancer goes; new clients are not accepted")
    func gracefulShutdown() async throws {
        try await withRunningStream { balancer, client, end in
            let idle = try await balancer.connect()
            try await idle.send(chat())
            #expect(try await idle.answer().text == "ok")
            async let shutdown: Void = balancer.proxy.shutDown(grace: .seconds(20))
            #expect(try await idle.ended() == .closed)
            await #expect(throws: (any Error).self) { _ = try await balancer.connect() }
            try await end()
            let answer = try await client.answer()
            #expect(answer.isWhole && answer.events == ["1", "[DONE]"])
            #expect(try await client.ended() == .closed)
            await shutdown
        }
    }

    @Test("a request that was on its way on an idle connection is answered, and told that the connection ends")
    func requestOnItsWay() async throws {
        let setup = Setup { $0.settings.timeouts.drainPause = .seconds(20) }
        try await withBalancer(setup) { balancer in
            let idle = try await balancer.connect()
            try await idle.send(chat())
            #expect(try await idle.answer()["Connection"] == nil)
            async let shutdown: Void = balancer.proxy.shutDown(grace: .seconds(20))
            try await wait(for: "the listener's end", { (try? await balancer.connect()) == nil }, where: { $0 })
            // The loops hear of it a moment later: what comes before that is a request like any other.
            try await wait(for: "an answer that ends the connection") {
                try await idle.send(chat())
                return try await idle.answer()
            } where: {
                $0.status == 200 && $0["Connection"] == "close"
            }
            #expect(try await idle.ended() == .closed)
            await shutdown
        }
    }

    @Test("whoever waits is still served while the balancer shuts down")
    func waitingIsServed() async throws {
        try await withRunningStream(requestMax: 1) { balancer, client, end in
            let second = try await balancer.connect()
            try await second.send(chat())
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            async let shutdown: Void = balancer.proxy.shutDown(grace: .seconds(20))
            try await wait(for: "the listener's end", { (try? await balancer.connect()) == nil }, where: { $0 })
            try await end()
            #expect(try await client.answer().events.last == "[DONE]")
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
        try await withRunningStream { balancer, client, end in
            var fleet = balancer.setup.fleet
            fleet.policy.maxWaiting = 7
            try await balancer.proxy.reload(balancer.currentSettings(), fleet: fleet)
            try await end()
            let answer = try await client.answer()
            #expect(answer.isWhole && answer.events.last == "[DONE]")
            try await client.send(chat())
            #expect(try await client.answer().text == "ok")
        }
    }

    @Test("a removed server ends what runs there and gets nothing new")
    func removedServer() async throws {
        try await withRunningStream { balancer, client, end in
            var (settings, fleet) = (balancer.currentSettings(), balancer.setup.fleet)
            settings.endpoints.removeFirst()
            fleet.servers.removeFirst()
            fleet.fallback = fleet.servers.first?.id
            try await balancer.proxy.reload(settings, fleet: fleet)
            #expect(try await balancer.ask(chat())["X-Balancer-Server"] == "B")
            try await end()
            let answer = try await client.answer()
            #expect(answer.isWhole && answer["X-Balancer-Server"] == "A")
            try await balancer.fleet("A is gone") { $0.servers.map(\.name) == ["B"] }
        }
    }

    @Test("a request that waits while its server is removed goes where the new configuration says")
    func waitingAtRemoval() async throws {
        try await withRunningStream(requestMax: 1) { balancer, client, end in
            let second = try await balancer.connect()
            try await second.send(chat())
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            var (settings, fleet) = (balancer.currentSettings(), balancer.setup.fleet)
            settings.endpoints.removeFirst()
            fleet.servers.removeFirst()
            fleet.fallback = fleet.servers.first?.id
            try await balancer.proxy.reload(settings, fleet: fleet)
            #expect(try await second.answer()["X-Balancer-Server"] == "B")
            try await end()
            #expect(try await client.answer().isWhole)
        }
    }

    @Test("whoever waits at a reload is served by the new limit")
    func waitingAtReload() async throws {
        try await withRunningStream(requestMax: 1) { balancer, _, end in
            let second = try await balancer.connect()
            try await second.send(chat())
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            var fleet = balancer.setup.fleet
            fleet.servers[0].requestMax = 2
            try await balancer.proxy.reload(balancer.currentSettings(), fleet: fleet)
            #expect(try await second.answer().text == "ok")
            try await end()
        }
    }

    @Test("connections that a reload has outlived are not kept for ever")
    func reloadLeaksNothing() async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat())
            try await wait(for: "the request", { engine.turns.count }, where: { $0 == 1 })
            var settings = balancer.currentSettings()
            settings.endpoints[0].authorization = "Bearer new"
            try await balancer.proxy.reload(settings, fleet: balancer.setup.fleet)
            try await engine.send(Self.whole, on: 1)
            #expect(try await client.answer().text == "ok")
            try await wait(for: "the connection's end", { engine.openConnections }, where: { $0 == 0 })
        }
        await engine.stop()
    }

    @Test("a drained server ends what runs there and gets nothing new, until it is undrained")
    func drain() async throws {
        try await withRunningStream { balancer, client, end in
            balancer.router.send(.drain(try balancer.id("A")))
            let second = try await balancer.connect()
            try await second.send(chat())
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            try await end()
            #expect(try await client.answer().isWhole)
            #expect(balancer.router.snapshot().waitingCount == 1)
            balancer.router.send(.undrain(try balancer.id("A")))
            #expect(try await second.answer()["X-Balancer-Server"] == "A")
        }
    }
}
