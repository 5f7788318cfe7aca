import Testing

@testable import Routing

@Suite("Properties of the router")
struct RouterPropertyTests {
    /// Limits hold; each request gets one final answer; nobody waits while a place is free, or for nothing; order is
    /// kept within a client; the down and the draining get nothing; replays agree; counts are right; nothing is left.
    @Test("hold after each of 2,000 random events", arguments: 1...50)
    func hold(seed: UInt64) {
        var life = RandomLife(seed: seed)
        life.live(events: 2_000)
        life.end()
        if let failure = life.failure { Issue.record("seed \(seed): \(failure)") }
    }
}
