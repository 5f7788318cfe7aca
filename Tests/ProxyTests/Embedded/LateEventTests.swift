import NIOCore
import Routing
import Testing

@testable import Proxy

/// What comes for a request that is over changes nothing.
@Suite("Events that come too late")
struct LateEventTests {
    private struct ServerError: Error {}

    @Test("the router's word for a request that has ended, or for another one of the same client, is ignored")
    func routersWord() throws {
        try withEmbeddedBalancer(["A", "B"]) { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            let runner = try balancer.handler(of: client).runner
            client.receive(chat())
            let old = try #require(runner.attempt.ticket)
            let granted = runner.record.grant
            var grant = try #require(granted)
            grant.backend = BackendID(rawValue: 1)
            server.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            #expect(answers(in: client.takeSent()).whole.map(\.text) == ["ok"])
            func lateWords() {
                for event: ExchangeRunner.Event in [
                    .granted(old, grant), .refused(old, .noSuchServer("x")), .failureKept(old), .serverLost(old), .cancelled(old),
                ] {
                    balancer.context.handle(.exchange(runner, event))
                }
                balancer.context.cancel(old)
            }
            lateWords()
            #expect(client.sent.isEmpty && runner.exchange.state == .idle && balancer.dialer.hosts.isEmpty)
            _ = server.takeSent()
            client.receive(chat(content: "second"))
            #expect(server.sent.contains("second"))
            let state = runner.exchange.state
            lateWords()
            #expect(client.sent.isEmpty && runner.exchange.state == state && !server.isClosed && balancer.dialer.hosts.isEmpty)
            #expect(balancer.inFlight == 1)
            server.receive("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
            #expect(answers(in: client.sent).whole.map(\.text) == ["second"])
            #expect(balancer.notes.records.count == 2)
        }
    }

    @Test("a connection that is there after its client left goes to the pool; a late failure is nobody's")
    func lateDial() throws {
        try withEmbeddedBalancer { balancer in
            let (first, second) = (try balancer.client(), try balancer.client())
            first.receive(chat())
            second.receive(chat())
            first.end()
            second.end()
            #expect(balancer.inFlight == 0 && balancer.dialer.hosts.count == 2)
            let server = try balancer.acceptDial()
            balancer.dialer.refuse()
            balancer.run()
            #expect(server.sent.isEmpty && !server.isClosed)
            #expect(balancer.notes.records.count == 2)
            let third = try balancer.client()
            third.receive(chat(content: "third"))
            #expect(server.sent.contains("third") && balancer.dialer.hosts.isEmpty)
        }
    }

    @Test("a dial of an earlier request does not serve the client's next one twice")
    func dialOfEarlierRequest() throws {
        try withEmbeddedBalancer(["A", "B"]) { balancer in
            let client = try balancer.client()
            client.receive(chat(content: "first", fields: ["X-Request-Id: one"]))
            #expect(balancer.router.cancel(requestID: "one") == .cancelled)
            balancer.run()
            #expect(answers(in: client.takeSent()).whole.map(\.status) == [410])
            client.receive(chat(content: "second"))
            #expect(balancer.dialer.hosts.count == 2)
            let early = try balancer.acceptDial()
            let late = try balancer.acceptDial()
            #expect(early.sent.isEmpty && late.sent.contains("second"))
        }
    }

    @Test("an answer of ours that comes late is not given to the next request")
    func lateOwnAnswer() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            let handler = try balancer.handler(of: client)
            client.receive(get("/metrics") + get("/llmhealth"))
            #expect(client.sent.isEmpty)
            let promise = try #require(balancer.notes.takePromises().first)
            let number = handler.runner.requestNumber
            promise.succeed(LocalResponse(body: Array("metrics".utf8)))
            balancer.run()
            #expect(answers(in: client.takeSent()).whole.map(\.text) == ["metrics", "own /llmhealth\n"])
            client.receive(get("/metrics"))
            for late: Result<LocalResponse, any Error> in [.success(LocalResponse()), .failure(ServerError())] {
                balancer.context.handle(.exchange(handler.runner, .answeredHere(number: number, late)))
            }
            #expect(client.sent.isEmpty)
            for promise in balancer.notes.takePromises() { promise.fail(ServerError()) }
            #expect(answers(in: client.sent).whole.map(\.status) == [502])
        }
    }

    @Test("an answer of ours for a client that has left goes nowhere")
    func ownAnswerForNobody() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            client.receive(get("/metrics"))
            client.end()
            for promise in balancer.notes.takePromises() { promise.succeed(LocalResponse(body: [1])) }
            balancer.run()
            #expect(client.sent.isEmpty && client.lateBytes == 0)
        }
    }

    @Test("events are fed while their client takes them, and after its end to nobody")
    func feed() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            client.receive(get("/llmhealth-monitor/events"))
            let sink = try #require(balancer.notes.feeds.first)
            #expect(sink.send(Array("data: 1\n\n".utf8)))
            #expect(client.sent.hasSuffix("\r\n\r\n9\r\ndata: 1\n\n\r\n"))
            client.isWritable = false
            #expect(!sink.send(Array("data: 2\n\n".utf8)))
            client.isWritable = true
            #expect(sink.send(Array("data: 3\n\n".utf8)))
            #expect(!client.sent.contains("data: 2") && client.sent.hasSuffix("data: 3\n\n\r\n"))
            client.end()
            balancer.run()
            let sent = client.sent
            _ = sink.send(Array("data: 4\n\n".utf8))
            #expect(client.sent == sent && client.lateBytes == 0)
        }
    }

    @Test("bytes of a server that come behind its whole answer close the connection and reach no later request")
    func spokenUnasked() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(get("/v1/files"))
            server.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            server.receive("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
            #expect(server.isClosed)
            client.receive(get("/v1/files"))
            #expect(balancer.dialer.hosts.count == 1)
            #expect(!client.sent.contains("bad"))
        }
    }

    @Test("the end of a connection that was dropped before changes nothing for the request on another one")
    func endOfDroppedConnection() throws {
        try withEmbeddedBalancer(["A", "B"]) { balancer in
            let (a, b) = (try balancer.keptConnection(to: 0), try balancer.keptConnection(to: 1))
            let client = try balancer.client()
            client.receive(chat())
            let runner = try balancer.handler(of: client).runner
            let first = try #require(runner.attempt.upstream)
            a.receive("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
            #expect(!b.sent.isEmpty)
            for event: ExchangeRunner.Event in [
                .upstreamEnded(first, error: "reset"),
                .upstreamRead(first, ByteBuffer(string: "HTTP/1.1 200 OK\r\n\r\n"), isStale: false),
                .upstreamWritabilityChanged(first, false), .upstreamReadComplete(first),
            ] {
                balancer.context.handle(.exchange(runner, event))
            }
            #expect(client.sent.isEmpty && client.isReading && !b.isClosed)
            b.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            #expect(answers(in: client.sent).whole.map(\.text) == ["ok"])
        }
    }
}
