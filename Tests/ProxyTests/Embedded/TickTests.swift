import Routing
import Testing

@testable import Proxy

@Suite("A tick")
struct TickTests {
    @Test(
        "looks at a bounded number of clients, and every client's turn comes within four ticks", arguments: [100, 256, 257, 1500])
    func rounds(count: Int) throws {
        // Every client is too late at once.
        try withEmbeddedBalancer(settings: ProxySettings { $0.timeouts.head = .seconds(0) }) { balancer in
            let clients = try (0..<count).map { _ in try balancer.client() }
            var closed = 0
            for tick in 1...4 {
                balancer.context.tick()
                balancer.run()
                let now = clients.count(where: \.isClosed)
                #expect(now - closed <= max(256, (count + 3) / 4), "tick \(tick)")
                closed = now
            }
            #expect(closed == count)
        }
    }

    @Test("looks at clients that came during a round in the next one")
    func newClients() throws {
        try withEmbeddedBalancer(settings: ProxySettings { $0.timeouts.head = .seconds(0) }) { balancer in
            _ = try (0..<600).map { _ in try balancer.client() }
            balancer.context.tick()
            let late = try balancer.client()
            for _ in 1...7 { balancer.context.tick() }
            #expect(late.isClosed)
        }
    }
}
