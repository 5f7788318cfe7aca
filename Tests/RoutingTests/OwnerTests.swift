import Testing

@testable import Routing

@Suite("What a server made stays with it") struct OwnerTests {
    private func scene() -> Scene {
        var scene = Scene([("A", 1), ("B", 1), ("C", 1)], fallback: 1)
        let (ticket, _) = scene.ask("m", client: "other")
        _ = scene.ask("m", client: "maker")
        _ = scene.happens(.finished(Ticket(owner: 0, sequence: ticket.rawValue + 1), Outcome(.complete, created: "resp_1")))
        _ = scene.finish(ticket)
        return scene
    }

    @Test("a request for it, and one that goes on from it, go to the server that made it")
    func known() {
        var scene = scene()
        let (lookUp, one) = scene.ask(.fallback, counts: false, follows: .made("resp_1"))
        #expect(one.grant(of: lookUp)?.serverName == "B")
        let (next, two) = scene.ask(.model("m"), client: "somebody", follows: .made("resp_1"))
        #expect(two.grant(of: next)?.serverName == "B")
        let (third, three) = scene.ask(.model("m"), client: "somebody else", follows: .made("resp_1"))
        #expect(three.granted.isEmpty, "it waits for B, although others are free")
        #expect(scene.finish(next).granted == [third])
    }

    @Test("a draining server still takes what only it has")
    func draining() {
        var scene = scene()
        _ = scene.happens(.drain(Scene.id(2)))
        let (ticket, effects) = scene.ask(.model("m"), client: "x", follows: .made("resp_1"))
        #expect(effects.grant(of: ticket)?.serverName == "B")
    }

    @Test("a request for a model stays among the model's servers, whatever it says that it follows")
    func notPastRoutes() {
        var scene = Scene([("A", nil), ("B", nil)], routes: [("cheap", [2]), ("gpt", [1])], models: nil)
        let (ticket, _) = scene.ask(.model("cheap"), client: "x")
        _ = scene.happens(.finished(ticket, Outcome(.complete, created: "resp_1")))
        let (other, effects) = scene.ask(.model("gpt"), client: "x", follows: .made("resp_1"))
        #expect(effects.grant(of: other)?.serverName == "A")
    }

    @Test("when nobody knows who made it, all are asked in turn, and the last answer is passed on")
    func search() {
        var scene = scene()
        let (ticket, effects) = scene.ask(.fallback, counts: false, follows: .made("resp_9"))
        #expect(effects.grant(of: ticket)?.serverName == "A")
        #expect(scene.fail(ticket, .answered(status: 404)).grant(of: ticket)?.serverName == "B")
        #expect(scene.fail(ticket, .answered(status: 404)).grant(of: ticket)?.serverName == "C")
        #expect(scene.fail(ticket, .answered(status: 404)).contains(.keepAnswer(ticket)))
    }

    @Test("more servers than attempts are asked, and not out of the retry budget")
    func longSearch() {
        var policy = RoutingPolicy()
        policy.freeRetries = 0
        policy.retryShare = 0
        var scene = Scene((1...9).map { ("S\($0)", 1) }, policy: policy)
        let (ticket, effects) = scene.ask(.fallback, counts: false, follows: .made("resp_9"))
        var servers = [effects.grant(of: ticket)?.serverName]
        for _ in 1...8 { servers.append(scene.fail(ticket, .answered(status: 404)).grant(of: ticket)?.serverName) }
        #expect(servers == (1...9).map { "S\($0)" }, "without a fallback as well")
    }

    @Test("a request that names a model goes anywhere when nobody knows what it goes on from")
    func unknownPredecessor() {
        var scene = scene()
        let (ticket, effects) = scene.ask(.model("m"), follows: .made("resp_9"))
        #expect(effects.granted == [ticket])
        #expect(scene.fail(ticket, .answered(status: 404)).contains(.keepAnswer(ticket)), "404 may be the model's own answer")
    }
}
