/// A point in time on some steady clock, always passed in: nothing in this module reads a clock.
package struct Moment: Hashable, Comparable, Sendable {
    /// Since the clock's own beginning.
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let zero = Moment(nanoseconds: 0)

    package static func < (left: Moment, right: Moment) -> Bool { left.nanoseconds < right.nanoseconds }

    package static func + (moment: Moment, duration: Duration) -> Moment {
        Moment(nanoseconds: moment.nanoseconds &+ duration.nanoseconds)
    }

    /// Milliseconds from `earlier` to here; negative when `earlier` is later.
    package func milliseconds(since earlier: Moment) -> Double {
        Double(nanoseconds &- earlier.nanoseconds) / 1_000_000
    }
}

extension Duration {
    /// Whole nanoseconds; durations over 100 years count as 100 years.
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds < 3_153_600_000 else { return 3_153_600_000_000_000_000 }
        return seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000
    }
}
