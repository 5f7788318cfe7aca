import Routing
import Testing

@testable import Proxy

@Suite("A stream that goes on without its client")
struct DetachedStreamTests {
    private static let ask = chat(stream: true, fields: ["X-Conversation-Id: chat-7"])

    private var settings: ProxySettings {
        var settings = ProxySettings()
        settings.timeouts.firstByte = .seconds(600)
        settings.timeouts.betweenBytes = .seconds(30)
        return settings
    }

    /// A minute is longer than the pause between two bytes, and shorter than a prefill may last.
    private func hasExpired(_ runner: ExchangeRunner) -> ExchangeRunner.Waiting? {
        runner.deadline.expired(at: runner.loop.now + .seconds(60))
    }

    @Test("has the time for a first byte when its client leaves during the prefill, and less time from its first byte on")
    func limits() throws {
        try withEmbeddedBalancer(settings: settings) { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            let runner = try balancer.handler(of: client).runner
            client.receive(Self.ask)
            client.end()
            #expect(runner.exchange.audience == .nobody && runner.exchange.state == .awaitingAnswer(onReused: true))
            #expect(hasExpired(runner) == nil)
            server.receive("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(hasExpired(runner) == nil, "its head is held until a byte of its body comes")
            server.receive("9\r\ndata: 1\n\n\r\n")
            #expect(hasExpired(runner) == .nextBytes)
        }
    }

    @Test("has the time between two bytes when its client leaves later")
    func limitsWhileRelaying() throws {
        try withEmbeddedBalancer(settings: settings) { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            let runner = try balancer.handler(of: client).runner
            client.receive(Self.ask)
            server.receive(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
            client.isWritable = false
            #expect(hasExpired(runner) == nil, "a client that does not read is not the server's silence")
            client.end()
            #expect(hasExpired(runner) == .nextBytes)
        }
    }
}
