import Testing

@testable import Routing

@Suite("How long models take to load")
struct LoadTimeTests {
    /// A server that lists two models, neither of them in memory.
    private func unloaded() -> PricedScene {
        PricedScene([.init(name: "A", slots: 2, residency: .unloaded)], models: ["m", "n"])
    }

    private func seconds(_ scene: PricedScene, _ model: String = "m") -> Double {
        var scene = scene.scene
        let traits = RequestTraits(destination: .model(model), client: "c")
        guard let list = scene.router.candidates(for: traits) else { return .nan }
        let usual = scene.router.usualLoadSeconds(among: list)
        return scene.router.loadSeconds(0, list.candidates[0].served[0], usual: usual)
    }

    private func list(_ scene: inout PricedScene, _ residency: ListedModel.Residency, _ other: ListedModel.Residency = .unloaded)
    {
        _ = scene.scene.happens(
            .modelsListed(Scene.id(1), [ListedModel("m", residency: residency), ListedModel("n", residency: other)]))
    }

    @Test("one odd load among five does not count, and old ones are forgotten")
    func median() {
        var load = LoadTime()
        #expect(load.seconds == nil)
        for seconds in [20.0, 21, 600, 19, 22] { load.learn(seconds) }
        #expect(load.seconds == 21)
        for _ in 0..<3 { load.learn(5) }
        #expect(load.seconds == 5, "the machine has got a faster disk")
    }

    @Test("what is too short or too long to be a load is not one", arguments: [0.1, -3, 1000, .infinity, .nan])
    func implausible(seconds: Double) {
        var load = LoadTime()
        load.learn(seconds)
        load.saw(seconds)
        #expect(load.seconds == nil)
    }

    @Test("the first token of a model that was not in memory tells how long it was loaded")
    func firstToken() {
        var scene = unloaded()
        #expect(seconds(scene) == 10)
        let asked = scene.ask(TestPrompt((1, 2000)))
        scene.pass(26)
        _ = scene.begin(asked.ticket)
        // The engine does not say how long the prompt took; one second was expected.
        _ = scene.scene.happens(.finished(asked.ticket, Outcome(.complete)))
        #expect(abs(seconds(scene) - 25) < 0.1)
        #expect(abs(seconds(scene, "n") - 25) < 0.1, "the other model's first guess")
    }

    @Test("an engine that tells how long the prompt took tells how long the load took")
    func engineTimings() {
        var scene = unloaded()
        let asked = scene.ask(TestPrompt((1, 2000)))
        scene.pass(26)
        _ = scene.begin(asked.ticket)
        scene.pass(1)
        _ = scene.scene.happens(.finished(asked.ticket, Outcome(.complete, timings: timings(prompt: 6000))))
        #expect(abs(seconds(scene) - 20) < 0.1)
    }

    @Test("Ollama tells it: of the request that loaded, and of one that loaded although the model was listed as loaded")
    func ollama() {
        var scene = unloaded()
        func answer(_ milliseconds: Double) {
            let asked = scene.ask(TestPrompt((1, 2000)))
            scene.pass(3)
            var timings = timings(prompt: 1000)
            timings.loadMilliseconds = milliseconds
            _ = scene.scene.happens(.finished(asked.ticket, Outcome(.complete, timings: timings)))
        }
        answer(3000)
        #expect(seconds(scene) == 3)
        for _ in 0..<4 { answer(40) }
        #expect(seconds(scene) == 3, "it was in memory")
        answer(5000)
        #expect(seconds(scene) == 4)
    }

    @Test("a model that was in memory after all, and one that only took longer than expected, tell nothing")
    func noLoad() {
        var scene = unloaded()
        let asked = scene.ask(TestPrompt((1, 20_000)))
        scene.pass(12)
        _ = scene.begin(asked.ticket)
        _ = scene.scene.happens(.finished(asked.ticket, Outcome(.complete)))
        #expect(seconds(scene) == 10)
    }

