import Testing

@testable import Routing

@Suite("What a load costs the model that has to leave")
struct DisplacementTests {
    /// Two servers that hold one model each.
    private func scene(slots: Int = 2) -> PricedScene {
        let names = ["A", "B"].map { PricedScene.Server(name: $0, slots: slots, residency: .unloaded) }
        var scene = PricedScene(names, models: ["m", "n"])
        for server in 1...2 {
            var report = BackendReport(isBusy: false, slots: .init(total: slots, busy: 0))
            report.mostLoadedModels = 1
            _ = scene.scene.happens(.probed(Scene.id(server), report))
        }
        return scene
    }

    private func learn(_ scene: inout PricedScene, _ server: Int, load seconds: Double) {
        _ = scene.scene.router.candidates(for: RequestTraits(destination: .model("n"), client: "c"))
        for served in scene.scene.router.backends[server].served.indices {
            scene.scene.router.backends[server].served[served].load.learn(seconds)
        }
    }

    private func play(_ scene: inout PricedScene, _ model: String, _ prompt: TestPrompt? = TestPrompt((1, 500))) -> String? {
        let asked = scene.ask(prompt, model: model)
        scene.pass(2)
        _ = scene.begin(asked.ticket)
        _ = scene.finish(asked.ticket)
        return asked.server
    }

    @Test("the loading time of a model that was just used, and less with time")
    func price() {
        var scene = scene()
        #expect(scene.price(nil, on: 0).eviction == 0)
        _ = scene.scene.happens(.drain(Scene.id(2)))
        #expect(play(&scene, "n") == "A")
        // Its first token came 1.75 s later than the prompt alone would have taken.
        #expect(abs(scene.price(nil, on: 0).eviction - 1.75) < 1e-9)
        scene.pass(60)
        #expect(abs(scene.price(nil, on: 0).eviction - 1.75 / 2.718281828) < 1e-3)
        scene.pass(1000)
        #expect(scene.price(nil, on: 0).eviction < 1e-3)
    }

    @Test("nothing where there is room")
    func room() {
        var scene = scene()
        var report = BackendReport(isBusy: false)
        report.mostLoadedModels = 2
        _ = scene.scene.happens(.probed(Scene.id(1), report))
        _ = scene.scene.happens(.drain(Scene.id(2)))
        #expect(play(&scene, "n") == "A")
        #expect(scene.price(nil, on: 0).eviction == 0)
    }

    @Test("a server that loads a little slower is taken, if a model that is used would have to leave the other one")
    func slower() {
        var scene = scene()
        learn(&scene, 0, load: 3)
        learn(&scene, 1, load: 4)
        #expect(play(&scene, "m") == "A")
        #expect(["n", "m", "n", "m"].map { play(&scene, $0) } == ["B", "A", "B", "A"])
    }

    @Test("a client's session does not count where its model is not in memory any more")
    func session() {
        var scene = scene()
        // On A, then B.
        _ = play(&scene, "m", nil)
        _ = scene.scene.happens(.drain(Scene.id(1)))
        _ = play(&scene, "m", nil)
        _ = scene.scene.happens(.undrain(Scene.id(1)))
        for server in 1...2 {
            _ = scene.scene.happens(
                .modelsListed(Scene.id(server), ["m", "n"].map { ListedModel($0, residency: .unloaded) }))
        }
        scene.pass(10)
        // The session is on B, and each of them would have to load.
        #expect(scene.ask(nil, client: "other").server == "A")
        _ = scene.scene.happens(.modelsListed(Scene.id(1), ["m", "n"].map { ListedModel($0, residency: .loaded) }))
        #expect(scene.price(nil, on: 1).own == scene.price(nil, on: 0).own, "the cache on B is lost")
    }

    @Test("a server that was not seen to load counts as fast as others with the same model, or as with any model")
    func firstGuess() {
        var scene = scene()
        func load(_ server: Int) -> Double { scene.price(nil, on: server).load }
        #expect(load(0) == 10)
        scene.scene.router.backends[1].served[1].load.learn(4)
        #expect(load(0) == 4)
        learn(&scene, 1, load: 20)
        #expect(load(0) == 12, "the median of both")
        scene.scene.router.backends[1].served[1].load = LoadTime()
        #expect(load(0) == 20 && load(1) == 20)
    }

    @Test("a very short load is a short one, not an unknown one")
    func short() {
        var scene = scene()
        _ = scene.scene.happens(.drain(Scene.id(2)))
        let asked = scene.ask(TestPrompt((1, 500)))
        scene.pass(0.3)
        _ = scene.begin(asked.ticket)
        _ = scene.finish(asked.ticket, cached: 0, prompt: 500)
        #expect(scene.scene.router.backends[0].served[1].load.seconds == 0.2)
    }
}
