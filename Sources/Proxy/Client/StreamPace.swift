package import Routing

/// How regularly the pieces of a stream come, to notice when one has fallen silent: much longer than usual for it, not just
/// long. Prefill is not measured, only what follows the first piece.
package struct StreamPace: Sendable {
    /// Shorter silences mean nothing, however fast the stream was.
    private static let shortest = Interval.seconds(20)
    private static let factor = 20.0
    /// So many gaps have to be known before any is unusual.
    private static let gapsNeeded = 8

    private var usualGapMilliseconds = 0.0
    private var gaps = 0
    private var hasBeenReported = false

    package init() {}

    /// A piece has come.
    package mutating func pieceCame(at now: Moment, after last: Moment) {
        hasBeenReported = false
        gaps += 1
        let gap = now.milliseconds(since: last)
        // The mean of the first ones, then an average over about the last 32.
        usualGapMilliseconds += (gap - usualGapMilliseconds) / Double(min(gaps, 32))
    }

    /// True once for each silence that is too long.
    package mutating func hasStalled(at now: Moment, since last: Moment) -> Bool {
        guard !hasBeenReported, gaps >= Self.gapsNeeded else { return false }
        let limit = max(Double(Self.shortest.nanoseconds) / 1_000_000, Self.factor * usualGapMilliseconds)
        guard now.milliseconds(since: last) > limit else { return false }
        hasBeenReported = true
        return true
    }
}
