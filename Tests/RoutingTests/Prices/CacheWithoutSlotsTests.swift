import Testing

@testable import Routing

@Suite("Caches of engines without slots")
struct CacheWithoutSlotsTests {
    private func scene() -> PricedScene { PricedScene([.init(name: "A", slots: 0)]) }
    private func belief(_ scene: PricedScene) -> CacheBelief { scene.scene.router.backends[0].served[1].cache }

    /// An answer of an engine that tells the whole prompt only.
    private func silent(prompt: Int, seconds: Double) -> Outcome {
        Outcome(
            .complete,
            timings: Timings(
                promptTokens: prompt, promptMilliseconds: seconds * 1000, predictedTokens: 10, predictedMilliseconds: 135))
    }

    @Test("a beginning that prompts share counts once, with the youngest of them")
    func sharedBeginning() throws {
        var scene = BeliefScene(seats: 0)
        for number in 10..<20 { scene.play(TestPrompt((1, 6144), (number, 2000)).chain) }
        let oldest = try #require(scene.belief.kept.first)
        #expect(scene.kept.count == 10 && scene.belief.depth(of: oldest, in: scene.store) == 6144 + 10 * 2000)
        scene.belief.denied(depth: 26_144, tokens: 2000, in: &scene.store, at: scene.now)
        #expect(scene.belief.capacity == 24_144 && scene.kept.count == 9)
    }

    @Test("of an engine that tells the size of its cache, the oldest prompts are forgotten when it is full")
    func toldSize() {
        var scene = scene()
        func list(_ tokens: Int?) {
            _ = scene.scene.happens(.modelsListed(Scene.id(1), [ListedModel("m", cacheTokens: tokens)]))
        }
        list(25_000)
        for number in 0..<4 { scene.play(TestPrompt((number, 10_000)), client: "\(number)") }
        #expect(belief(scene).kept.count == 2 && belief(scene).capacity == 25_000)
        // What an answer shows counts more than what was told.
        let surpassed = scene.ask(TestPrompt((1, 10_000), (9, 100)), client: "1")
        _ = scene.finish(surpassed.ticket, cached: 9984, prompt: 116)
        list(nil)
        list(25_000)
        #expect(belief(scene).capacity == 37_500)
        list(0)
        #expect(belief(scene).capacity == 0)
        scene.play(TestPrompt((5, 10_000)), client: "5")
        #expect(belief(scene).kept.isEmpty, "the cache is switched off")
    }

    @Test("a denied hit never makes a small cache larger")
    func deniedSmall() {
        var scene = scene()
        _ = scene.scene.happens(.modelsListed(Scene.id(1), [ListedModel("m", cacheTokens: 9000)]))
        for number in 0..<2 { scene.play(TestPrompt((number, 4000)), client: "\(number)") }
        let denied = scene.ask(TestPrompt((0, 4000), (9, 100)), client: "0")
        _ = scene.finish(denied.ticket, cached: 0, prompt: 4100)
        #expect(belief(scene).capacity == 9000)
    }

    @Test("equal prompts take one place of the list", arguments: [1, 50])
    func equalPrompts(others: Int) {
        var scene = BeliefScene(seats: 0)
        for number in 0..<others { scene.play(TestPrompt((1, 1024), (number, 500)).chain) }
        for _ in 0..<20 { scene.play(TestPrompt((1, 1024), (99, 700)).chain) }
        #expect(scene.kept.count == others + 1 && scene.store.count == others + 1)
        #expect(scene.kept.last == 1724)
    }

    @Test(
        "a hit that is denied makes the cache smaller, one that is confirmed proves its size, and one that surpasses makes it larger"
    )
    func learned() {
        var scene = scene()
        for number in 0..<6 { scene.play(TestPrompt((number, 10_000)), client: "\(number)") }
        let denied = scene.ask(TestPrompt((0, 10_000), (9, 100)), client: "0")
        _ = scene.finish(denied.ticket, cached: 0, prompt: 10_100)
        #expect(belief(scene).capacity == 50_000)
        let confirmed = scene.ask(TestPrompt((4, 10_000), (9, 100)), client: "4")
        _ = scene.finish(confirmed.ticket, cached: 9984, prompt: 116)
        // The two that are younger, and it.
        #expect(belief(scene).provenCapacity == 30_250 && belief(scene).capacity == 50_000)
        let surpassed = scene.ask(TestPrompt((1, 10_000), (9, 100)), client: "1")
        #expect(surpassed.effects.grant(of: surpassed.ticket)?.cache?.tokens == 0)
        _ = scene.finish(surpassed.ticket, cached: 9984, prompt: 116)
        #expect(belief(scene).capacity == 75_000)
    }

