/// A point in time on a monotonic clock. It is always passed in: no code in this module reads a clock.
package struct Moment: Hashable, Comparable, Sendable, Codable {
    /// Since the zero point of the clock.
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let zero = Moment(nanoseconds: 0)

    package static func < (left: Moment, right: Moment) -> Bool { left.nanoseconds < right.nanoseconds }

    package static func + (moment: Moment, interval: Interval) -> Moment {
        Moment(nanoseconds: moment.nanoseconds &+ interval.nanoseconds)
    }

    /// Milliseconds from `earlier` to this moment; negative when `earlier` is later.
    package func milliseconds(since earlier: Moment) -> Double {
        Double(nanoseconds &- earlier.nanoseconds) / 1_000_000
    }
}

/// A length of time. `Duration` has 128 bits and needs a division before it can be added to a clock reading; this type needs
/// one addition.
package struct Interval: Hashable, Comparable, Sendable, Codable {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// In whole nanoseconds. Durations above 100 years become 100 years.
    package init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        nanoseconds =
            seconds < 3_153_600_000
            ? seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000 : 3_153_600_000_000_000_000
    }

    package static func seconds(_ count: Int64) -> Interval { Interval(nanoseconds: count &* 1_000_000_000) }
    package static func milliseconds(_ count: Int64) -> Interval { Interval(nanoseconds: count &* 1_000_000) }
    package static func < (left: Interval, right: Interval) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Duration {
    package init(_ interval: Interval) { self = .nanoseconds(interval.nanoseconds) }
}
