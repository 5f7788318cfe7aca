/// The few functions of analysis that prices need, with a relative error below one in a million. This module imports nothing, and the same
/// results on every machine make recordings replayable.
enum Exponential {
    private static let ln2 = 0.693147180559945309417

    /// e to the power of -x, for x >= 0.
    static func decay(_ x: Double) -> Double {
        guard x > 0 else { return 1 }
        guard x < 690 else { return 0 }
        // x = halvings * ln 2 + rest
        let halvings = Int(x * (1 / ln2))
        let rest = x - Double(halvings) * ln2
        // Taylor series of e^-rest for 0 <= rest < 0.7; the first term left out is below 1e-8. In pairs (Estrin's scheme), because a
        // processor computes those at the same time.
        let square = rest * rest
        let fourth = square * square
        let first = (1 - rest) + square * (1.0 / 2 - rest * (1.0 / 6))
        let second = (1.0 / 24 - rest * (1.0 / 120)) + square * (1.0 / 720 - rest * (1.0 / 5040))
        let sum = first + fourth * (second + fourth * (1.0 / 40_320 - rest * (1.0 / 362_880)))
        return sum * Double(bitPattern: UInt64(1023 - halvings) << 52)
    }

    /// The natural logarithm of x > 0.
    static func logarithm(_ x: Double) -> Double {
        guard x > 0, x.isFinite else { return x > 0 ? .infinity : -.infinity }
        // x = 2^exponent * significand; the logarithm of the significand in [0.7, 1.4) by 2 artanh((s - 1) / (s + 1)). With one in
        // [1, 2), the two terms would nearly cancel each other for an x just below 1.
        var (exponent, significand) = (Double(x.exponent), x.significand)
        if significand > 1.4 { (exponent, significand) = (exponent + 1, significand / 2) }
        let z = (significand - 1) / (significand + 1)
        let square = z * z
        var sum = 0.0
        sum = sum * square + 1.0 / 13
        sum = sum * square + 1.0 / 11
        sum = sum * square + 1.0 / 9
        sum = sum * square + 1.0 / 7
        sum = sum * square + 1.0 / 5
        sum = sum * square + 1.0 / 3
        sum = sum * square + 1
        return exponent * ln2 + 2 * z * sum
    }

    /// x to the power of y, for 0 <= x <= 1 and y >= 0.
    static func power(_ x: Double, _ y: Double) -> Double {
        x > 0 ? decay(-y * logarithm(x)) : (y > 0 ? 0 : 1)
    }
}

/// A sum whose terms decay exponentially.
struct DecayingSum: Sendable, Equatable {
    /// In seconds: a term falls to 1/e in this time.
    private var timeConstant: Double
    private var sum = 0.0
    private var updatedAt = 0.0

    init(timeConstant: Double) { self.timeConstant = timeConstant }

    /// - Parameter now: in seconds; not before an earlier call.
    func value(at now: Double) -> Double { sum * Exponential.decay((now - updatedAt) / timeConstant) }

    /// From `now` on, terms fall to 1/e in that many seconds.
    mutating func setTimeConstant(_ seconds: Double, at now: Double) {
        add(0, at: now)
        timeConstant = seconds
    }

    mutating func add(_ term: Double, at now: Double) {
        sum = max(0, value(at: now) + term)
        updatedAt = now
    }
}
