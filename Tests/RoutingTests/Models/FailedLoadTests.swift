import Testing

@testable import Routing

@Suite("Models that cannot be loaded")
struct FailedLoadTests {
    private func scene(_ names: String..., most: Int = 1, loadsModelsItself: Bool = true) -> PricedScene {
        var scene = PricedScene(names.map { .init(name: $0, slots: 2, residency: .unloaded) }, models: ["m", "n"])
        for server in names.indices {
            var report = BackendReport(isBusy: false, slots: .init(total: 2, busy: 0))
            (report.mostLoadedModels, report.loadsModelsItself) = (most, loadsModelsItself)
            _ = scene.scene.happens(.probed(Scene.id(server + 1), report))
        }
        return scene
    }

    @discardableResult
    private func list(
        _ scene: inout PricedScene, _ server: Int, _ residency: ListedModel.Residency, other: ListedModel.Residency = .unloaded
    ) -> [Effect] {
        let models = [ListedModel("m", aliases: ["alias"], residency: residency), ListedModel("n", residency: other)]
        return scene.scene.happens(.modelsListed(Scene.id(server), models))
    }

    private func error(_ scene: inout PricedScene, _ ticket: Ticket) -> [Effect] {
        scene.pass(6)
        let effects = scene.scene.fail(ticket, .answered(status: 500))
        if effects.contains(.keepAnswer(ticket)) { return effects + scene.finish(ticket) }
        return effects
    }

    @Test(
        "a server that could not load a model gets no requests for it, by any of its names, until a trial",
        arguments: ["m", "alias"])
    func failed(name: String) {
        var scene = scene("A", "B")
        list(&scene, 1, .failed)
        list(&scene, 2, .unloaded)
        for client in ["1", "2"] { #expect(scene.ask(nil, client: client, model: name).server == "B") }
        #expect(scene.ask(nil, client: "3", model: "n").server == "A", "the other model can be loaded")
        _ = scene.scene.happens(.drain(Scene.id(2)))
        scene.pass(29)
        #expect(scene.ask(nil, client: "4", model: name).server == nil)
    }

    @Test("on all servers: the answer is an error at once, and every half a minute one request tries")
    func everywhere() {
        var scene = scene("A")
        list(&scene, 1, .failed)
        let refused = scene.ask(nil)
        #expect(refused.effects.refusal(of: refused.ticket)?.kind == "noServerAvailable")
        scene.pass(30)
        let trial = scene.ask(nil)
        #expect(trial.server == "A")
        list(&scene, 1, .loading)
        _ = error(&scene, trial.ticket)
        list(&scene, 1, .failed)
        scene.pass(29)
        #expect(scene.ask(nil).server == nil)
    }

    @Test("a model that is loaded after all gets requests at once")
    func recovered() {
        var scene = scene("A")
        list(&scene, 1, .failed)
        list(&scene, 1, .loaded)
        #expect(scene.ask(nil).server == "A")
    }

    @Test("a failed load is not tried where another model would have to leave the memory")
    func pushesNothingOut() {
        for other in [ListedModel.Residency.loaded, .unloaded] {
            var scene = scene("A", "B")
            list(&scene, 2, .unloaded, other: other)
            let asked = scene.ask(nil)
            #expect(asked.server == "A")
            let effects = error(&scene, asked.ticket)
            #expect(effects.contains(.keepAnswer(asked.ticket)) == (other == .loaded))
            #expect(effects.contains(.probeNow(Scene.id(1))), "the list will say that it failed")
        }
    }

    @Test("an error while a model is loaded does not make it loaded, and says nothing of the loading time")
    func error() {
        var scene = scene("A")
        let asked = scene.ask(nil)
        _ = error(&scene, asked.ticket)
        let served = scene.scene.router.backends[0].served[1]
        #expect(scene.scene.router.backends[0].residency(of: 1) == .unloaded && served.load.seconds == nil)
    }

    @Test("a server that loads no models itself gets requests only for loaded ones")
    func noAutoload() {
        var scene = scene("A", "B", loadsModelsItself: false)
        list(&scene, 1, .unloaded)
        list(&scene, 2, .loaded)
        let asked = scene.ask(nil, id: "r")
        #expect(asked.server == "B")
        let reasons = scene.scene.router.decisions(requestID: "r").first?.candidates.map(\.reason) ?? []
        #expect(reasons.last == "the model is not loaded there, and the server loads none by itself")
        list(&scene, 2, .unloaded)
        #expect(scene.ask(nil, client: "2").server != nil, "the engine's own error says best why")
        list(&scene, 1, .loaded)
        #expect(scene.ask(nil, client: "3").server == "A")
    }
}
