import Routing
import Testing

@testable import Proxy

@Suite("Connections to servers that a loop keeps")
struct KeptConnectionTests {
    private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    @Test("are bounded over all servers, and one server may have them all")
    func bounded() throws {
        try withEmbeddedBalancer(["A", "B"], settings: ProxySettings { $0.limits.idleUpstream = 3 }) { balancer in
            let first = try (0..<3).map { _ in try balancer.keptConnection(to: 0) }
            let tooMany = [try balancer.keptConnection(to: 0), try balancer.keptConnection(to: 1)]
            #expect(first.allSatisfy { !$0.isClosed } && tooMany.allSatisfy(\.isClosed))
            // One that is in use makes room, until it comes back.
            let client = try balancer.client()
            client.receive(chat())
            let used = try #require(first.first { !$0.sent.isEmpty })
            let other = try balancer.keptConnection(to: 1)
            #expect(!other.isClosed)
            used.receive(ok)
            #expect(used.isClosed && answers(in: client.sent).whole.map(\.text) == ["ok"])
            // So does one that the server closes.
            other.end()
            #expect(!(try balancer.keptConnection(to: 1)).isClosed)
        }
    }

    @Test("of a server that is gone from the configuration make room")
    func retired() throws {
        var settings = ProxySettings { $0.limits.idleUpstream = 1 }
        try withEmbeddedBalancer(["A", "B"], settings: settings) { balancer in
            let gone = try balancer.keptConnection(to: 0)
            settings.endpoints = balancer.context.settings.endpoints.filter { $0.name == "B" }
            balancer.context.apply(settings)
            #expect(gone.isClosed)
            #expect(!(try balancer.keptConnection(to: 1)).isClosed)
        }
    }
}
