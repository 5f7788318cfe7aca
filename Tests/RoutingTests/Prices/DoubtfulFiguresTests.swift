import Testing

@testable import Routing

@Suite("Figures that are doubted")
struct DoubtfulFiguresTests {
    @Test("of the first two prompts, the faster one counts if they differ much; later ones are averaged")
    func firstPrompts() {
        var figures = EngineFigures()
        figures.learnPrefill(tokens: 1000, seconds: 15, isAlone: true, expected: nil)
        #expect(figures.isPrefillProvisional && abs((figures.prefillSpeed ?? 0) - 1000.0 / 15) < 1)
        figures.learnPrefill(tokens: 1000, seconds: 0.5, isAlone: true, expected: nil)
        #expect(!figures.isPrefillProvisional && abs((figures.prefillSpeed ?? 0) - 2000) < 1)
        figures.learnPrefill(tokens: 1000, seconds: 0.55, isAlone: true, expected: nil)
        #expect((1800...2000).contains(figures.prefillSpeed ?? 0))
    }

    @Test("of the first two answers, too")
    func firstAnswers() {
        var figures = EngineFigures()
        figures.learnDecode(tokens: 10, seconds: 20, isQuiet: true, mostStreams: 1)
        #expect(figures.isTokenTimeProvisional && (figures.tokenTime ?? 0) > 2)
        figures.learnDecode(tokens: 101, seconds: 1.5, isQuiet: true, mostStreams: 1)
        #expect(!figures.isTokenTimeProvisional && abs((figures.tokenTime ?? 0) - 0.015) < 1e-6)
    }

    @Test("a server whose first answer was slow is used when the others are busy, and shows that it is fast")
    func slowFirstAnswer() {
        var scene = PricedScene([.init(name: "A", slots: 1), .init(name: "B", slots: 1, speed: nil)])
        scene.scene.router.backends[1].served[1].figures.learnDecode(tokens: 10, seconds: 20, isQuiet: true, mostStreams: 1)
        scene.scene.router.backends[1].served[1].figures.learnPrefill(tokens: 1000, seconds: 15, isAlone: true, expected: nil)
        let price = scene.price(TestPrompt((1, 1000)), on: 1)
        #expect(isNear(price.own, 3 * 0.5) && isNear(price.decode, 3 * 0.25 * 150 * 0.015))
        #expect(scene.ask(TestPrompt((2, 6000)), client: "1").server == "A")
        #expect(scene.ask(TestPrompt((3, 1000)), client: "2").server == "B", "rather than to wait for a minute's worth of work")
    }

    @Test("what was measured an hour ago counts as three times as slow as the fastest server at most")
    func old() {
        var scene = PricedScene([.init(name: "A"), .init(name: "B", speed: 100)])
        func own() -> Double { scene.price(TestPrompt((1, 1000)), on: 1).own }
        scene.scene.router.backends[1].served[1].answeredAt = scene.scene.now.seconds
        #expect(isNear(own(), 10))
        scene.pass(3599)
        #expect(isNear(own(), 10))
        scene.pass(2)
        #expect(isNear(own(), 3 * 0.5))
    }

    @Test(
        "bytes for each token that cannot be are not learned",
        arguments: [(4e3, 1e12), (4e6, 4.0), (0, 10), (10, 0)] as [(Double, Double)])
    func implausibleLengths(bytes: Double, tokens: Double) {
        var figures = EngineFigures()
        figures.learnLength(bytes: 4000, tokens: 1000)
        figures.learnLength(bytes: bytes, tokens: tokens)
        #expect(figures.bytesPerToken == 4)
    }

    @Test("an answer of absurd length does not make others look a thousand times as long")
    func longestAnswer() {
        var habits = Habits(conversationTime: 180)
        let client = habits.client("c", at: 0)
        habits.answered(client, model: "m", tokens: 1e12)
        #expect(habits.answerTokens <= 16_000)
        for _ in 0..<100 { habits.answered(client, model: "m", tokens: 150) }
        #expect(habits.answerTokens < 300)
    }

    @Test("numbers that engines cannot mean end nothing: the longest prompt finds its server, and its decision can be shown")
    func absurdTimings() {
        var scene = PricedScene([.init(name: "A", speed: nil), .init(name: "B", speed: nil)])
        let absurd = Timings(
            cachedTokens: 1 << 40, promptTokens: 1 << 40, promptMilliseconds: 1, predictedTokens: 1 << 40,
            predictedMilliseconds: 1)
        for number in 0..<12 {
            let asked = scene.ask(TestPrompt((number, 600)), client: "\(number)", id: "r")
            _ = scene.begin(asked.ticket)
            _ = scene.scene.happens(.finished(asked.ticket, Outcome(.complete, timings: absurd)))
        }
        let long = scene.ask(TestPrompt((99, 3_000_000)), client: "long", id: "r")
        #expect(long.server != nil)
        _ = scene.scene.happens(.finished(long.ticket, Outcome(.complete, timings: absurd)))
        let candidates = scene.scene.router.decisions(requestID: "r").flatMap(\.candidates)
        #expect(candidates.allSatisfy { Int(bounded: $0.price?.total ?? 0) < Int.max })
        #expect(Int(bounded: .nan) == 0 && Int(bounded: .infinity) == 1_000_000_000_000_000)
    }

    private func isNear(_ one: Double, _ other: Double) -> Bool { abs(one - other) <= 1e-6 * max(1, abs(other)) }
}
