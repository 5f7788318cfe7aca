import Testing

@testable import Routing

@Suite("Figures of engines")
struct EngineFiguresTests {
    private func isNear(_ one: Double?, _ other: Double, within part: Double = 1e-9) -> Bool {
        one.map { abs($0 - other) <= part * abs(other) } ?? false
    }

    /// A server on which prompts were computed alone.
    private func alone(_ speed: Double, times: Int = 10) -> EngineFigures {
        var figures = EngineFigures()
        for _ in 0..<times { figures.learnPrefill(tokens: 1000, seconds: 1000 / speed, isAlone: true, expected: nil) }
        return figures
    }

    @Test("nothing is known at first")
    func unknown() {
        let figures = EngineFigures()
        #expect(figures.prefillSpeed == nil && figures.leastPrefillSpeed == 0)
        #expect(figures.tokenTime == nil && figures.mostTokenTime == .infinity && figures.bytesPerToken == nil)
    }

    @Test("a prompt that was computed alone tells the speed, if it was long and took some time")
    func sample() {
        #expect(isNear(alone(2000, times: 1).prefillSpeed, 2000))
        var figures = EngineFigures()
        figures.learnPrefill(tokens: 255, seconds: 1, isAlone: true, expected: nil)
        figures.learnPrefill(tokens: 1000, seconds: 0, isAlone: true, expected: nil)
        figures.learnPrefill(tokens: 1000, seconds: -1, isAlone: true, expected: nil)
        figures.learnPrefill(tokens: 1000, seconds: .nan, isAlone: true, expected: nil)
        #expect(figures.prefillSpeed == nil && figures.leastPrefillSpeed == 0)
    }

    @Test("a prompt beside others only tells that the server is at least that fast, until one was alone")
    func bounds() {
        var figures = EngineFigures()
        for speed in [500.0, 900, 700] {
            figures.learnPrefill(tokens: 1000, seconds: 1000 / speed, isAlone: false, expected: 1)
        }
        #expect(figures.prefillSpeed == nil && isNear(figures.leastPrefillSpeed, 900))
        figures.learnPrefill(tokens: 1000, seconds: 2, isAlone: true, expected: nil)
        #expect(isNear(figures.prefillSpeed, 500), "what was measured alone counts")
    }

    @Test("a busy server's slow prompts do not make it slower, as long as they take what they should")
    func busyAsExpected() {
        var figures = alone(2000)
        for _ in 0..<100 { figures.learnPrefill(tokens: 1000, seconds: 2, isAlone: false, expected: 1.8) }
        #expect(isNear(figures.prefillSpeed, 2000))
        figures.learnPrefill(tokens: 1000, seconds: 0.25, isAlone: false, expected: 1)
        #expect(figures.prefillSpeed ?? 0 > 2000, "faster than known, although beside others")
    }

    @Test("a machine that halves its speed is found out by a few prompts alone")
    func slowerAlone() {
        var figures = alone(2000, times: 50)
        for _ in 0..<15 { figures.learnPrefill(tokens: 1000, seconds: 1, isAlone: true, expected: nil) }
        #expect(isNear(figures.prefillSpeed, 1000, within: 0.15))
    }

    @Test("a machine that halves its speed is found out although it is never alone")
    func slowerNeverAlone() {
        var figures = alone(2000, times: 50)
        func expected(_ tokens: Double) -> Double { tokens / (figures.prefillSpeed ?? 1) + 0.1 }
        for _ in 0..<5 {
            figures.learnPrefill(tokens: 4000, seconds: 4000 / 1000 + 0.1, isAlone: false, expected: expected(4000))
        }
        #expect(isNear(figures.prefillSpeed, 2000), "a few may be by chance")
        for _ in 0..<25 {
            figures.learnPrefill(tokens: 4000, seconds: 4000 / 1000 + 0.1, isAlone: false, expected: expected(4000))
        }
        #expect(isNear(figures.prefillSpeed, 1000, within: 0.1))
        #expect(figures.leastPrefillSpeed <= 1000)
    }

