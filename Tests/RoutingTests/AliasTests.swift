import Testing

@testable import Routing

@Suite("Aliases and loaded models") struct AliasTests {
    private func aliased(_ models: [String], lists: [[String]]) -> Scene {
        var fleet = Scene.fleet([("A", 1), ("B", 1)], fallback: 1)
        fleet.aliases = ["best": models]
        var scene = Scene()
        _ = scene.happens(.fleetChanged(fleet))
        for (index, list) in lists.enumerated() { _ = scene.list(index + 1, list) }
        return scene
    }

    @Test("a configured name stands for its model, whose name the server gets")
    func configured() {
        var scene = aliased(["big"], lists: [["small"], ["big", "big-2"]])
        let (ticket, effects) = scene.ask("best")
        #expect(effects.grant(of: ticket)?.serverName == "B")
        #expect(effects.grant(of: ticket)?.model == "big")
    }

    @Test("of several models, the first counts that a server can run; when it is full, the request waits")
    func preference() {
        var scene = aliased(["big", "small"], lists: [["small"], ["big"]])
        let first = scene.ask("best", client: "1")
        #expect(first.effects.grant(of: first.ticket)?.model == "big")
        let second = scene.ask("best", client: "2")
        #expect(second.effects.granted.isEmpty)
        let effects = scene.probeFails(2, times: 2)
        #expect(effects.grant(of: second.ticket)?.model == "small")
    }

    @Test("a name that only an engine's own alias explains goes to that engine, and shares its sessions with the real name")
    func listed() {
        var scene = Scene([("A", 2), ("B", 2)], fallback: 1, models: ["other"])
        _ = scene.happens(.modelsListed(Scene.id(2), [ListedModel("qwen", aliases: ["gpt-big"])]))
        let (ticket, effects) = scene.ask("gpt-big", client: "me")
        #expect(effects.grant(of: ticket)?.serverName == "B")
        #expect(effects.grant(of: ticket)?.model == nil, "the engine knows the name")
        _ = scene.ask("qwen", client: "me")
        #expect(scene.snapshot.sessions.map(\.model) == ["qwen"])
    }

    @Test(
        "a model goes where it is in memory, before it is loaded elsewhere",
        arguments: [ListedModel.Residency.loading, .unloaded])
    func loadedFirst(elsewhere: ListedModel.Residency) {
        var scene = Scene([("A", 2), ("B", 2)], models: nil)
        _ = scene.happens(.modelsListed(Scene.id(1), [ListedModel("m", residency: elsewhere)]))
        _ = scene.happens(.modelsListed(Scene.id(2), [ListedModel("m", residency: .loaded)]))
        let (first, one) = scene.ask(client: "1")
        #expect(one.grant(of: first)?.serverName == "B")
        let (light, other) = scene.ask(client: "2", counts: false)
        #expect(other.grant(of: light)?.serverName == "B", "a question about a model does not load it")
        let (second, two) = scene.ask(client: "3")
        #expect(two.grant(of: second)?.serverName == "A", "the loaded one is in use, so another machine loads it")
    }

    @Test("a client's parallel requests are spread over servers that tell of no slots, and its session stays")
    func overflow() {
        var scene = Scene([("A", nil), ("B", nil)])
        let servers = (1...16).map { _ in
            let (ticket, effects) = scene.ask(client: "me")
            return effects.grant(of: ticket)?.serverName ?? ""
        }
        #expect(servers.count { $0 == "A" } == 8 && servers.first == "A")
        #expect(scene.snapshot.sessions.map(\.backend) == [Scene.id(1)])
    }

    @Test("with `instances: off`, a numbered model is no instance")
    func instancesOff() {
        var scene = Scene([("A", 2)], models: ["m", "m-2"])
        var fleet = Scene.fleet([("A", 2)])
        fleet.servers[0].hasInstances = false
        _ = scene.happens(.fleetChanged(fleet))
        _ = scene.ask(client: "1")
        let (second, effects) = scene.ask(client: "2")
        #expect(effects.grant(of: second)?.model == nil)
    }
}
