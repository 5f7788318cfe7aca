import Testing

@testable import Proxy

/// A client that sends many requests ahead and does not take its answers: what it costs is bounded.
@Suite("Requests sent ahead of their answers, without sockets")
struct PipeliningTests {
    private func healthRequests(_ count: Int) -> String {
        (0..<count).map { "GET /llmhealth?n=\($0) HTTP/1.1\r\nHost: b\r\n\r\n" }.joined()
    }

    private func expectHealthAnswers(
        _ sent: String, _ numbers: Range<Int>, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let (whole, rest) = answers(in: sent)
        #expect(whole.map(\.text) == numbers.map { "own /llmhealth?n=\($0)\n" }, sourceLocation: sourceLocation)
        #expect(rest.isEmpty, sourceLocation: sourceLocation)
    }

    @Test("none is answered while the client takes nothing, and it is not read from; later all are, in order")
    func notWritable() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            client.isWritable = false
            client.receive(healthRequests(1000))
            #expect(client.sent.isEmpty && !client.isReading)
            client.isWritable = true
            balancer.run()
            #expect(client.isReading)
            expectHealthAnswers(client.sent, 0..<1000)
        }
    }

    @Test("a client that becomes full inside an answer gets no further one until it has room again")
    func fullInsideAnAnswer() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            var writes = 0
            client.onWrite = { [unowned client] in
                writes += 1
                if writes % 10 == 0 { client.isWritable = false }
                return .taken
            }
            client.receive(healthRequests(100))
            for round in 1...10 {
                balancer.run()
                #expect(!client.isWritable && writes == round * 10)
                #expect(client.isReading == (round == 10), "nothing is left that reading would have to wait for")
                client.isWritable = true
            }
            #expect(client.isReading)
            expectHealthAnswers(client.sent, 0..<100)
        }
    }

    @Test("writability that changes and changes back inside one write loses no request")
    func flicker() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            client.onWrite = { [unowned client] in
                client.isWritable = false
                client.isWritable = true
                return .taken
            }
            client.onFlush = { [unowned client] in
                client.isWritable = false
                client.isWritable = true
            }
            client.receive(healthRequests(50))
            balancer.run()
            #expect(client.isReading)
            expectHealthAnswers(client.sent, 0..<50)
        }
    }

    @Test("one of our own pages a turn: other clients get theirs in between")
    func turns() throws {
        try withEmbeddedBalancer { balancer in
            let (greedy, modest) = (try balancer.client(), try balancer.client())
            greedy.receive(healthRequests(500))
            for number in 1...100 {
                #expect(answers(in: greedy.sent).whole.count == number)
                // What comes meanwhile does not bring its next turn any nearer.
                greedy.receive(healthRequests(1))
                modest.receive(get("/health"))
                #expect(answers(in: modest.takeSent()).whole.count == 1)
                #expect(answers(in: greedy.sent).whole.count == number)
                balancer.nextTurn()
            }
        }
    }

    @Test("requests for servers wait their turn, too: no server gets the next one before the client has room")
    func proxied() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive((0..<100).map { get("/v1/files?n=\($0)") }.joined())
            for number in 0..<100 {
                #expect(server.takeSent().hasPrefix("GET /v1/files?n=\(number) HTTP/1.1\r\n"))
                if number % 3 == 0 { client.isWritable = false }
                server.receive("HTTP/1.1 200 OK\r\nContent-Length: \("\(number)".count)\r\n\r\n\(number)")
                if number % 3 == 0 {
                    #expect(server.sent.isEmpty && balancer.inFlight == 0)
                    #expect(client.isReading == (number == 99))
                    client.isWritable = true
                }
            }
            #expect(answers(in: client.sent).whole.map(\.text) == (0..<100).map { "\($0)" })
            #expect(balancer.dialer.opened.isEmpty && balancer.dialer.hosts.isEmpty)
        }
    }

    @Test("behind a request that is being answered so much is taken and no more; its end lets the client go on")
    func sentAhead() throws {
        try withEmbeddedBalancer(settings: ProxySettings { $0.limits.header = 4096 }) { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(get("/v1/files"))
            let ahead = Array(healthRequests(200).utf8)
            client.receive(Array(ahead[..<4096]))
            #expect(client.isReading)
            client.receive([ahead[4096]])
            #expect(!client.isReading)
            server.receive("HTTP/1.1 204 No Content\r\n\r\n")
            #expect(client.isReading)
            client.receive(Array(ahead[4097...]))
            balancer.run()
            let first = try #require(answers(in: client.sent).whole.first)
            #expect(first.status == 204)
            let start = try #require(client.sent.firstRange(of: "\r\n\r\n")?.upperBound)
            expectHealthAnswers(String(client.sent[start...]), 0..<200)
        }
    }
}

extension ProxySettings {
    init(_ configure: (inout ProxySettings) -> Void) {
        self.init()
        configure(&self)
    }
}
