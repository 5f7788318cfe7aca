import Testing

@testable import Routing

@Suite("Picking")
struct PickingTests {
    /// One row: the state of servers A, B, C and where a new client's request for `m` goes.
    struct Row: Sendable, CustomTestStringConvertible {
        enum State: Sendable { case idle, busy, suspect, unprobed, full, down, draining, inUse }

        var states: [State]
        var server: String
        var reason: String

        init(_ states: [State], _ server: String, _ reason: Choice.Reason) {
            (self.states, self.server, self.reason) = (states, server, reason.text)
        }

        var testDescription: String { "\(states) → \(server)" }
    }

    @Test(
        "follows the table of states",
        arguments: [
            Row([.idle, .idle, .idle], "A", .idleInstance),
            Row([.busy, .idle, .idle], "B", .idleInstance),
            Row([.inUse, .idle, .idle], "B", .idleInstance),
            Row([.inUse, .inUse, .inUse], "A", .idleServer),
            Row([.inUse, .busy, .busy], "A", .idleServer),
            Row([.busy, .busy, .busy], "A", .busyInstance),
            Row([.full, .busy, .full], "B", .busyInstance),
            Row([.unprobed, .idle, .full], "B", .idleInstance),
            Row([.unprobed, .full, .full], "A", .busyInstance),
            Row([.down, .idle, .idle], "B", .idleInstance),
            Row([.draining, .down, .idle], "C", .idleInstance),
            Row([.suspect, .idle, .idle], "A", .idleInstance),
            Row([.full, .full, .busy], "C", .busyInstance),
            Row([.down, .full, .suspect], "C", .idleInstance),
            Row([.down, .down, .down], "A", .lastResort),
        ])
    func table(row: Row) throws {
        var scene = Scene([("A", 2), ("B", 2), ("C", 2)], routes: [("m", [1, 2, 3])], isUp: false)
        for (index, state) in row.states.enumerated() {
            let name = ["A", "B", "C"][index]
            switch state {
            case .idle: _ = scene.probe(index + 1)
            case .busy: _ = scene.probe(index + 1, isBusy: true)
            case .unprobed: break
            case .suspect:
                _ = scene.probe(index + 1)
                _ = scene.probeFails(index + 1)
            case .down: _ = scene.probeFails(index + 1, times: 2)
            case .draining: _ = scene.happens(.drain(Scene.id(index + 1)))
            case .inUse, .full:
                _ = scene.probe(index + 1)
                // By way of `/upstream`, so that nothing else is touched; the instance is taken by hand.
                for _ in 0..<(state == .full ? 2 : 1) { _ = scene.ask(.server(name)) }
                if state == .inUse {
                    scene.router.backends[index].ended(instance: nil, counts: true)
                    scene.router.backends[index].started(instance: "m", counts: true)
                }
            }
        }
        let (ticket, effects) = scene.ask(client: "new", requestID: "r")
        let grant = try #require(effects.grant(of: ticket))
        #expect(grant.serverName == row.server)
        let chosen = scene.router.decisions(requestID: "r").first?.candidates.first { $0.isChosen }
        #expect(chosen?.server == row.server)
        #expect(chosen?.reason == row.reason)
    }

    @Test("prefers the server that holds the client's session, even when it is busy and another is idle")
    func stickyFirst() {
        var scene = Scene([("A", 2), ("B", 2)])
        _ = scene.probe(1, isBusy: true)
        let (first, effects) = scene.ask(client: "me")
        #expect(effects.grant(of: first)?.serverName == "B")
        _ = scene.finish(first)
        for _ in 0..<5 { _ = scene.probe(1) }
        for _ in 0..<5 { _ = scene.probe(2, isBusy: true) }
        let (second, again) = scene.ask(client: "me")
        #expect(again.grant(of: second)?.serverName == "B")
        let (other, elsewhere) = scene.ask(client: "other")
        #expect(elsewhere.grant(of: other)?.serverName == "A")
    }

    @Test("leaves the session's server when it is full, draining or down", arguments: ["full", "draining", "down"])
    func leavesSession(reason: String) {
        var scene = Scene()
        let (first, effects) = scene.ask(client: "me")
        #expect(effects.grant(of: first)?.serverName == "A")
        if reason != "full" { _ = scene.finish(first) }
        if reason == "draining" { _ = scene.happens(.drain(Scene.id(1))) }
        if reason == "down" { _ = scene.probeFails(1, times: 2) }
        let (second, again) = scene.ask(client: "me")
        #expect(again.grant(of: second)?.serverName == "B")
    }