    @Test("only the first of several requests begins to load")
    func several() {
        var scene = unloaded()
        let first = scene.ask(TestPrompt((1, 2000)), client: "1")
        scene.pass(9)
        let second = scene.ask(TestPrompt((2, 2000)), client: "2")
        #expect(scene.scene.router.backends[0].jobs.map(\.beginsLoad) == [true, false])
        scene.pass(21)
        for ticket in [first.ticket, second.ticket] {
            _ = scene.begin(ticket)
            _ = scene.scene.happens(.finished(ticket, Outcome(.complete)))
        }
        #expect(abs(seconds(scene) - 29) < 0.1)
    }

    @Test("what a request still waits for is what is left of the load, and nothing once the model has answered")
    func left() {
        // A request with a single candidate has no price.
        var scene = PricedScene([.init(name: "A", slots: 2, residency: .unloaded), .init(name: "B")], models: ["m", "n"])
        _ = scene.scene.happens(.drain(Scene.id(2)))
        let asked = scene.ask(TestPrompt((1, 2000)))
        #expect(scene.price(TestPrompt((2, 500)), on: 0).load == 10)
        scene.pass(8)
        #expect(abs(scene.price(TestPrompt((2, 500)), on: 0).load - 2) < 1e-9)
        scene.pass(80)
        #expect(scene.price(TestPrompt((2, 500)), on: 0).load == 1)
        _ = scene.begin(asked.ticket)
        #expect(scene.price(TestPrompt((2, 500)), on: 0).load == 0)
        scene.pass(1)
        _ = scene.finish(asked.ticket)
        #expect(scene.price(TestPrompt((2, 500)), on: 0).load == 0, "although it was not listed as loaded yet")
        scene.pass(10)
        list(&scene, .unloaded)
        #expect(scene.price(TestPrompt((2, 500)), on: 0).load > 0)
    }

    @Test("lists of models that show a load tell how long it took, until a request does")
    func lists() {
        var scene = unloaded()
        for (residency, pause) in [(ListedModel.Residency.loading, 30.0), (.loaded, 0)] {
            list(&scene, residency)
            scene.pass(pause)
        }
        #expect(seconds(scene) == 30)
        list(&scene, .unloaded)
        let asked = scene.ask(TestPrompt((1, 2000)))
        scene.pass(41)
        _ = scene.begin(asked.ticket)
        _ = scene.scene.happens(.finished(asked.ticket, Outcome(.complete)))
        #expect(abs(seconds(scene) - 40) < 0.1)
    }

    @Test("a model that sleeps is not being loaded all the time")
    func sleeping() {
        var scene = unloaded()
        for residency in [ListedModel.Residency.loaded, .loading, .loaded] {
            list(&scene, residency)
            scene.pass(300)
        }
        #expect(seconds(scene) == 10)
    }

    @Test("by our own clock, a load is not the speed of prompts")
    func speed() {
        for isTimedHere in [true, false] {
            var scene = PricedScene([.init(name: "A", speed: nil, residency: .unloaded)])
            let asked = scene.ask(TestPrompt((1, 2000)))
            scene.pass(20)
            var timings = timings(prompt: 20_000)
            timings.isTimedHere = isTimedHere
            _ = scene.scene.happens(.finished(asked.ticket, Outcome(.complete, timings: timings)))
            #expect((scene.scene.router.backends[0].served[1].figures.prefillSpeed == nil) == isTimedHere)
        }
    }

    @Test("it is kept over a restart")
    func restart() {
        var scene = unloaded()
        scene.scene.router.backends[0].served[1].load.learn(33)
        var other = unloaded()
        _ = other.scene.happens(.figuresRestored(scene.scene.router.savedFigures()))
        #expect(seconds(other) == 33)
    }

    private func timings(prompt milliseconds: Double) -> Timings {
        Timings(
            cachedTokens: 0, promptTokens: 2000, promptMilliseconds: milliseconds, predictedTokens: 10, predictedMilliseconds: 100
        )
    }
}
