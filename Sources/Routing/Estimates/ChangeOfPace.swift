/// Notices that a machine has become faster or slower at once: three samples in a row that are far off to the same side. A mean would take
/// dozens of samples to follow; one or two may be odd.
struct ChangeOfPace: Sendable, Equatable {
    private static let samples = 3
    /// The times of a machine's usual requests differ by less, relative to what is known.
    private static let usual = 0.8...1.25

    private var count = 0
    /// Of the ratios, the one nearest to 1.
    private var nearest = 1.0

    /// - Parameter ratio: of a sample to what is known.
    /// - Returns: the ratio by which it has changed; nil when it has not.
    mutating func add(_ ratio: Double) -> Double? {
        guard !Self.usual.contains(ratio) else {
            count = 0
            return nil
        }
        if count > 0, (ratio > 1) == (nearest > 1) {
            count += 1
            nearest = ratio > 1 ? min(nearest, ratio) : max(nearest, ratio)
        } else {
            (count, nearest) = (1, ratio)
        }
        guard count == Self.samples else { return nil }
        count = 0
        return nearest
    }
}