    @Test("prompts that are never alone tell the speed by the best of them, and that it has halved")
    func neverAlone() {
        var figures = EngineFigures()
        func prompts(_ count: Int, fastest: Double) {
            for number in 0..<count {
                let speed = fastest * [0.4, 0.7, 1, 0.5][number % 4]
                figures.learnPrefill(tokens: 1000, seconds: 1000 / speed, isAlone: false, expected: nil)
            }
        }
        prompts(5, fastest: 2000)
        #expect(figures.prefillSpeed == nil)
        prompts(1, fastest: 2000)
        #expect(isNear(figures.prefillSpeed, 2000))
        prompts(40, fastest: 1000)
        #expect(isNear(figures.prefillSpeed, 1000, within: 0.2))
        figures.learnPrefill(tokens: 1000, seconds: 1.25, isAlone: true, expected: nil)
        #expect(isNear(figures.prefillSpeed, 800), "what was measured alone counts")
    }

    @Test("three prompts or answers in a row that are far off show at once that the machine has changed", arguments: [0.5, 2, 5])
    func changedAtOnce(slowness: Double) {
        var figures = alone(2000, times: 50)
        for _ in 0..<50 { figures.learnDecode(tokens: 101, seconds: 1, isQuiet: true, mostStreams: 1) }
        for _ in 0..<3 {
            figures.learnPrefill(tokens: 1000, seconds: 0.5 * slowness, isAlone: true, expected: nil)
            figures.learnDecode(tokens: 101, seconds: slowness, isQuiet: true, mostStreams: 1)
        }
        #expect(isNear(figures.prefillSpeed, 2000 / slowness, within: 0.1))
        #expect(isNear(figures.tokenTime, 0.01 * slowness, within: 0.1))
    }

    @Test("one answer in peace that took a hundred times too long hardly counts")
    func oddAnswer() {
        var figures = EngineFigures()
        for seconds in [1.0, 100, 1] { figures.learnDecode(tokens: 101, seconds: seconds, isQuiet: true, mostStreams: 1) }
        #expect(figures.tokenTime.map { $0 < 0.014 } ?? false)
    }

    @Test("a prompt alone ends the suspicion that the machine has become slower")
    func suspicionEnds() {
        var figures = alone(2000)
        for _ in 0..<20 {
            for _ in 0..<5 { figures.learnPrefill(tokens: 1000, seconds: 2, isAlone: false, expected: 0.5) }
            figures.learnPrefill(tokens: 1000, seconds: 0.5, isAlone: true, expected: nil)
        }
        #expect(isNear(figures.prefillSpeed, 2000))
    }

    @Test("one prompt that took a hundred times too long halves the speed at most for a while")
    func outlier() {
        var figures = alone(2000, times: 50)
        figures.learnPrefill(tokens: 256, seconds: 12.8, isAlone: true, expected: nil)
        #expect(figures.prefillSpeed ?? 0 > 500)
        for _ in 0..<30 { figures.learnPrefill(tokens: 1000, seconds: 0.5, isAlone: true, expected: nil) }
        #expect(isNear(figures.prefillSpeed, 2000, within: 0.2))
    }

    @Test("one very long prompt does not outweigh all others")
    func longPrompt() {
        var figures = EngineFigures()
        for _ in 0..<50 { figures.learnPrefill(tokens: 8000, seconds: 4, isAlone: true, expected: nil) }
        figures.learnPrefill(tokens: 120_000, seconds: 120, isAlone: true, expected: nil)
        #expect(figures.prefillSpeed ?? 0 > 1750 && figures.prefillSpeed ?? 0 < 2000)
        var unknown = EngineFigures()
        unknown.learnPrefill(tokens: 120_000, seconds: 120, isAlone: true, expected: nil)
        #expect(isNear(unknown.prefillSpeed, 1000), "it counts all the same")
    }

