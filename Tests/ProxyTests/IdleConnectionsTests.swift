import Routing
import Testing

@testable import Proxy

@Suite("Idle connections")
struct IdleConnectionsTests {
    private final class Client {
        let name: Int
        init(_ name: Int) { self.name = name }
    }

    private func at(_ seconds: Int) -> Moment { .zero + .seconds(Int64(seconds)) }

    @Test("the longest idle one comes first, whoever became busy in between")
    func order() {
        var idle = IdleConnections<Client>()
        #expect(idle.isEmpty && idle.longestSince == nil && idle.longest(3).isEmpty)
        let places = (1...4).map { idle.becameIdle(Client($0), at: at($0)) }
        #expect(idle.longest(2).map(\.name) == [1, 2])
        #expect(idle.longestSince == at(1))
        idle.becameBusy(places[0])
        idle.becameBusy(places[2])
        #expect(idle.longest(9).map(\.name) == [2, 4])
        #expect(idle.longestSince == at(2))
        _ = idle.becameIdle(Client(1), at: at(5))
        #expect(idle.longest(9).map(\.name) == [2, 4, 1])
        idle.becameBusy(places[1])
        idle.becameBusy(places[3])
        #expect(idle.longest(9).map(\.name) == [1])
    }

    @Test("a place given back twice changes nothing")
    func twice() {
        var idle = IdleConnections<Client>()
        let place = idle.becameIdle(Client(1), at: at(1))
        _ = idle.becameIdle(Client(2), at: at(2))
        idle.becameBusy(place)
        idle.becameBusy(place)
        #expect(idle.longest(9).map(\.name) == [2])
    }

    @Test("a random life agrees with a plain list, and its memory is used again")
    func randomLife() {
        var random = SplitMix64(seed: 5)
        var idle = IdleConnections<Client>()
        var plain: [(client: Client, place: IdleConnections<Client>.Place)] = []
        for step in 0..<20_000 {
            if plain.count < 20, Bool.random(using: &random) {
                let client = Client(step)
                plain.append((client, idle.becameIdle(client, at: at(step))))
            } else if !plain.isEmpty {
                idle.becameBusy(plain.remove(at: Int.random(in: 0..<plain.count, using: &random)).place)
            }
            #expect(idle.longest(20).map(\.name) == plain.map(\.client.name))
        }
        #expect(idle.capacity <= 21)
    }
}
