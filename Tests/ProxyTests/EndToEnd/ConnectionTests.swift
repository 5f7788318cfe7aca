import FakeBackend
import Proxy
import Routing
import Testing

@Suite("Connections")
struct ConnectionTests {
    @Test("requests sent ahead are answered one after the other, in order")
    func pipelining() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            let requests = (1...20).map { chat(fields: ["X-Request-Id: r\($0)"]) }
            try await client.send(requests.joined())
            for index in 1...20 {
                let answer = try await client.answer()
                #expect(answer.status == 200 && answer["X-Request-Id"] == "r\(index)")
            }
            #expect(try balancer.engine("A").observations.peakConcurrency == 1)
        }
    }

    @Test("requests of different kinds sent ahead keep their order, whoever answers them")
    func pipeliningMixed() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            let body = chatBody(stream: true)
            try await client.send(
                get("/health") + chunked("/v1/chat/completions", body, sizes: [3]) + post("/v1/completions", "{")
                    + "\r\n" + get("/health", method: "HEAD") + chat() + get("/metrics"))
            #expect(try await client.answer().text == "own GET /health")
            #expect(try await client.answer().events.last == "[DONE]")
            #expect(try await client.answer().status == 400)
            #expect(try await client.answer(toHead: true).status == 200)
            #expect(try await client.answer().text.contains("chat.completion"))
            #expect(try await client.answer().text == "own GET /metrics")
        }
    }

    @Test("requests sent ahead in one byte at a time")
    func dribble() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat() + chat(), inPiecesOf: [1])
            for _ in 0..<2 { #expect(try await client.answer().status == 200) }
        }
    }

    @Test("after `Connection: close` nothing more is answered")
    func connectionClose() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(fields: ["Connection: close"]) + chat())
            let answer = try await client.answer()
            #expect(answer.status == 200 && answer["Connection"] == "close")
            #expect(try await client.ended() == .closed)
            #expect(client.text.isEmpty)
            #expect(try balancer.engine("A").observations.received == 1)
        }
    }

    @Test("a connection to the server serves one request after the other")
    func upstreamReuse() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            for _ in 0..<10 {
                try await client.send(chat())
                #expect(try await client.answer().status == 200)
            }
            let seen = try balancer.engine("A").observations
            #expect(seen.connectionsAccepted == 1 && seen.completed == 10)
            #expect(try await balancer.counters().connects == 1)
        }
    }

    @Test("a connection after a stream is reused with servers that keep it, and not with llama-server", arguments: [true, false])
    func reuseAfterStream(keeps: Bool) async throws {
        var server = Setup.Server("A", Behaviour { $0.closesAfterStream = !keeps })
        server.keepsConnectionAfterStream = keeps
        try await withBalancer(Setup { $0.servers = [server] }) { balancer in
            let client = try await balancer.connect()
            for _ in 0..<3 {
                try await client.send(chat(stream: true))
                #expect(try await client.answer().isWhole)
            }
            #expect(try balancer.engine("A").observations.connectionsAccepted == (keeps ? 1 : 3))
        }
    }

    @Test("a client's connection lives on after a stream")
    func clientKeepAliveAfterStream() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            for stream in [true, false, true] {
                try await client.send(chat(stream: stream))
                #expect(try await client.answer().isWhole)
            }
            #expect(try await balancer.counters().connectionsAccepted == 1)
        }
    }

    @Test("past limits.connections a client waits to be accepted, and is when another one leaves")
    func connectionLimit() async throws {
        let engine = Behaviour { $0.decodeTokensPerSecond = 100 }
        try await withBalancer(
            Setup {
                $0.servers = [.init("A", engine)]; $0.maxConnections = 2
                // A TLS client is not connected before it is accepted.
                $0.identity = nil
            }
        ) { balancer in
            let clients = [try await balancer.connect(), try await balancer.connect()]
            for client in clients { try await client.send(chat(stream: true, maxTokens: 5000)) }
            for client in clients { try await client.receive("a token") { $0.contains("data: ") } }
            let third = try await balancer.connect()
            try await third.send(chat())
            let count = clients[0].text.count
            try await clients[0].receive("more tokens") { $0.count > count + 2000 }
            #expect(try await balancer.counters().connectionsAccepted == 2)
            #expect(third.text.isEmpty)
            await clients[1].close()
            #expect(try await third.answer().status == 200)
            await clients[0].close()
        }
    }

    @Test("when connections run out, the one that has been idle for longest makes room for a client that waits")
    func longestIdleMakesRoom() async throws {
        try await withBalancer(Setup { $0.maxConnections = 4 }) { balancer in
            var clients: [RawClient] = []
            for _ in 0..<4 {
                let client = try await balancer.connect()
                clients.append(client)
                try await client.send(chat())
                #expect(try await client.answer().status == 200)
            }
            try await clients[0].send(chat())
            #expect(try await clients[0].answer().status == 200)
            let next = try await balancer.connect()
            try await next.send(chat())
            #expect(try await next.answer().status == 200)
            #expect(try await clients[1].ended() == .closed)
            for client in [clients[2], clients[3], clients[0], next] {
                try await client.send(chat())
                #expect(try await client.answer().status == 200)
            }
            #expect(try await balancer.counters().connectionsAccepted == 5)
        }
    }

    @Test("a connection on which nothing has come yet makes room as well")
    func silentOnesMakeRoom() async throws {
        try await withBalancer(Setup { $0.maxConnections = 2 }) { balancer in
            var silent: [RawClient] = []
            for number in 1...2 {
                silent.append(try await balancer.connect())
                // Which loop is first to see its client is chance.
                try await wait(
                    for: "its place", { try await balancer.counters().clientConnections }, where: { $0 == number })
            }
            #expect(try await balancer.ask(chat()).status == 200)
            #expect(try await silent[0].ended() == .closed)
            await silent[1].close()
        }
    }

    @Test("a connection on which a request has begun to arrive is never closed for another client")
    func begunRequestsStay() async throws {
        let setup = Setup {
            $0.maxConnections = 1
            $0.identity = nil
        }
        try await withBalancer(setup) { balancer in
            for _ in 0..<20 {
                let client = try await balancer.connect()
                try await client.send(chat())
                #expect(try await client.answer().status == 200)
                try await client.send(String(chat().prefix(20)))
                let other = try await balancer.connect()
                try await other.send(chat())
                try await client.send(String(chat().dropFirst(20)))
                #expect(try await client.answer().status == 200)
                #expect(try await other.answer().status == 200)
                await client.close()
                await other.close()
            }
        }
    }

    @Test("Expect: 100-continue is answered before the body comes")
    func expectContinue() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            let body = chatBody()
            try await client.send(
                head("POST", "/v1/chat/completions", ["Expect: 100-continue", "Content-Length: \(body.utf8.count)"]))
            #expect(try await client.answer().status == 100)
            try await client.send(body)
            #expect(try await client.answer().status == 200)
        }
    }

    @Test("Expect: 100-continue is not asked for a body that is refused anyway, nor for one that is there")
    func expectWithoutContinue() async throws {
        try await withBalancer(Setup { $0.settings.limits.body = 1000 }) { balancer in
            let whole = try await balancer.ask(chat(fields: ["Expect: 100-continue"]))
            #expect(whole.status == 200)
            let fields = ["Expect: 100-continue", "Content-Length: 5000"]
            let refused = try await balancer.ask(head("POST", "/v1/chat/completions", fields))
            #expect(refused.status == 413)
        }
    }

    @Test("a client that never ends its head is sent away", .timeLimit(.minutes(1)))
    func slowHead() async throws {
        try await withBalancer(Setup { $0.settings.timeouts.head = .seconds(5) }) { balancer in
            let client = try await balancer.connect()
            try await client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n")
            #expect(try await client.answer().status == 408)
            try await client.ended()
        }
    }

    @Test("a client that never sends anything is sent away without a word")
    func silent() async throws {
        try await withBalancer(Setup { $0.settings.timeouts.head = .milliseconds(50) }) { balancer in
            let client = try await balancer.connect()
            try await client.ended()
            #expect(client.text.isEmpty)
        }
    }

    @Test("a client that sends nothing more is sent away after the idle time, without a word")
    func idle() async throws {
        try await withBalancer(Setup { $0.settings.timeouts.idle = .milliseconds(50) }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat())
            #expect(try await client.answer().status == 200)
            try await client.ended()
            #expect(client.text.isEmpty)
        }
    }
}

