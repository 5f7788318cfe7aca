import Testing

@testable import Routing

@Suite("Servers with one process for each model")
struct SlotsPerModelTests {
    /// One server; each of the models has so many slots. The server itself reports none.
    private func scene(_ slots: (String, Int?)..., requestMax: Int? = nil) -> Scene {
        var scene = Scene([("A", requestMax)], models: nil)
        var fleet = Scene.fleet([("A", requestMax)])
        fleet.rule = .expectedCost
        _ = scene.happens(.fleetChanged(fleet))
        var report = BackendReport(isBusy: false)
        report.mostLoadedModels = 4
        _ = scene.happens(.probed(Scene.id(1), report))
        list(&scene, slots)
        return scene
    }

    private func list(_ scene: inout Scene, _ slots: [(String, Int?)]) {
        _ = scene.happens(
            .modelsListed(Scene.id(1), slots.map { ListedModel($0.0, residency: $0.1 == nil ? .unloaded : .loaded, slots: $0.1) })
        )
    }

    private func runs(_ scene: inout Scene, _ model: String, client: String = "c") -> Bool {
        let (ticket, effects) = scene.ask(model, client: client)
        return effects.grant(of: ticket) != nil
    }

    @Test("a model's requests wait when its slots are taken, and another model's do not")
    func limits() {
        var scene = scene(("m", 2), ("n", 1))
        #expect((0..<3).map { runs(&scene, "m", client: "\($0)") } == [true, true, false])
        #expect((0..<2).map { runs(&scene, "n", client: "\($0)") } == [true, false])
    }

    @Test("when one of them ends, the next one runs")
    func serves() {
        var scene = scene(("m", 1), ("n", 1))
        let (first, _) = scene.ask("m", client: "1")
        let (other, _) = scene.ask("n", client: "2")
        let (next, _) = scene.ask("m", client: "3")
        #expect(scene.finish(other).grant(of: next) == nil)
        #expect(scene.finish(first).grant(of: next) != nil)
    }

    @Test("the configured limit holds for all models together")
    func requestMax() {
        var scene = scene(("m", 2), ("n", 2), requestMax: 3)
        #expect(["m", "n", "m", "n"].map { runs(&scene, $0) } == [true, true, true, false])
    }

    @Test("the slots are the seats of the model's mirror, and of its sessions; instances have their own ones")
    func seats() {
        var scene = scene(("m", 3), ("m-2", 3), ("n", 1))
        _ = runs(&scene, "m")
        let served = scene.router.backends[0].served
        let index = served.firstIndex { $0.name == "m" } ?? 0
        #expect(served[index].cache.seats.count == 3)
        #expect(scene.router.backends[0].sessions(of: index, instances: 2) == 3)
        #expect((0..<6).map { runs(&scene, "m", client: "\($0)") } == [true, true, true, true, true, false])
        #expect(scene.router.backends[0].inFlightByInstance == ["m": 3, "m-2": 3])
    }

    @Test("an instance whose slots are taken gets no further request, although it has the conversation")
    func fullInstance() {
        var scene = PricedScene([.init(name: "A")], models: ["m", "m-2"])
        _ = scene.scene.happens(.probed(Scene.id(1), BackendReport(isBusy: false)))
        let models = ["m", "m-2"].map { ListedModel($0, residency: .loaded, slots: 1) }
        _ = scene.scene.happens(.modelsListed(Scene.id(1), models))
        #expect(scene.play(TestPrompt((1, 20_000))) == "A")
        func instance(_ number: Int) -> String? {
            let asked = scene.ask(TestPrompt((1, 20_000), (number, 10)))
            return asked.effects.grant(of: asked.ticket).map { $0.model ?? "m" }
        }
        #expect(instance(2) == "m")
        #expect(instance(3) == "m-2")
        #expect(instance(4) == nil)
    }

    @Test("a model that was loaded before is expected to have as many slots again; of a new one they are not known")
    func unknown() {
        var scene = scene(("m", 1), ("n", nil))
        list(&scene, [("m", nil), ("n", nil)])
        #expect([runs(&scene, "m"), runs(&scene, "m", client: "2")] == [true, false])
        #expect((0..<5).allSatisfy { runs(&scene, "n", client: "\($0)") })
    }

    @Test("where no model has slots of its own, the server's are shared as before")
    func shared() {
        var scene = scene()
        _ = scene.list(1, ["m", "n"])
        _ = scene.probe(1, slots: 2)
        #expect(["m", "n", "m"].map { runs(&scene, $0) } == [true, true, false])
    }
}
