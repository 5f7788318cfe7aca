import Testing

@testable import Routing

@Suite("The average that forgets")
struct DecayingAverageTests {
    @Test("has no value before its first sample, and is that sample then")
    func first() {
        var average = DecayingAverage(halfLife: 10)
        #expect(average.value == nil)
        average.add(7)
        #expect(average.value == 7)
    }

    @Test("stays at a constant and lies between its samples")
    func bounds() throws {
        var average = DecayingAverage(halfLife: 5)
        for _ in 0..<100 { average.add(3, weight: 2) }
        #expect(abs(try #require(average.value) - 3) < 1e-9)
        average.add(9)
        let value = try #require(average.value)
        #expect(value > 3 && value < 9)
    }

    @Test("moves to new samples, faster with a shorter half-life and a heavier weight")
    func moves() throws {
        func after(halfLife: Double, weight: Double) throws -> Double {
            var average = DecayingAverage(halfLife: halfLife)
            for _ in 0..<50 { average.add(0) }
            for _ in 0..<5 { average.add(1, weight: weight) }
            return try #require(average.value)
        }
        #expect(try after(halfLife: 2, weight: 1) > after(halfLife: 20, weight: 1))
        #expect(try after(halfLife: 20, weight: 10) > after(halfLife: 20, weight: 1))
        #expect(try after(halfLife: 2, weight: 1) > 0.8)
    }

    @Test(
        "ignores samples that are no numbers or weigh nothing",
        arguments: [
            (Double.nan, 1), (.infinity, 1), (1, 0), (1, -1), (1, .nan), (1, .infinity),
        ])
    func ignored(sample: Double, weight: Double) {
        var average = DecayingAverage(halfLife: 10)
        average.add(5)
        average.add(sample, weight: weight)
        #expect(average.value == 5)
    }

    @Test("the snapshot has the learned speeds, from the timings that an engine tells, and nothing from empty ones")
    func speeds() {
        var scene = Scene([("A", 4)])
        func run(_ timings: Timings) {
            let (ticket, _) = scene.ask()
            _ = scene.happens(.finished(ticket, Outcome(.complete, timings: timings)))
        }
        run(Timings(promptTokens: 0, promptMilliseconds: 0, predictedTokens: 1, predictedMilliseconds: 0))
        #expect(scene.server("A")?.prefillTokensPerSecond == nil)
        #expect(scene.server("A")?.decodeTokensPerSecond == nil)
        run(Timings(promptTokens: 1000, promptMilliseconds: 500, predictedTokens: 30, predictedMilliseconds: 1000))
        #expect(scene.server("A")?.prefillTokensPerSecond == 2000)
        // The first of the tokens comes with the end of the prompt.
        #expect(scene.server("A")?.decodeTokensPerSecond.map { abs($0 - 29) < 1e-6 } ?? false)
    }
}