@Suite("/upstream/NAME")
struct UpstreamPathTests {
    @Test("leads straight to that server, without the prefix, from this machine")
    func straight() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A"), .init("my pc")] }) { balancer in
            let answer = try await balancer.ask(post("/upstream/my%20pc/echo/x%2Fy?z=1", "body"))
            #expect(answer["X-Balancer-Server"] == "my pc")
            let seen = try #require(try balancer.engine("my pc").observations.requests.last)
            #expect(seen.target == "/echo/x%2Fy?z=1" && seen.bodyText == "body")
            _ = try await balancer.ask(get("/upstream/A"))
            #expect(try balancer.engine("A").observations.requests.last?.target == "/")
            _ = try await balancer.ask(get("/upstream/A?x"))
            #expect(try balancer.engine("A").observations.requests.last?.target == "/?x")
        }
    }

    @Test("is never queued, and counts as in flight")
    func neverQueued() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            for count in 1...2 {
                let client = try await balancer.connect()
                try await client.send(
                    post("/upstream/A/v1/chat/completions", chatBody(), fields: ["X-Fake-Fault: stall-before-answer"]))
                try await balancer.engine("A").observations { $0.concurrency == count }
            }
            #expect(balancer.router.snapshot().servers.first?.inFlight == 2)
        }
    }

    @Test("of a server that there is not is 404 and says so")
    func unknown() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(get("/upstream/B/slots"))
            #expect(answer.status == 404 && answer.text.contains("no server named \\\"B\\\""))
        }
    }

    @Test("is not for pages of other sites")
    func crossSite() async throws {
        try await withBalancer { balancer in
            let evil = try await balancer.ask(get("/upstream/A/slots", fields: ["Origin: http://evil.example"]))
            #expect(evil.status == 403)
            let own = try await balancer.ask(get("/upstream/A/slots", fields: ["Origin: http://balancer.example"]))
            #expect(own.status == 200)
            #expect(try balancer.engine("A").observations.requests.count == 1)
        }
    }
}