    @Test("a prompt that is still being computed elsewhere in the batch says nothing about what is kept")
    func inFlight() {
        var scene = scene()
        let first = scene.ask(TestPrompt((1, 20_000)), client: "1").ticket
        let second = scene.ask(TestPrompt((1, 20_000), (2, 100)), client: "2")
        #expect(second.effects.grant(of: second.ticket)?.cache?.tokens == 20_000)
        _ = scene.finish(second.ticket, cached: 0, prompt: 20_100)
        _ = scene.finish(first)
        #expect(belief(scene).capacity == .infinity)
    }

    @Test(
        "an engine that never tells what it had shows it by the time for the prompt, where that is clear",
        arguments: [(5.0, 50_000.0, 0.0), (0.06, .infinity, 60_000), (2.5, .infinity, 0), (50, .infinity, 0)])
    func silence(seconds: Double, capacity: Double, proven: Double) {
        var scene = scene()
        for number in 0..<6 { scene.play(TestPrompt((number, 10_000)), client: "\(number)") }
        let asked = scene.ask(TestPrompt((0, 10_000), (9, 100)), client: "0").ticket
        _ = scene.scene.happens(.finished(asked, silent(prompt: 10_100, seconds: seconds)))
        #expect(belief(scene).capacity == capacity && belief(scene).provenCapacity == proven)
    }

    @Test(
        "such an engine's time tells nothing when something else ran there, or its speed is not known", arguments: [true, false])
    func disturbed(isKnown: Bool) {
        var scene = PricedScene([.init(name: "A", slots: 0, speed: isKnown ? 2000 : nil)])
        for number in 0..<6 { scene.play(TestPrompt((number, 10_000)), client: "\(number)") }
        if isKnown { _ = scene.ask(TestPrompt((8, 100)), client: "other") }
        let asked = scene.ask(TestPrompt((0, 10_000), (9, 100)), client: "0").ticket
        _ = scene.scene.happens(.finished(asked, silent(prompt: 10_100, seconds: 5)))
        #expect(belief(scene).capacity == .infinity)
    }

    @Test("of such an engine, only a prompt that is not believed to be cached tells its speed and the length of its tokens")
    func coldOnly() {
        var scene = scene()
        func figures() -> EngineFigures { scene.scene.router.backends[0].served[1].figures }
        func play(_ prompt: TestPrompt, tokens: Int, seconds: Double) {
            let ticket = scene.ask(prompt).ticket
            _ = scene.scene.happens(.finished(ticket, silent(prompt: tokens, seconds: seconds)))
        }
        play(TestPrompt((1, 10_000)), tokens: 10_000, seconds: 5)
        #expect(figures().prefillSpeed.map { abs($0 - 2000) < 1 } ?? false)
        #expect(figures().bytesPerToken.map { abs($0 - 4) < 0.01 } ?? false)
        for turn in 2..<30 { play(TestPrompt((1, 10_000), (turn, 100)), tokens: 10_100, seconds: 0.05) }
        #expect(figures().prefillSpeed.map { abs($0 - 2000) < 1 } ?? false)
        for number in 100..<130 { play(TestPrompt((number, 10_000)), tokens: 10_000, seconds: 10) }
        #expect(figures().prefillSpeed.map { abs($0 - 1000) < 100 } ?? false)
    }

    @Test("an engine that reports only what it computed is not taken for one that had nothing")
    func computedOnly() {
        var scene = scene()
        for number in 0..<6 { scene.play(TestPrompt((number, 10_000)), client: "\(number)") }
        let asked = scene.ask(TestPrompt((0, 10_000), (9, 4000)), client: "0").ticket
        _ = scene.scene.happens(.finished(asked, silent(prompt: 4000, seconds: 2)))
        #expect(belief(scene).capacity == .infinity)
        #expect(scene.scene.router.backends[0].served[1].figures.bytesPerToken == nil)
    }

    @Test("what was learned of the cache is kept over a restart")
    func restart() {
        var scene = scene()
        for number in 0..<6 { scene.play(TestPrompt((number, 10_000)), client: "\(number)") }
        _ = scene.finish(scene.ask(TestPrompt((0, 10_000), (9, 100)), client: "0").ticket, cached: 0, prompt: 10_100)
        var other = self.scene()
        _ = other.scene.happens(.figuresRestored(scene.scene.router.savedFigures()))
        #expect(belief(other).capacity == 50_000)
    }
}
