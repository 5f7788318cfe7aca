import Testing

@testable import Routing

@Suite("What is in an engine's memory")
struct ModelMemoryTests {
    private func memory(_ served: Int..., most: Int? = 2) -> ModelMemory {
        var memory = ModelMemory()
        memory.stated = most
        memory.listed(served.map { .init(served: $0, usedAt: 0, isReady: true) }, isTold: true) { _ in false }
        return memory
    }

    private func scene(_ residency: [ListedModel.Residency?] = [.unloaded, .unloaded], most: Int? = 1) -> PricedScene {
        var scene = PricedScene([.init(name: "A", slots: 2)], models: ["m", "n"])
        var report = BackendReport(isBusy: false, slots: .init(total: 2, busy: 0))
        report.mostLoadedModels = most
        _ = scene.scene.happens(.probed(Scene.id(1), report))
        list(&scene, residency)
        return scene
    }

    @discardableResult
    private func list(_ scene: inout PricedScene, _ residency: [ListedModel.Residency?]) -> [Effect] {
        scene.scene.happens(
            .modelsListed(Scene.id(1), [ListedModel("m", residency: residency[0]), ListedModel("n", residency: residency[1])]))
    }

    /// Asks for a model and is answered.
    private func play(_ scene: inout PricedScene, _ prompt: TestPrompt, _ model: String) -> (Grant?, [Effect]) {
        let asked = scene.ask(prompt, model: model)
        scene.pass(5)
        let effects = scene.begin(asked.ticket)
        _ = scene.finish(asked.ticket)
        return (asked.effects.grant(of: asked.ticket), effects)
    }

    private func residency(_ scene: PricedScene, _ model: String) -> ListedModel.Residency? {
        let backend = scene.scene.router.backends[0]
        return backend.served.firstIndex { $0.name == model }.map { backend.residency(of: $0) }
    }

    @Test("the model that has been without a new request for longest leaves, unless it computes")
    func order() {
        var memory = memory(1, 2)
        #expect(memory.began(1, isBusy: { _ in false }, at: 1) == [])
        #expect(memory.began(3, isBusy: { _ in false }, at: 2) == [2])
        #expect(memory.began(4, isBusy: { $0 == 1 }, at: 3) == [3])
        #expect(memory.began(5, isBusy: { _ in true }, at: 4) == [])
        #expect(memory.residents.map(\.served) == [1, 4, 5])
        #expect(memory.pushOut { $0 == 1 } == [4])
    }

    @Test("a list corrects it, but for what a request in flight loads")
    func lists() {
        var memory = memory(1, 2)
        _ = memory.began(3, isBusy: { _ in false }, at: 1)
        memory.listed([.init(served: 1, usedAt: 2, isReady: true)], isTold: true) { $0 == 3 }
        #expect(memory.residents.map(\.served) == [3, 1] && memory.residents.map(\.isReady) == [false, true])
    }

    @Test("an engine that does not say how many it holds holds as many as it was seen to")
    func seen() {
        #expect(memory(most: nil).capacity == 1)
        #expect(memory(1, 2, 3, most: nil).capacity == 3)
        #expect(memory(1, 2, 3, most: 0).capacity == 1)
        #expect(memory(1, most: .max).isFull == false)
    }

    @Test("of an engine that tells nothing, nothing is remembered")
    func silent() {
        var scene = scene([nil, nil])
        #expect(play(&scene, TestPrompt((1, 2000)), "m").1 == [])
        #expect(scene.scene.router.backends[0].memory.residents.isEmpty)
        #expect(residency(scene, "m") == .loaded)
    }

    @Test("a model that was pushed out is not in memory any more, although it has answered since the last list")
    func displaced() {
        var scene = scene()
        _ = play(&scene, TestPrompt((1, 2000)), "m")
        #expect(residency(scene, "m") == .loaded)
        let other = scene.ask(TestPrompt((2, 2000)), model: "n")
        #expect(residency(scene, "m") == .unloaded && residency(scene, "n") == .loading)
        _ = scene.begin(other.ticket)
        #expect(residency(scene, "n") == .loaded)
        list(&scene, [.loaded, .unloaded])
        #expect(residency(scene, "m") == .loaded && residency(scene, "n") == .loading, "a list knows better")
    }

    @Test("a cache that was unloaded and loaded again between two lists is not promised")
    func cache() {
        for most in [1, 2] {
            var scene = scene(most: most)
            _ = play(&scene, TestPrompt((1, 2000)), "m")
            #expect(play(&scene, TestPrompt((1, 2000), (2, 100)), "m").0?.cache?.result == .hit)
            _ = play(&scene, TestPrompt((3, 2000)), "n")
            #expect(play(&scene, TestPrompt((1, 2000), (2, 100), (4, 100)), "m").0?.cache?.result == (most == 1 ? .miss : .hit))
        }
    }

    @Test("the same list as before tells, too, that a model has left the memory")
    func sameList() {
        var scene = scene(most: 2)
        _ = play(&scene, TestPrompt((1, 2000)), "m")
        list(&scene, [.unloaded, .unloaded])
        #expect(residency(scene, "m") == .unloaded)
        #expect(scene.ask(TestPrompt((1, 2000), (2, 100))).effects.compactMap(\.forecast) == [.miss])
    }

    @Test("the models are listed again when a load has ended, well or not")
    func asksAgain() {
        var scene = scene()
        #expect(play(&scene, TestPrompt((1, 2000)), "m").1 == [.probeNow(Scene.id(1))])
        #expect(play(&scene, TestPrompt((1, 2000)), "m").1 == [], "it was in memory")
        let other = scene.ask(TestPrompt((2, 2000)), model: "n")
        let effects = scene.scene.happens(.finished(other.ticket, Outcome(.broken("reset"))))
        #expect(effects.contains(.probeNow(Scene.id(1))))
        #expect(residency(scene, "n") == .unloaded)
    }

    @Test("a server that was lost has nothing in memory")
    func lost() {
        var scene = scene([.loaded, .unloaded])
        _ = scene.scene.probeFails(1, times: 5)
        #expect(scene.scene.router.backends[0].memory.residents.isEmpty)
    }
}

extension Effect {
    fileprivate var forecast: CacheForecast.Result? { if case .grant(_, let grant) = self { grant.cache?.result } else { nil } }
}
