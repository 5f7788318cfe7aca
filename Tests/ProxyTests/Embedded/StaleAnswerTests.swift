import Testing

@testable import Proxy

/// A kept connection that died with an answer unread: SwiftNIO reads it inside the write that fails.
@Suite("A kept connection whose write fails with an answer unread")
struct StaleAnswerTests {
    private static let stale =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nX-Stale: yes\r\n\r\nstale"
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

    /// Makes the connection's next write deliver the stale answer, then fail.
    private func spoil(_ connection: EmbeddedSocket) {
        connection.onWrite = { [unowned connection] in
            connection.onWrite = nil
            connection.receive(Self.stale)
            connection.fail()
            return .failed
        }
    }

    /// The request as one of our servers has to get it: once, and with that server's key alone.
    private func expectOneRequest(
        _ sent: String, key: String, body: String = chatBody(), sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(sent.occurrences(of: "POST /v1/chat/completions HTTP/1.1\r\n") == 1, sourceLocation: sourceLocation)
        #expect(sent.occurrences(of: "Authorization: ") == 1, sourceLocation: sourceLocation)
        #expect(sent.contains("Authorization: \(key)\r\n"), sourceLocation: sourceLocation)
        #expect(sent.hasSuffix("\r\n\r\n" + body), sourceLocation: sourceLocation)
    }

    @Test("the request goes out once, on a new connection, and nobody gets the stale answer", arguments: [true, false])
    func newConnection(dialEndsAtOnce: Bool) throws {
        try withEmbeddedBalancer(["A", "B"]) { balancer in
            balancer.dialer.answersAtOnce = dialEndsAtOnce
            let (kept, client) = (try balancer.keptConnection(), try balancer.client())
            spoil(kept)
            client.receive(chat())
            #expect(kept.isClosed && kept.sent.isEmpty)
            let fresh = dialEndsAtOnce ? try #require(balancer.dialer.opened.first) : try balancer.acceptDial()
            #expect(balancer.dialer.opened.count == 1 && balancer.dialer.hosts.isEmpty)
            expectOneRequest(fresh.sent, key: "key-A")
            #expect(client.sent.isEmpty)
            fresh.receive(Self.ok)
            let whole = answers(in: client.sent).whole
            #expect(whole.map(\.status) == [200] && whole.first?.text == "good")
            #expect(whole.first?["X-Balancer-Attempts"] == nil)
            #expect(balancer.notes.records.map(\.status) == [200])
        }
    }

    @Test("when its server cannot be reached any more, another server's kept connection gets it once, with its own key")
    func otherServer() throws {
        try withEmbeddedBalancer(["A", "B"]) { balancer in
            let (a, b) = (try balancer.keptConnection(to: 0), try balancer.keptConnection(to: 1))
            let client = try balancer.client()
            spoil(a)
            client.receive(chat())
            #expect(balancer.dialer.hosts == ["a.example"] && b.sent.isEmpty)
            balancer.dialer.refuse()
            expectOneRequest(b.sent, key: "key-B")
            b.receive(Self.ok)
            #expect(answers(in: client.sent).whole.map(\.text) == ["good"])
            #expect(balancer.notes.records.map(\.status) == [200])
        }
    }

    @Test("the same for bodies that go out in pieces of their own")
    func longBody() throws {
        try withEmbeddedBalancer { balancer in
            let (kept, client) = (try balancer.keptConnection(), try balancer.client())
            let body = chatBody(content: String(repeating: "long ", count: 10_000))
            var writes = 0
            // The head is taken, and so is what follows it: only then does the connection fail.
            kept.onWrite = { [unowned kept] in
                writes += 1
                if writes == 2 {
                    kept.receive(Self.stale)
                    kept.fail()
                }
                return .failed
            }
            client.receive(post("/v1/chat/completions", body))
            let fresh = try balancer.acceptDial()
            expectOneRequest(fresh.sent, key: "key-A", body: body)
            fresh.receive(Self.ok)
            #expect(answers(in: client.sent).whole.map(\.text) == ["good"])
        }
    }

    @Test("two clients in one go: the request that is written inside the other one's failing write stays whole")
    func twoClients() throws {
        try withEmbeddedBalancer(["A", "B"]) { balancer in
            let (a, b) = (try balancer.keptConnection(to: 0), try balancer.keptConnection(to: 1))
            let (first, second) = (try balancer.client(), try balancer.client())
            a.onWrite = { [unowned a] in
                a.onWrite = nil
                second.receive(get("/upstream/B/props", fields: ["X-Forwarded-For: 1.1.1.1"]))
                second.receive(get("/v1/audio/voices"))
                a.receive(Self.stale)
                a.fail()
                return .failed
            }
            first.receive(chat())
            while !balancer.dialer.hosts.isEmpty { _ = try balancer.acceptDial() }
            for connection in balancer.dialer.opened + [a, b] {
                let sent = connection.sent
                #expect(sent.occurrences(of: " HTTP/1.1\r\n") <= 1, "\(sent)")
                #expect(sent.occurrences(of: "Authorization: ") <= 1, "\(sent)")
            }
            let all = balancer.dialer.opened.map(\.sent)
            #expect(all.filter { $0.hasPrefix("POST ") }.count == 1)
            #expect(all.filter { $0.hasPrefix("GET /v1/audio/voices ") }.count == 1)
        }
    }
}
