/// How long the router took to decide about arriving requests, as a histogram.
package struct DecisionTimes: Sendable, Equatable {
    /// The upper bounds of all classes but the last one, in seconds.
    package static let upperBounds = [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2]

    /// One count more than there are bounds.
    package private(set) var counts = [Int](repeating: 0, count: upperBounds.count + 1)
    /// Seconds, of all decisions.
    package private(set) var sum = 0.0

    package init() {}

    /// - Parameter seconds: the time that one decision took.
    mutating func add(_ seconds: Double) {
        sum += seconds
        counts[Self.upperBounds.firstIndex { seconds <= $0 } ?? Self.upperBounds.count] += 1
    }
}
