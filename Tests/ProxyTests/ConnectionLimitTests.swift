import NIOConcurrencyHelpers
import Testing

@testable import Proxy

@Suite("The limit of connections")
struct ConnectionLimitTests {
    private let limit = ConnectionLimit(2)
    private let calls = NIOLockedValueBox(0)

    private var called: Int { calls.withLockedValue { $0 } }

    @Test("has room until it is reached, and tells the listener once when there is room again")
    func toldOnce() {
        limit.onRoom { [calls] in calls.withLockedValue { $0 += 1 } }
        limit.opened()
        #expect(limit.hasRoom())
        limit.opened()
        #expect(!limit.hasRoom())
        #expect(called == 0)
        limit.closed()
        #expect(called == 1)
        limit.closed()
        #expect(called == 1, "nobody waits any more")
        #expect(limit.hasRoom())
    }

    @Test("says nothing while it is still exceeded, or while nobody waits")
    func silence() {
        limit.onRoom { [calls] in calls.withLockedValue { $0 += 1 } }
        for _ in 0..<3 { limit.opened() }
        limit.closed()
        #expect(called == 0, "nobody has asked")
        #expect(!limit.hasRoom())
        limit.opened()
        limit.closed()
        #expect(called == 0, "still full")
        limit.closed()
        #expect(called == 1)
    }
}
