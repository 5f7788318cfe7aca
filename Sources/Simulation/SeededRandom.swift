/// A small random generator (SplitMix64): the same seed gives the same numbers.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// For one of several independent parts of a workload.
    package init(seed: UInt64, part: UInt64) { state = mixed(seed ^ mixed(part &+ 0x5851_F42D_4C95_7F2D)) }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return mixed(state)
    }

    /// 0 ..< 1.
    package mutating func fraction() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }

    /// Each number of the range with the same chance.
    package mutating func integer(in range: ClosedRange<Int>) -> Int {
        range.lowerBound + min(range.count - 1, Int(fraction() * Double(range.count)))
    }

    /// Of the exponential distribution.
    package mutating func exponential(mean: Double) -> Double { -mean * naturalLogarithm(1 - fraction()) }

    /// Of the normal distribution with mean 0 and deviation 1 (Marsaglia's method).
    package mutating func normal() -> Double {
        while true {
            let (x, y) = (2 * fraction() - 1, 2 * fraction() - 1)
            let square = x * x + y * y
            if square > 0, square < 1 { return x * (-2 * naturalLogarithm(square) / square).squareRoot() }
        }
    }

    /// `exp` of a normal distribution.
    package mutating func logNormal(mean: Double, deviation: Double) -> Double {
        powerOfE(mean + deviation * normal())
    }

    /// A log-normal number of tokens, cut to a range.
    package mutating func tokens(logMean: Double, deviation: Double, in range: ClosedRange<Int>) -> Int {
        min(range.upperBound, max(range.lowerBound, Int(logNormal(mean: logMean, deviation: deviation))))
    }
}

/// Spreads the bits of a number: the last step of SplitMix64.
package func mixed(_ number: UInt64) -> UInt64 {
    var mixed = number
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
}

private let logarithmOfTwo = 0.693_147_180_559_945_3

/// ln x, for positive finite x: the standard library has none, and this module imports no other.
func naturalLogarithm(_ x: Double) -> Double {
    guard x > 0, x.isFinite else { return x > 0 ? x : -.infinity }
    // ln m = 2 artanh((m − 1) / (m + 1)) for m in 1 ..< 2; its argument is at most 1/3, so that 18 terms are enough.
    let ratio = (x.significand - 1) / (x.significand + 1)
    var (power, sum) = (ratio, 0.0)
    for odd in stride(from: 1.0, through: 35, by: 2) {
        sum += power / odd
        power *= ratio * ratio
    }
    return 2 * sum + Double(x.exponent) * logarithmOfTwo
}

/// eˣ.
func powerOfE(_ x: Double) -> Double {
    guard abs(x) < 700 else { return x < 0 ? 0 : .infinity }
    let doublings = (x / logarithmOfTwo).rounded()
    let rest = x - doublings * logarithmOfTwo
    var (term, sum) = (1.0, 1.0)
    for number in 1...18 {
        term *= rest / Double(number)
        sum += term
    }
    return sum * Double(sign: .plus, exponent: Int(doublings), significand: 1)
}