    @Test("forgets a session when its time is over")
    func sessionExpires() {
        var scene = Scene([("A", 2), ("B", 2)])
        let (occupant, _) = scene.ask(client: "occupant")
        let (mine, effects) = scene.ask(client: "me")
        #expect(effects.grant(of: mine)?.serverName == "B")
        _ = scene.finish(occupant)
        _ = scene.finish(mine)
        scene.pass(.seconds(179))
        let (soon, sticky) = scene.ask(client: "me")
        #expect(sticky.grant(of: soon)?.serverName == "B")
        _ = scene.finish(soon)
        scene.pass(.seconds(180))
        let (late, fresh) = scene.ask(client: "me")
        #expect(fresh.grant(of: late)?.serverName == "A")
    }

    @Test("keeps the session of a request that ran longer than a session lives, even if somebody looked meanwhile")
    func longRequestKeepsSession() {
        var scene = Scene([("A", 2), ("B", 2)])
        let (occupant, _) = scene.ask(client: "occupant")
        let (mine, effects) = scene.ask(client: "me")
        #expect(effects.grant(of: mine)?.serverName == "B")
        scene.pass(.seconds(400))
        let seen = scene.router.snapshot(at: scene.now)
        #expect(seen.sessionCount == 0)
        _ = scene.finish(occupant)
        _ = scene.finish(mine)
        let (next, again) = scene.ask(client: "me")
        #expect(again.grant(of: next)?.serverName == "B")
    }

    @Test("uses instances m, m-2, m-3 in turn and asks the engine for the one chosen")
    func instances() {
        var scene = Scene([("A", nil)], models: ["m", "m-2", "m-3", "m-5"])
        var names: [String?] = []
        for client in 1...4 {
            let (ticket, effects) = scene.ask(client: "c\(client)")
            names.append(effects.grant(of: ticket)?.model)
        }
        // m-5 is no instance of m: there is a gap before it. The fourth shares the model itself.
        #expect(names == [nil, "m-2", "m-3", nil])
        #expect(scene.server("A")?.inFlightByInstance == ["m": 2, "m-2": 1, "m-3": 1])
    }

    @Test("returns a client to its instance")
    func stickyInstance() {
        var scene = Scene([("A", nil)], models: ["m", "m-2"])
        let (first, _) = scene.ask(client: "one")
        let (second, _) = scene.ask(client: "two")
        _ = scene.finish(first)
        _ = scene.finish(second)
        let (again, effects) = scene.ask(client: "two")
        #expect(effects.grant(of: again)?.model == "m-2")
    }

    @Test("goes by the patterns' order, and by the order of servers within a pattern")
    func configuredOrder() {
        var scene = Scene(
            [("A", 1), ("B", 1), ("C", 1)], routes: [("qwen.*", [3, 1]), (".*", [2])], fallback: 1,
            models: ["qwen:7b", "other"])
        let (first, one) = scene.ask("qwen:7b", client: "1")
        let (second, two) = scene.ask("qwen:7b", client: "2")
        let (third, three) = scene.ask("other", client: "3")
        #expect(one.grant(of: first)?.serverName == "C")
        #expect(two.grant(of: second)?.serverName == "A")
        #expect(three.grant(of: third)?.serverName == "B")
    }

    @Test("skips servers of the pattern that do not list the model, unless none does")
    func listedModels() {
        var scene = Scene([("A", 1), ("B", 1)], routes: [(".*", [1, 2])], models: nil)
        _ = scene.list(1, ["x"])
        _ = scene.list(2, ["m"])
        let (listed, one) = scene.ask("m", client: "1")
        #expect(one.grant(of: listed)?.serverName == "B")
        let (unlisted, two) = scene.ask("anything", client: "2")
        #expect(two.grant(of: unlisted)?.serverName == "A")
        #expect(two.grant(of: unlisted)?.model == nil)
    }

    @Test("without patterns, goes to the servers that list the model; failing that, to those that have not told yet")
    func discovery() {
        var scene = Scene([("A", 1), ("B", 1), ("C", 1)], models: nil)
        _ = scene.list(1, ["x"])
        _ = scene.list(2, ["m"])
        let (listed, one) = scene.ask("m", client: "1")
        #expect(one.grant(of: listed)?.serverName == "B")
        let (unknown, two) = scene.ask("new", client: "2")
        #expect(two.grant(of: unknown)?.serverName == "C")
        _ = scene.list(3, ["z"])
        let (nowhere, three) = scene.ask("new", client: "3")
        #expect(three.refusal(of: nowhere) == .modelNotFound("new"))
    }

