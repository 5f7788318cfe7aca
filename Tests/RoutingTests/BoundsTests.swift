import Testing

@testable import Routing

/// What the threat model promises of the router's memory, and what it remembers for no longer than it should.
@Suite("Bounds")
struct BoundsTests {
    @Test("10,000 owners are remembered, and the oldest are forgotten first")
    func owners() {
        var table = OwnerTable()
        for number in 0..<10_000 { table.record("\(number)", at: Scene.id(number)) }
        #expect(table.backend(of: "0") == Scene.id(0))
        table.record("0", at: Scene.id(7))
        table.record("new", at: Scene.id(8))
        #expect(table.backend(of: "0") == nil, "used again, but known for longest")
        #expect(table.backend(of: "1") == Scene.id(1))
        for number in 20_000..<60_000 { table.record("\(number)", at: Scene.id(number)) }
        #expect(table.count == 10_000)
        #expect(table.backend(of: "new") == nil)
        #expect(table.backend(of: "50000") == Scene.id(50_000))
        #expect(table.backend(of: "49999") == nil)
    }

    @Test("a conversation is noted for requests that compute, unless they name their server")
    func conversations() {
        var scene = Scene([("A", nil), ("B", nil)], fallback: 1)
        func arrive(_ destination: RequestTraits.Destination, _ number: UInt64, follows: RequestTraits.Followed? = nil) -> String?
        {
            let ticket = Ticket(owner: 0, sequence: 1000 + number)
            let traits = RequestTraits(
                destination: destination, client: "c", counts: follows == nil, conversation: "talk", follows: follows)
            return scene.happens(.requestArrived(ticket, traits)).grant(of: ticket)?.serverName
        }
        #expect(arrive(.server("B"), 1) == "B")
        #expect(arrive(.fallback, 2, follows: .stream("talk")) == "A", "whoever merely looks at B makes it no stream's home")
        _ = scene.happens(.drain(Scene.id(1)))
        #expect(arrive(.model("m"), 3) == "B")
        _ = scene.happens(.undrain(Scene.id(1)))
        #expect(arrive(.fallback, 4, follows: .stream("talk")) == "B")
        #expect(arrive(.fallback, 5) == "A", "llama-server's own page names no model")
        #expect(arrive(.fallback, 6, follows: .stream("talk")) == "A")
    }

    @Test("a conversation whose server is gone from the configuration goes to the fallback server")
    func conversationOnRemoved() {
        var scene = Scene([("A", nil), ("B", nil)], fallback: 1)
        _ = scene.happens(.drain(Scene.id(1)))
        let running = Ticket(owner: 0, sequence: 1000)
        let traits = RequestTraits(destination: .model("m"), client: "c", conversation: "talk")
        #expect(scene.happens(.requestArrived(running, traits)).grant(of: running)?.serverName == "B")
        _ = scene.happens(.undrain(Scene.id(1)))
        _ = scene.happens(.fleetChanged(Scene.fleet([("A", nil)], fallback: 1)))
        #expect(scene.server("B")?.isRemoved == true)
        let (ticket, effects) = scene.ask(.fallback, follows: .stream("talk"))
        #expect(effects.grant(of: ticket)?.serverName == "A")
    }

    @Test("servers that are gone are no candidates, while their last requests run", arguments: ["route", "discovered", "silent"])
    func removedAreNoCandidates(how: String) {
        let routes: [(String, [Int])]? = how == "route" ? [("m", [1, 2])] : nil
        var scene = Scene([("A", nil), ("B", nil)], routes: routes, models: how == "silent" ? nil : ["m"])
        _ = scene.ask(.server("A"))
        _ = scene.happens(.fleetChanged(Scene.fleet([("B", nil)], routes: routes, firstID: 2)))
        #expect(scene.server("A")?.isRemoved == true)
        let (_, _) = scene.ask(client: "c", requestID: "id")
        #expect(scene.router.decisions(requestID: "id").first?.candidates.map(\.server) == ["B"])
    }

