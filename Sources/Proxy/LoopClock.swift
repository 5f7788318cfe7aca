import Routing

/// A loop's clocks, read once at the beginning of each callback.
struct LoopClock {
    /// The monotonic clock.
    private(set) var now: Moment
    /// The difference between milliseconds since 1970 and the monotonic clock.
    private var wallOffset: Int

    init() {
        let now = Clock.now
        self.now = now
        wallOffset = Clock.wallMilliseconds - Int(now.nanoseconds / 1_000_000)
    }

    mutating func read() { now = Clock.now }

    /// Reads the wall clock too; a few times a second is enough.
    mutating func readBoth() { self = LoopClock() }

    /// Milliseconds since 1970, for people and logs only.
    var wallMilliseconds: Int { Int(now.nanoseconds / 1_000_000) + wallOffset }
}
