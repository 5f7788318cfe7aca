/// What the router's decisions came to, since start.
package struct RoutingTotals: Sendable, Equatable {
    /// Prompt tokens, by what became of them.
    package var cachedTokens = 0
    /// Computed because nobody had them.
    package var newTokens = 0
    /// Computed although another server had them.
    package var movedTokens = 0
    /// Computed although this server was believed to have them.
    package var lostTokens = 0
    /// Granted requests, by what their server should have found of their prompt.
    package var hits = 0
    package var misses = 0
    package var moves = 0
    /// Time that granted requests have waited, in seconds.
    package var waitedSeconds = 0.0

    package init() {}

    mutating func granted(_ cache: CacheForecast?, waitedMilliseconds: Double?) {
        if let waitedMilliseconds { waitedSeconds += waitedMilliseconds / 1000 }
        switch cache?.result {
        case .hit: hits += 1
        case .miss: misses += 1
        case .moved: moves += 1
        case nil: break
        }
    }

    /// A request's prompt was computed. `believed`: the tokens that should have been found; `movedTokens`: those that another server had.
    mutating func ended(cached: Int, computed: Int, believed: Int, hadElsewhere: Int) {
        cachedTokens += cached
        let lost = max(0, min(computed, believed - cached))
        let moved = max(0, min(computed - lost, hadElsewhere - max(cached, believed)))
        lostTokens += lost
        movedTokens += moved
        newTokens += computed - lost - moved
    }
}

/// How well the first token was predicted: the last few hundred predictions.
package struct PredictionErrors: Sendable {
    private static let kept = 512

    private var errors: [Double] = []
    private var next = 0
    /// Predictions since start.
    package private(set) var count = 0

    package init() {}

    /// Both in seconds.
    mutating func add(predicted: Double, actual: Double) {
        count += 1
        if errors.count < Self.kept { return errors.append(actual - predicted) }
        errors[next] = actual - predicted
        next = (next + 1) % Self.kept
    }

    /// Actual less predicted seconds: the given quantiles of the kept errors. Empty while there are none.
    package func quantiles(_ wanted: [Double]) -> [(quantile: Double, seconds: Double)] {
        let sorted = errors.sorted()
        guard !sorted.isEmpty else { return [] }
        return wanted.map { ($0, sorted[min(sorted.count - 1, Int(Double(sorted.count) * $0))]) }
    }
}