    @Test("clients are remembered by the line no longer than their rounds last")
    func rounds() {
        var line = WaitingLine()
        var number: UInt64 = 0
        for batch in 0..<100 {
            for client in 0..<10 {
                number += 1
                let traits = RequestTraits(destination: .model("m"), client: "\(batch) \(client % 5)")
                let ticket = Ticket(owner: 0, sequence: number)
                line.add(PendingRequest(ticket: ticket, traits: traits, arrivedAt: .zero), deadline: .zero)
            }
            while line.count > 1, let next = line.heads.last { _ = line.serve(next.ticket) }
        }
        #expect(line.rememberedClients <= 10)
    }

    @Test("clients are remembered by the line in a bounded number, when a round never ends because new ones come all the time")
    func endlessRound() {
        var scene = Scene([("A", 1)])
        var running = scene.ask(client: "first").ticket
        for client in 0..<5 { _ = scene.ask(client: "w\(client)") }
        for client in 5..<5_000 {
            _ = scene.ask(client: "w\(client)")
            guard let next = scene.finish(running).granted.first else {
                Issue.record("nobody is served")
                return
            }
            running = next
        }
        #expect(scene.snapshot.waitingCount == 5)
        #expect(scene.router.line.rememberedClients <= 1_005)
    }

    @Test("only whole answers tell how long a request takes", arguments: ["broken", "abandoned", "passing"])
    func serviceTime(end: String) {
        var policy = RoutingPolicy()
        policy.maxWaiting = 0
        var scene = Scene([("A", 1)], policy: policy)
        let (ticket, _) = scene.ask(client: "1", counts: end != "passing")
        scene.pass(.seconds(100))
        let ending: Outcome.Ending = end == "broken" ? .broken("reset") : end == "abandoned" ? .abandoned : .complete
        _ = scene.happens(.finished(ticket, Outcome(ending)))
        _ = scene.ask(client: "2")
        let (refused, effects) = scene.ask(client: "3")
        #expect(effects.refusal(of: refused) == .queueFull(waiting: 0, retryAfterSeconds: 1))
    }

    @Test("a clock event that comes too early does not end the waiting for a later one")
    func earlyClock() {
        var policy = RoutingPolicy()
        policy.maxWait = .seconds(10)
        var scene = Scene([("A", 1)], policy: policy)
        _ = scene.ask(client: "0")
        #expect(scene.ask(client: "1").effects.wakes == [scene.now + .seconds(10)])
        scene.pass(.seconds(1))
        #expect(scene.happens(.clockAdvanced).wakes.isEmpty, "it has been asked for, and comes")
        #expect(scene.ask(client: "2").effects.wakes.isEmpty)
    }

    @Test("100,000 sessions at most, whatever the policy's order of events, and as few as it says")
    func sessions() {
        var policy = RoutingPolicy()
        policy.stickyLimit = 50
        var scene = Scene([("A", nil)], policy: policy)
        _ = scene.probe(1, slots: 1000)
        for client in 0..<200 { _ = scene.finish(scene.ask(client: "\(client)").ticket) }
        #expect(scene.snapshot.sessionCount == 50)
        #expect(RoutingPolicy().stickyLimit == 100_000)
    }

    @Test("an engine that claims very many slots gets 1,024 holders")
    func manySlots() {
        var scene = Scene([("A", nil)])
        _ = scene.probe(1, slots: .max)
        for client in 0..<1_100 { _ = scene.finish(scene.ask(client: "\(client)").ticket) }
        #expect(scene.snapshot.sessionCount == 1024)
    }

    @Test("a server has at most 33 circuits, however many models fail there")
    func circuits() {
        var table = CircuitTable()
        var policy = RoutingPolicy()
        policy.failuresUntilOpen = 1
        for number in 0..<1_000 {
            _ = table["model \(number)"].failed(Ticket(owner: 0, sequence: 1), reason: "", policy: policy, at: .zero)
        }
        #expect(table.notClosed.count == 33)
    }
}
