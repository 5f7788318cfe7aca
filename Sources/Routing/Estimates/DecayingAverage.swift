/// A decaying average. A new sample of weight w multiplies the weight of all earlier samples by halfLife / (halfLife + w), so
/// a single sample of weight `halfLife` halves it.
struct DecayingAverage: Sendable, Equatable {
    private var weightedSum = 0.0
    private var weight = 0.0
    private let halfLife: Double

    /// - Parameter halfLife: in units of the weights given to `add` (samples, tokens, seconds …).
    init(halfLife: Double) { self.halfLife = halfLife }

    /// Nil before the first sample.
    var value: Double? { weight > 0 ? weightedSum / weight : nil }

    /// Samples that are not finite, or weigh nothing, are ignored.
    mutating func add(_ sample: Double, weight sampleWeight: Double = 1) {
        guard sample.isFinite, sampleWeight.isFinite, sampleWeight > 0 else { return }
        let keep = halfLife / (halfLife + sampleWeight)
        weightedSum = weightedSum * keep + sample * sampleWeight
        weight = weight * keep + sampleWeight
    }
}