    @Test("the time for a token is that of a single stream, from an answer in peace")
    func tokenTime() {
        var figures = EngineFigures()
        figures.learnDecode(tokens: 101, seconds: 1, isQuiet: true, mostStreams: 1)
        #expect(isNear(figures.tokenTime, 0.01))
        figures.learnDecode(tokens: 101, seconds: 2, isQuiet: true, mostStreams: 1)
        #expect(isNear(figures.tokenTime, 0.012))
        for _ in 0..<60 { figures.learnDecode(tokens: 101, seconds: 2.4, isQuiet: true, mostStreams: 5) }
        #expect(isNear(figures.tokenTime, 0.02, within: 1e-5), "four others slow it down by a fifth: half of their effect")
    }

    @Test("an answer beside prompts only tells that the time is at most that")
    func tokenBound() {
        var figures = EngineFigures()
        for seconds in [3.0, 2, 9] { figures.learnDecode(tokens: 101, seconds: seconds, isQuiet: false, mostStreams: 1) }
        #expect(figures.tokenTime == nil && isNear(figures.mostTokenTime, 0.02))
        figures.learnDecode(tokens: 101, seconds: 2.5, isQuiet: true, mostStreams: 1)
        for _ in 0..<7 { figures.learnDecode(tokens: 101, seconds: 30, isQuiet: false, mostStreams: 1) }
        #expect(isNear(figures.tokenTime, 0.025))
        figures.learnDecode(tokens: 101, seconds: 2, isQuiet: false, mostStreams: 1)
        #expect(isNear(figures.tokenTime, 0.02), "faster than known")
    }

    @Test("a server that is never quiet and always slower than known has become slower, by half for each eight answers at most")
    func slowerTokens() {
        var figures = EngineFigures()
        figures.learnDecode(tokens: 101, seconds: 1, isQuiet: true, mostStreams: 1)
        func answer(_ times: Int, seconds: Double) {
            for _ in 0..<times { figures.learnDecode(tokens: 101, seconds: seconds, isQuiet: false, mostStreams: 1) }
        }
        answer(8, seconds: 2)
        #expect(isNear(figures.tokenTime, 0.015))
        answer(8, seconds: 2)
        #expect(isNear(figures.tokenTime, 0.02))
        figures.learnDecode(tokens: 101, seconds: 1, isQuiet: true, mostStreams: 1)
        #expect(isNear(figures.tokenTime, 0.01), "an answer in peace shows at once that it was the others' prompts")
        for _ in 0..<20 {
            answer(7, seconds: 5)
            answer(1, seconds: 1)
        }
        #expect(isNear(figures.tokenTime, 0.01), "one answer of eight was fast")
        answer(80, seconds: 1.08)
        #expect(isNear(figures.tokenTime, 0.01), "a little slower, as beside others")
    }

    @Test("a bound of the time for a token is forgotten when no answer keeps it any more")
    func forgottenBound() {
        var figures = EngineFigures()
        for seconds in [1.0] + Array(repeating: 4, count: 32) {
            figures.learnDecode(tokens: 101, seconds: seconds, isQuiet: false, mostStreams: 1)
        }
        #expect(figures.tokenTime == nil && isNear(figures.mostTokenTime, 0.04, within: 0.25))
    }

    @Test("short answers tell nothing", arguments: [(7.0, 1.0), (0, 1), (-5, 1), (100, 0), (100, -1)])
    func shortAnswers(tokens: Double, seconds: Double) {
        var figures = EngineFigures()
        figures.learnDecode(tokens: tokens, seconds: seconds, isQuiet: true, mostStreams: 1)
        #expect(figures.tokenTime == nil && figures.mostTokenTime == .infinity)
    }

    @Test("the length of a token is a mean that forgets")
    func bytesPerToken() {
        var figures = EngineFigures()
        figures.learnLength(bytes: 4000, tokens: 1000)
        figures.learnLength(bytes: 0, tokens: 1000)
        figures.learnLength(bytes: 1000, tokens: 0)
        #expect(isNear(figures.bytesPerToken, 4))
        for _ in 0..<60 { figures.learnLength(bytes: 3000, tokens: 1000) }
        #expect(isNear(figures.bytesPerToken, 3, within: 0.01))
    }
}
