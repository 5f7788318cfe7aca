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
        #expect(pool.giveBack(first, at: moment(seconds: 0)))
        #expect(pool.giveBack(second, at: moment(seconds: 1)))
        #expect(pool.lease(at: moment(seconds: 2)) === second)
        #expect(pool.lease(at: moment(seconds: 2)) === first)
        #expect(pool.lease(at: moment(seconds: 2)) == nil)
    }

    @Test("a connection is lent to one request only")
    func lentOnce() {
        var pool = UpstreamPoolState<Connection>()
        let connection = Connection()
        _ = pool.giveBack(connection, at: .zero)
        #expect(pool.lease(at: .zero) === connection)
        #expect(pool.lease(at: .zero) == nil)
        #expect(pool.idleCount == 0)
    }

    @Test("a connection idle for the whole idle time is not lent any more, and is closed")
    func expiry() {
        var pool = UpstreamPoolState<Connection>(idleTime: .seconds(4))
        let (old, young) = (Connection(), Connection())
        _ = pool.giveBack(old, at: moment(seconds: 0))
        _ = pool.giveBack(young, at: moment(seconds: 2))
        #expect(pool.expired(at: moment(seconds: 3.9)).isEmpty)
        let expired = pool.expired(at: moment(seconds: 4))
        #expect(expired.count == 1 && expired.first === old)
        #expect(pool.lease(at: moment(seconds: 6)) == nil)
        #expect(pool.idleCount == 1)
        #expect(pool.expired(at: moment(seconds: 6)).first === young)
        #expect(pool.idleCount == 0)
    }

    @Test("past the limit a connection is not taken back")
    func limit() {
        var pool = UpstreamPoolState<Connection>(idleLimit: 2)
        #expect(pool.giveBack(Connection(), at: .zero))
        #expect(pool.giveBack(Connection(), at: .zero))
        #expect(!pool.giveBack(Connection(), at: .zero))
        #expect(pool.idleCount == 2)
    }

    @Test("a connection that the server closed is forgotten")
    func removal() {
        var pool = UpstreamPoolState<Connection>()
        let (gone, here) = (Connection(), Connection())
        _ = pool.giveBack(here, at: .zero)
        _ = pool.giveBack(gone, at: .zero)
        pool.remove(gone)
        #expect(pool.lease(at: .zero) === here)
        #expect(pool.lease(at: .zero) == nil)
    }

    @Test("closing the pool gives up every connection")
    func removeAll() {
        var pool = UpstreamPoolState<Connection>()
        for _ in 0..<3 { _ = pool.giveBack(Connection(), at: .zero) }
        #expect(pool.removeAll().count == 3)
        #expect(pool.idleCount == 0)
    }
}