    @Test("sends what no pattern matches, and what names no model, to the fallback server under its own name")
    func fallback() {
        var scene = Scene([("A", 1), ("B", 2)], routes: [("m", [1])], fallback: 2)
        _ = scene.list(2, ["z"])
        let (unknown, one) = scene.ask("unknown")
        #expect(one.grant(of: unknown)?.serverName == "B")
        #expect(one.grant(of: unknown)?.model == nil)
        let (unnamed, two) = scene.ask(.fallback)
        #expect(two.grant(of: unnamed)?.serverName == "B")
        #expect(scene.snapshot.sessionCount == 0)
    }

    @Test("refuses what has neither server nor fallback")
    func notFound() {
        var scene = Scene([("A", 1)], routes: [("m", [1])], models: ["m", "n"])
        let (unknown, one) = scene.ask("unknown")
        #expect(one.refusal(of: unknown) == .modelNotFound("unknown"))
        let (unnamed, two) = scene.ask(.fallback)
        #expect(two.refusal(of: unnamed) == .modelNotFound(""))
        let (nowhere, three) = scene.ask(.server("Z"))
        #expect(three.refusal(of: nowhere) == .noSuchServer("Z"))
    }

    @Test("runs what names its server there at once: full, draining or down")
    func forcedServer() {
        var scene = Scene([("A", 1)])
        _ = scene.ask()
        _ = scene.happens(.drain(Scene.id(1)))
        _ = scene.probeFails(1, times: 2)
        let (forced, effects) = scene.ask(.server("A"))
        #expect(effects.grant(of: forced)?.serverName == "A")
        #expect(scene.server("A")?.inFlight == 2)
        _ = scene.finish(forced)
        #expect(scene.server("A")?.inFlight == 1)
    }

    @Test(
        "never exceeds request-max, the engine's slots, or the smaller of both",
        arguments: [
            (requestMax: 2, slots: nil, limit: 2), (nil, 3, 3), (4, 2, 2), (2, 4, 2), (nil, nil, nil), (3, 0, 3),
        ] as [(requestMax: Int?, slots: Int?, limit: Int?)])
    func limits(requestMax: Int?, slots: Int?, limit: Int?) {
        var scene = Scene([("A", requestMax)])
        _ = scene.probe(1, slots: slots)
        var granted = 0
        for client in 0..<10 {
            let (ticket, effects) = scene.ask(client: "\(client)")
            if effects.grant(of: ticket) != nil { granted += 1 }
        }
        #expect(granted == limit ?? 10)
        #expect(scene.server("A")?.limit == limit)
        #expect(scene.server("A")?.inFlight == granted)
    }

    @Test("lets what does not make an engine compute pass at once, outside the limit")
    func passing() {
        var scene = Scene([("A", 1)])
        _ = scene.ask()
        let (ticket, effects) = scene.ask(counts: false)
        #expect(effects.grant(of: ticket) != nil)
        #expect(scene.server("A")?.inFlight == 1)
        #expect(scene.server("A")?.passing == 1)
        _ = scene.finish(ticket)
        #expect(scene.server("A")?.passing == 0)
    }

    @Test("tries the first server in order once when nobody is up, then says 503")
    func lastResort() {
        var scene = Scene()
        _ = scene.probeFails(1, times: 2)
        _ = scene.probeFails(2, times: 2)
        let (ticket, effects) = scene.ask()
        #expect(effects.grant(of: ticket)?.serverName == "A")
        #expect(scene.fail(ticket).refusal(of: ticket)?.kind == "noServerAvailable")
        #expect(scene.server("A")?.inFlight == 0)
    }

    @Test("does not exceed a limit as a last resort either")
    func lastResortWithinLimit() {
        var scene = Scene()
        _ = scene.probeFails(1, times: 2)
        _ = scene.probeFails(2, times: 2)
        let (first, one) = scene.ask(client: "1")
        let (second, two) = scene.ask(client: "2")
        let (third, three) = scene.ask(client: "3")
        #expect(one.grant(of: first)?.serverName == "A")
        #expect(two.grant(of: second)?.serverName == "B")
        #expect(three.refusal(of: third)?.kind == "noServerAvailable")
    }
}
