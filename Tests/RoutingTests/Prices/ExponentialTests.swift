import Testing

@testable import Routing

@Suite("Exponential functions")
struct ExponentialTests {
    private func isNear(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) <= 1e-6 * abs(expected) }

    @Test(
        "decay is e to the power of -x",
        arguments: [
            (0.1, 0.904_837_418_035_959_6), (0.5, 0.606_530_659_712_633_4), (0.693_147, 0.500_000_090_279_980_6),
            (0.693_148, 0.499_999_590_280_066_6), (1, 0.367_879_441_171_442_33), (10, 4.539_992_976_248_485e-05),
            (100, 3.720_075_976_020_836e-44), (689, 5.903_396_706_470_844e-300),
        ])
    func decay(x: Double, expected: Double) {
        #expect(isNear(Exponential.decay(x), expected))
    }

    @Test("decay is 1 for nothing and for less, and 0 for more than it can tell")
    func decayExtremes() {
        #expect(Exponential.decay(0) == 1)
        #expect(Exponential.decay(-3) == 1)
        #expect(Exponential.decay(.nan) == 1)
        #expect(Exponential.decay(690) == 0)
        #expect(Exponential.decay(.infinity) == 0)
        #expect(isNear(Exponential.decay(1e-12), 1))
    }

    @Test("decay never rises, nor leaves 0 to 1")
    func decayIsMonotonous() {
        var last = 1.0
        for step in 0...70_000 {
            let value = Exponential.decay(Double(step) / 100)
            #expect(value <= last && value >= 0)
            last = value
        }
    }

    @Test("decay of a sum is the product of decays, wherever the parts lie")
    func decayOfSums() {
        var random = SplitMix64(seed: 7)
        for _ in 0..<10_000 {
            let (x, y) = (Double(random.below(300_000)) / 1000, Double(random.below(300_000)) / 1000)
            #expect(isNear(Exponential.decay(x) * Exponential.decay(y), Exponential.decay(x + y)))
        }
    }

    @Test(
        "the logarithm is the natural one, also next to 1",
        arguments: [
            (1e-300, -690.775_527_898_213_7), (1e-9, -20.723_265_836_946_41), (0.05, -2.995_732_273_553_991),
            (0.5, -0.693_147_180_559_945_3), (0.9, -0.105_360_515_657_826_28), (0.99, -0.010_050_335_853_501_45),
            (0.999, -0.001_000_500_333_583_534_4), (0.999_999, -1.000_000_500_029_089e-06), (1.001, 0.000_999_500_333_083_533_2),
            (1.5, 0.405_465_108_108_164_4), (1.999_999, 0.693_146_680_559_820_3), (2, 0.693_147_180_559_945_3),
            (1e300, 690.775_527_898_213_7),
        ])
    func logarithm(x: Double, expected: Double) {
        #expect(isNear(Exponential.logarithm(x), expected))
    }

    @Test("the logarithm of 1 is 0, of nothing and less it is -∞, of ∞ it is ∞")
    func logarithmExtremes() {
        #expect(Exponential.logarithm(1) == 0)
        #expect(Exponential.logarithm(0) == -.infinity)
        #expect(Exponential.logarithm(-1) == -.infinity)
        #expect(Exponential.logarithm(.infinity) == .infinity)
        #expect(isNear(Exponential.logarithm(.leastNonzeroMagnitude), -744.440_071_921_381_3))
    }

    @Test(
        "a power is one",
        arguments: [
            (0.5, 2, 0.25), (0.95, 3.898_979_485_566_356, 0.818_737_710_219_572_4), (0.25, 0.5, 0.5),
            (0.1, 10, 1e-10), (1, 1000, 1), (0.3, 0, 1), (0, 2, 0), (0, 0, 1), (0.5, 1e9, 0),
        ])
    func power(x: Double, y: Double, expected: Double) {
        #expect(isNear(Exponential.power(x, y), expected))
    }
}

@Suite("A decaying sum")
struct DecayingSumTests {
    @Test("loses all but 1/e of each term in its time, and adds what comes")
    func decays() {
        var sum = DecayingSum(timeConstant: 60)
        #expect(sum.value(at: 10) == 0)
        sum.add(3, at: 10)
        #expect(sum.value(at: 10) == 3)
        #expect(abs(sum.value(at: 70) - 3 * Exponential.decay(1)) < 1e-9)
        sum.add(1, at: 70)
        #expect(abs(sum.value(at: 130) - (3 * Exponential.decay(2) + Exponential.decay(1))) < 1e-6)
        #expect(sum.value(at: 1e12) == 0)
    }

    @Test("is never below 0, whatever is taken away")
    func neverNegative() {
        var sum = DecayingSum(timeConstant: 1)
        sum.add(1, at: 0)
        sum.add(-5, at: 1)
        #expect(sum.value(at: 1) == 0)
        sum.add(2, at: 1)
        #expect(sum.value(at: 1) == 2)
    }
}
