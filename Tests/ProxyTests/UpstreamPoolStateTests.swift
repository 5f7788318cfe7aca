import Proxy
import Routing
import Testing

@Suite("Idle upstream connections")
struct UpstreamPoolStateTests {
    private final class Connection {}

    private func moment(seconds: Double) -> Moment { Moment(nanoseconds: Int64(seconds * 1e9)) }

    @Test("the most recently used connection is lent first")
    func newestFirst() {
        var pool = UpstreamPoolState<Connection>()
        let (first, second) = (Connection(), Connection())
        let taken = [pool.giveBack(first, at: moment(seconds: 0)), pool.giveBack(second, at: moment(seconds: 1))]
        #expect(taken == [true, true])
        let lent = (0..<3).map { _ in pool.lease(at: moment(seconds: 2)) }
        #expect(lent[0] === second)
        #expect(lent[1] === first)
        #expect(lent[2] == nil)
    }

    @Test("a connection is lent to one request only")
    func lentOnce() {
        var pool = UpstreamPoolState<Connection>()
        let connection = Connection()
        _ = pool.giveBack(connection, at: .zero)
        let lent = (0..<2).map { _ in pool.lease(at: .zero) }
        #expect(lent[0] === connection)
        #expect(lent[1] == nil)
        #expect(pool.idleCount == 0)
    }

    @Test("a connection idle for the whole idle time is not lent any more, and is closed")
    func expiry() {
        var pool = UpstreamPoolState<Connection>(idleTime: .seconds(4))
        let (old, young) = (Connection(), Connection())
        _ = pool.giveBack(old, at: moment(seconds: 0))
        _ = pool.giveBack(young, at: moment(seconds: 2))
        let (tooEarly, expired) = (pool.expired(at: moment(seconds: 3.9)), pool.expired(at: moment(seconds: 4)))
        #expect(tooEarly.isEmpty)
        #expect(expired.count == 1 && expired.first === old)
        let lent = pool.lease(at: moment(seconds: 6))
        #expect(lent == nil)
        #expect(pool.idleCount == 1)
        let last = pool.expired(at: moment(seconds: 6))
        #expect(last.first === young)
        #expect(pool.idleCount == 0)
    }

    @Test("past the limit a connection is not taken back")
    func limit() {
        var pool = UpstreamPoolState<Connection>(idleLimit: 2)
        let taken = (0..<3).map { _ in pool.giveBack(Connection(), at: .zero) }
        #expect(taken == [true, true, false])
        #expect(pool.idleCount == 2)
    }

    @Test("a connection that the server closed is forgotten")
    func removal() {
        var pool = UpstreamPoolState<Connection>()
        let (gone, here) = (Connection(), Connection())
        _ = pool.giveBack(here, at: .zero)
        _ = pool.giveBack(gone, at: .zero)
        pool.remove(gone)
        let lent = (0..<2).map { _ in pool.lease(at: .zero) }
        #expect(lent[0] === here)
        #expect(lent[1] == nil)
    }

    @Test("closing the pool gives up every connection")
    func removeAll() {
        var pool = UpstreamPoolState<Connection>()
        for _ in 0..<3 { _ = pool.giveBack(Connection(), at: .zero) }
        let all = pool.removeAll()
        #expect(all.count == 3)
        #expect(pool.idleCount == 0)
    }
}
