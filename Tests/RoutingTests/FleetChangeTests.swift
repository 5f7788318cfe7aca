import Testing

@testable import Routing

@Suite("Fleet changes")
struct FleetChangeTests {
    @Test("a reload keeps what runs, what is known of the servers, and the sessions")
    func reloadKeeps() {
        var scene = Scene([("A", 1), ("B", 1)])
        let (ticket, _) = scene.ask(client: "me")
        _ = scene.happens(.drain(Scene.id(2)))
        _ = scene.happens(.fleetChanged(Scene.fleet([("A", 3), ("B", 1)])))
        #expect(scene.server("A")?.inFlight == 1)
        #expect(scene.server("A")?.phase == .up)
        #expect(scene.server("A")?.limit == 3)
        #expect(scene.server("A")?.models == ["m"])
        #expect(scene.server("B")?.isDraining == true)
        #expect(scene.snapshot.sessionCount == 1)
        _ = scene.finish(ticket)
        #expect(scene.server("A")?.inFlight == 0)
    }

    @Test("a removed server gets no new work, ends its own, and vanishes with its last request")
    func removedDrains() {
        var scene = Scene([("A", nil), ("B", nil)])
        let (counting, _) = scene.ask(client: "1")
        let (passing, _) = scene.ask(client: "1", counts: false)
        _ = scene.happens(.fleetChanged(Scene.fleet([("B", nil)], firstID: 2)))
        #expect(scene.server("A")?.isRemoved == true)
        #expect(scene.snapshot.sessionCount == 0)
        let (next, effects) = scene.ask(client: "1")
        #expect(effects.grant(of: next)?.serverName == "B")
        let (forced, refused) = scene.ask(.server("A"))
        #expect(refused.refusal(of: forced) == .noSuchServer("A"))
        _ = scene.finish(counting)
        #expect(scene.server("A")?.isRemoved == true)
        _ = scene.finish(passing)
        #expect(scene.server("A") == nil)
        #expect(scene.snapshot.sessions.map(\.backend) == [Scene.id(2)])
    }

    @Test("an idle server that is removed vanishes at once")
    func idleVanishes() {
        var scene = Scene()
        _ = scene.happens(.fleetChanged(Scene.fleet([("B", 1)], firstID: 2)))
        #expect(scene.snapshot.servers.map(\.name) == ["B"])
    }

    @Test("a server that comes back before its last request ended carries on")
    func comesBack() {
        var scene = Scene()
        let (ticket, _) = scene.ask()
        _ = scene.happens(.fleetChanged(Scene.fleet([("B", 1)], firstID: 2)))
        _ = scene.happens(.fleetChanged(Scene.fleet([("A", 1), ("B", 1)])))
        #expect(scene.server("A")?.isRemoved == false)
        #expect(scene.server("A")?.inFlight == 1)
        _ = scene.finish(ticket)
        #expect(scene.server("A")?.inFlight == 0)
    }

    @Test("work on a removed server that fails moves to another one")
    func failsOnRemoved() {
        var scene = Scene()
        let (ticket, _) = scene.ask()
        _ = scene.happens(.fleetChanged(Scene.fleet([("B", 1)], firstID: 2)))
        #expect(scene.fail(ticket).grant(of: ticket)?.serverName == "B")
        #expect(scene.server("A") == nil)
    }

    @Test("those who wait are served by a new server")
    func newServerServes() {
        var scene = Scene([("A", 1)], routes: [("m", [1])])
        _ = scene.ask(client: "1")
        let (waiting, _) = scene.ask(client: "2")
        let effects = scene.happens(
            .fleetChanged(Scene.fleet([("A", 1), ("N", 1)], routes: [("m", [1, 2])])))
        #expect(effects.grant(of: waiting)?.serverName == "N")
    }

    @Test("those who wait are served when a limit is raised, and told when their model is gone")
    func waitingAfterReload() {
        var scene = Scene([("A", 1)], routes: [("m", [1]), ("n", [1])])
        _ = scene.ask(client: "1")
        let (first, _) = scene.ask("m", client: "2")
        let (second, _) = scene.ask("n", client: "3")
        let effects = scene.happens(.fleetChanged(Scene.fleet([("A", 2)], routes: [("m", [1])])))
        #expect(effects.grant(of: first)?.serverName == "A")
        #expect(effects.refusal(of: second) == .modelNotFound("n"))
    }

    @Test("a lowered limit lets the work in flight end and then holds")
    func loweredLimit() {
        var scene = Scene([("A", 3)])
        let tickets = (0..<3).map { scene.ask(client: "\($0)").ticket }
        _ = scene.happens(.fleetChanged(Scene.fleet([("A", 1)])))
        let (waiting, effects) = scene.ask(client: "w")
        #expect(effects.granted.isEmpty)
        #expect(scene.finish(tickets[0]).granted.isEmpty)
        #expect(scene.finish(tickets[1]).granted.isEmpty)
        #expect(scene.finish(tickets[2]).granted == [waiting])
    }

    @Test("a pattern or a fallback that still names a removed server leaves it out")
    func namesRemoved() {
        var scene = Scene([("A", 1), ("B", 1)])
        let (running, _) = scene.ask(client: "1")
        _ = scene.happens(
            .fleetChanged(Scene.fleet([("B", 1)], routes: [("m", [1, 2]), ("n", [1])], fallback: 1, firstID: 2)))
        let (patterned, one) = scene.ask("m", client: "2")
        #expect(one.grant(of: patterned)?.serverName == "B")
        let (unserved, two) = scene.ask("n", client: "3")
        #expect(two.refusal(of: unserved) == .modelNotFound("n"))
        #expect(scene.fail(running, .answered(status: 503)) == [.keepAnswer(running)])
    }

    @Test("an empty fleet refuses everything, and a router that was never told of one does too")
    func emptyFleet() {
        var scene = Scene([])
        let (ticket, effects) = scene.ask()
        #expect(effects == [.refuse(ticket, .modelNotFound("m"))])
        var router = Router()
        #expect(router.handle(.clockAdvanced, at: .zero).isEmpty)
    }
}
