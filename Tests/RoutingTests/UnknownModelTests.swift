import Testing

@testable import Routing

@Suite("A request without a known model") struct UnknownModelTests {
    /// Two servers with different models, so that nobody knows what a request without a model needs.
    private func mixed() -> Scene {
        var scene = Scene([("A", 1), ("B", 1), ("C", 1)], fallback: 2)
        _ = scene.list(2, ["n"])
        return scene
    }

    @Test("is balanced like any other when all servers have the same single model")
    func soleModel() {
        var scene = Scene([("A", 1), ("B", 1)], fallback: 1)
        _ = scene.list(2, ["m", "m-2"])
        let first = scene.ask(.fallback, client: "1")
        let second = scene.ask(.fallback, client: "2")
        #expect(first.effects.grant(of: first.ticket)?.serverName == "A")
        #expect(second.effects.grant(of: second.ticket)?.serverName == "B")
        #expect(second.effects.grant(of: second.ticket)?.model == nil, "it names no model, so none can be replaced")
        let third = scene.ask(.fallback, client: "3")
        #expect(third.effects.granted.isEmpty, "both are full")
        #expect(scene.finish(second.ticket).granted == [third.ticket])
    }

    @Test("keeps its client where its prompt is cached, together with the client's requests that name the model")
    func sessions() {
        var scene = Scene([("A", 2), ("B", 2)], fallback: 1)
        let named = scene.ask("m", client: "me")
        _ = scene.finish(named.ticket)
        _ = scene.ask("m", client: "other")
        let server = named.effects.grant(of: named.ticket)?.serverName
        let unnamed = scene.ask(.fallback, client: "me")
        #expect(unnamed.effects.grant(of: unnamed.ticket)?.serverName == server)
        #expect(Set(scene.snapshot.sessions.map(\.model)) == ["m"])
    }

    @Test("goes to the servers of the default model, when one is configured")
    func defaultModel() {
        var fleet = Scene.fleet([("A", 1), ("B", 1), ("C", 1)], fallback: 1)
        fleet.defaultModel = "n"
        var scene = mixed()
        _ = scene.happens(.fleetChanged(fleet))
        _ = scene.list(3, ["n"])
        let servers = ["1", "2"].map { client in
            let (ticket, effects) = scene.ask(.fallback, client: client)
            return effects.grant(of: ticket)?.serverName
        }
        #expect(servers == ["B", "C"])
    }

    @Test("goes to the fallback; while that is down or draining, to the next in order; and waits for the first that is full")
    func fallbackOrder() {
        var scene = mixed()
        func server() -> String? {
            let (ticket, effects) = scene.ask(.fallback)
            let name = effects.grant(of: ticket)?.serverName
            if name != nil { _ = scene.finish(ticket) } else { _ = scene.happens(.requestCancelled(ticket)) }
            return name
        }
        #expect(server() == "B")
        _ = scene.happens(.drain(Scene.id(2)))
        #expect(server() == "A")
        _ = scene.probeFails(1, times: 2)
        #expect(server() == "C")
        _ = scene.happens(.undrain(Scene.id(2)))
        _ = scene.ask("n")
        #expect(server() == nil, "B is full, and C may not have what is wanted")
    }

    @Test("that waits for the fallback goes to the next server when the fallback begins to drain, or dies")
    func movesOn() {
        for isDrained in [true, false] {
            var scene = mixed()
            _ = scene.ask("n")
            let (waiting, _) = scene.ask(.fallback)
            let effects = isDrained ? scene.happens(.drain(Scene.id(2))) : scene.probeFails(2, times: 2)
            #expect(effects.grant(of: waiting)?.serverName == "A")
        }
    }

    @Test("is tried on the next server when the fallback fails it")
    func failover() {
        var scene = mixed()
        let (ticket, _) = scene.ask(.fallback)
        #expect(scene.fail(ticket).grant(of: ticket)?.serverName == "A")
    }

    @Test("that names what nobody has is treated the same, but with patterns or without a fallback")
    func unknownName() {
        var balanced = Scene([("A", 1), ("B", 1)], fallback: 1)
        let names = ["1", "2"].map { client in
            let (ticket, effects) = balanced.ask("gpt-4o", client: client)
            #expect(effects.grant(of: ticket)?.model == nil, "an engine with one model takes any name")
            return effects.grant(of: ticket)?.serverName
        }
        #expect(names == ["A", "B"])
        var patterns = Scene([("A", 2), ("B", 2)], routes: [("m", [1, 2])], fallback: 2)
        for client in ["1", "2"] {
            let (ticket, effects) = patterns.ask("gpt-4o", client: client)
            #expect(effects.grant(of: ticket)?.serverName == "B", "the fallback is meant for it")
        }
        var refused = Scene([("A", 1), ("B", 1)])
        let (ticket, effects) = refused.ask("gpt-4o")
        #expect(effects.refusal(of: ticket) == .modelNotFound("gpt-4o"))
    }

    @Test("explains whose turn it is")
    func explained() throws {
        var scene = mixed()
        _ = scene.happens(.drain(Scene.id(2)))
        _ = scene.ask(.fallback, requestID: "id")
        let decision = try #require(scene.router.decisions(requestID: "id").first)
        #expect(decision.candidates.map(\.server) == ["B", "A", "C"])
        #expect(decision.candidates.map(\.isChosen) == [false, true, false])
        #expect(decision.candidates[0].reason == "draining")
    }
}
