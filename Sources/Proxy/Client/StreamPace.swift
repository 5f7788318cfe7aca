package import Routing

/// Measures the gaps between the pieces of a stream, to detect a stream that has become silent: a silence much longer than
/// usual for this stream, not just a long one. Prefill is not measured; measuring begins after the first piece.
package struct StreamPace: Sendable {
    /// Shorter silences are ignored, however fast the stream was.
    private static let shortest = Interval.seconds(20)
    private static let factor = 20.0
    /// The number of gaps that must be known before a gap can count as unusual.
    private static let gapsNeeded = 8

    private var usualGapMilliseconds = 0.0
    private var gaps = 0
    private var hasBeenReported = false

    package init() {}

    /// A piece has arrived.
    package mutating func pieceCame(at now: Moment, after last: Moment) {
        hasBeenReported = false
        gaps += 1
        let gap = now.milliseconds(since: last)
        // The mean of the first gaps, then an average over about the last 32 gaps.
        usualGapMilliseconds += (gap - usualGapMilliseconds) / Double(min(gaps, 32))
    }

    /// True once for each silence that exceeds the limit.
    package mutating func hasStalled(at now: Moment, since last: Moment) -> Bool {
        guard !hasBeenReported, gaps >= Self.gapsNeeded else { return false }
        let limit = max(Double(Self.shortest.nanoseconds) / 1_000_000, Self.factor * usualGapMilliseconds)
        guard now.milliseconds(since: last) > limit else { return false }
        hasBeenReported = true
        return true
    }
}
