import Testing

@testable import Routing

@Suite("The expected cost")
struct ExpectedCostTests {
    typealias Server = PricedScene.Server

    @Test("the next turn of a conversation goes to the server that has it, whatever client sends it")
    func conversation() {
        var scene = PricedScene("A", "B", slots: 2)
        scene.play(TestPrompt((9, 4000)), client: "other")
        #expect(scene.play(TestPrompt((1, 4000)), client: "x") == "B")
        var prompt = TestPrompt((1, 4000))
        for (turn, client) in ["x", "y", "other"].enumerated() {
            prompt.append(2 + turn, tokens: 100)
            let asked = scene.ask(prompt, client: client)
            #expect(asked.server == "B")
            #expect(asked.effects.grant(of: asked.ticket)?.cache == CacheForecast(result: .hit, tokens: 4000 + 100 * turn))
            _ = scene.finish(asked.ticket)
        }
    }

    @Test("a new conversation goes where fewer are live")
    func fewerLive() {
        var scene = PricedScene("A", "B", "C", slots: 2)
        var servers: [String?] = []
        for number in 0..<12 {
            servers.append(scene.play(TestPrompt((number, 2000)), client: "\(number)"))
            // Each one has had a second turn, so that it counts whole.
            #expect(scene.play(TestPrompt((number, 2000), (100, 200)), client: "\(number)") == servers.last)
        }
        for name in ["A", "B", "C"] { #expect((3...5).contains(servers.count { $0 == name })) }
        var other = PricedScene("A", "B", slots: 2)
        for _ in 0..<3 { other.play(TestPrompt((1, 2000)), client: "1") }
        #expect(other.play(TestPrompt((2, 2000)), client: "2") == "B")
    }

    @Test("a server that holds a long prompt that others share is worth going to")
    func sharedPrompt() {
        var scene = PricedScene("A", "B", slots: 4)
        #expect(scene.play(TestPrompt((1, 20_000), (2, 100))) == "A")
        #expect(scene.play(TestPrompt((1, 20_000), (3, 100)), client: "2") == "A")
        #expect(scene.play(TestPrompt((4, 20_000), (3, 100)), client: "3") == "B")
    }

    @Test("when nothing is known of the prompt, the client's session decides a near tie, then the order of the file")
    func nothingKnown() {
        var scene = PricedScene("A", "B", slots: 4)
        #expect(scene.ask(nil, client: "1").server == "A")
        let busy = scene.ask(nil, client: "2")
        #expect(busy.server == "B", "where nothing runs")
        _ = scene.finish(busy.ticket)
        let other = scene.ask(nil, client: "3")
        #expect(other.server == "B")
        for ticket in [other.ticket, Ticket(owner: 0, sequence: 10_001)] { _ = scene.finish(ticket) }
        scene.pass(170)
        for (client, server) in [("2", "B"), ("1", "A"), ("3", "B"), ("new", "A")] {
            let asked = scene.ask(nil, client: client)
            #expect(asked.server == server, "for client \(client)")
            _ = scene.finish(asked.ticket)
        }
    }

    @Test("a difference of less than 10 % does not take a client from its server", arguments: [(1900.0, "B"), (1400, "A")])
    func nearTie(speed: Double, server: String) {
        var scene = PricedScene([Server(name: "A", slots: 4), Server(name: "B", slots: 4, speed: speed)])
        _ = scene.scene.happens(.drain(Scene.id(1)))
        _ = scene.finish(scene.ask(nil, client: "1").ticket)
        _ = scene.scene.happens(.undrain(Scene.id(1)))
        // What B has done is forgotten, the session is not.
        scene.pass(179)
        for index in 0..<2 { scene.scene.router.backends[index].occupancy = Occupancy() }
        #expect(scene.ask(nil, client: "1").server == server)
        if server == "B" { #expect(scene.ask(nil, client: "new").server == "A", "where nothing runs now") }
    }

    @Test("a short prompt, which is not hashed, stays where its client's session is, although another server is faster")
    func unhashed() {
        var scene = PricedScene([Server(name: "A", slots: 4, speed: nil), Server(name: "B", slots: 4, speed: nil)])
        for (index, speed) in [300.0, 220].enumerated() { scene.learn(index, prefill: speed, token: 0.005) }
        func ask(_ client: String, _ number: UInt64, in scene: inout PricedScene) -> String? {
            let ticket = Ticket(owner: 0, sequence: 70_000 + number)
            let traits = RequestTraits(
                destination: .model("m"), client: client, counts: true, prompt: PromptChain(length: 1800), isStream: true)
            let server = scene.scene.happens(.requestArrived(ticket, traits)).grant(of: ticket)?.serverName
            scene.pass(3)
            _ = scene.finish(ticket)
            return server
        }
        _ = scene.scene.happens(.drain(Scene.id(1)))
        #expect(ask("1", 1, in: &scene) == "B")
        _ = scene.scene.happens(.undrain(Scene.id(1)))
        #expect(ask("1", 2, in: &scene) == "B")
        #expect(ask("new", 3, in: &scene) == "A")
    }

    @Test("near ties are near the cheapest server, not near each other")
    func noDrift() {
        var scene = PricedScene([
            Server(name: "A", slots: 4, speed: 2000), Server(name: "B", slots: 4, speed: 1860),
            Server(name: "C", slots: 4, speed: 1730),
        ])
        // A has two sessions, B one, and C none.
        _ = scene.scene.happens(.drain(Scene.id(3)))
        for (client, server) in [("1", "A"), ("2", "B"), ("3", "A")] {
            let asked = scene.ask(nil, client: client)
            #expect(asked.server == server)
            _ = scene.finish(asked.ticket)
        }
        _ = scene.scene.happens(.undrain(Scene.id(3)))
        scene.pass(170)
        for index in 0..<3 { scene.scene.router.backends[index].occupancy = Occupancy() }
        #expect(scene.ask(TestPrompt((1, 20_000)), client: "new").server == "B", "C is more than a tenth dearer than A")
    }

    @Test("a slower machine gets less", arguments: [(2000.0, 4), (500, 7)])
    func slower(speed: Double, most: Int) {
        var scene = PricedScene([Server(name: "A", slots: 10, speed: speed), Server(name: "B", slots: 10, speed: 2000)])
        let servers = (0..<10).map { scene.ask(TestPrompt(($0, 2000)), client: "\($0)").server }
        let onB = servers.count { $0 == "B" }
        #expect(speed < 2000 ? onB > most && onB < 10 : onB == 5)
    }

    @Test("a machine of which nothing is known is tried, as if it were as fast as the fastest")
    func unknownMachines() {
        var scene = PricedScene([Server(name: "A", speed: 300), Server(name: "B", speed: nil), Server(name: "C", speed: 1000)])
        let basis = scene.basis()
        #expect(scene.scene.router.prefillSpeed(1, 1, basis) == 1000)
        #expect(abs(scene.scene.router.tokenTime(1, 1, basis) - 0.03) < 1e-9)
        #expect(scene.ask(TestPrompt((1, 2000))).server == "B")
        #expect(scene.ask(TestPrompt((2, 2000))).server == "C")
    }

    @Test("a server that is busy with other people's work counts as half as fast")
    func busyByOthers() {
        var scene = PricedScene("A", "B", slots: 2)
        _ = scene.scene.happens(
            .probed(Scene.id(1), BackendReport(isBusy: true, slots: .init(total: 2, busy: 0))))
        #expect(scene.ask(TestPrompt((1, 2000))).server == "B")
        #expect(scene.price(TestPrompt((7, 2000)), on: 0).own == 2)
        #expect(scene.price(TestPrompt((7, 2000)), on: 1).own == 1)
    }

    @Test("a model that is not loaded costs the time of loading it, one that is being loaded half of that")
    func loading() {
        func first(_ residency: ListedModel.Residency?, _ tokens: Int) -> String? {
            var scene = PricedScene([Server(name: "A", speed: 2000, residency: residency), Server(name: "B", speed: 1000)])
            return scene.ask(TestPrompt((1, tokens))).server
        }
        #expect(first(nil, 2000) == "A" && first(.loaded, 2000) == "A")
        #expect(first(.loading, 2000) == "B" && first(.unloaded, 2000) == "B")
        #expect(first(.loading, 12_000) == "A" && first(.unloaded, 12_000) == "B" && first(.unloaded, 30_000) == "A")
    }

    @Test("the second failure in a row costs, and less with time")
    func failures() {
        var scene = PricedScene("A", "B", slots: 4)
        func penalty() -> Double { scene.price(TestPrompt((7, 500)), on: 0).failures }
        _ = scene.scene.happens(.drain(Scene.id(2)))
        for (number, seconds) in [(1, 0.0), (2, 2)] {
            let failing = scene.ask(TestPrompt((number, 500)))
            #expect(failing.server == "A")
            _ = scene.scene.happens(.finished(failing.ticket, Outcome(.broken("reset"))))
            _ = scene.scene.probe(1, slots: 4)
            #expect(penalty() == seconds)
        }
        _ = scene.scene.happens(.undrain(Scene.id(2)))
        #expect(scene.ask(TestPrompt((3, 500)), client: "2").server == "B")
        #expect(scene.ask(TestPrompt((4, 500)), client: "3").server == "B", "two seconds are more than a busy machine costs")
        scene.pass(2)
        #expect(penalty() == 1)
        scene.pass(2)
        #expect(penalty() == 0)
    }

    @Test("only inside one engine the order of slots tells which prompt is computed first")
    func slotsOfInstances() {
        var scene = PricedScene([Server(name: "A", slots: 4), Server(name: "B", speed: 200)], models: ["m", "m-2"])
        let traits = RequestTraits(destination: .model("m"), client: "c")
        let served = scene.scene.router.candidates(for: traits)?.candidates[0].served ?? []
        #expect(scene.ask(TestPrompt((1, 4000))).server == "A")
        for index in served {
            scene.scene.change { $0.backends[0].served[index].cache.setSeats(2, in: &$0.sequences, at: 1) }
        }
        let basis = scene.basis(TestPrompt((2, 1000)))
        let prices = served.map { scene.scene.router.price(0, $0, basis, wait: nil, limit: .infinity) }
        // The first prompt runs in the last slot of its instance.
        #expect(prices.map(\.1.match.seat) == [0, 1] && prices.map(\.0.ahead) == [0, 2])
    }

    @Test("light requests go where they always went, and neither count nor wait")
    func light() {
        var scene = PricedScene("A", "B")
        for number in 0..<2 { _ = scene.ask(TestPrompt((number, 2000)), client: "\(number)") }
        let light = scene.ask(nil, counts: false)
        #expect(light.server == "A")
        #expect(scene.scene.router.backends[0].jobs.count == 1)
        #expect(scene.ask(TestPrompt((3, 100))).server == nil)
    }

    @Test("of two instances of a model, the one that has the conversation is taken")
    func instances() {
        var scene = PricedScene([Server(name: "A", slots: 2)], models: ["m", "m-2"])
        func instance(_ asked: (ticket: Ticket, server: String?, effects: [Effect])) -> String {
            asked.effects.grant(of: asked.ticket)?.model ?? "m"
        }
        let (first, second) = (scene.ask(TestPrompt((1, 3000))), scene.ask(TestPrompt((2, 3000)), client: "2"))
        #expect([instance(first), instance(second)] == ["m", "m-2"])
        #expect(scene.scene.router.backends[0].served.dropFirst().map(\.cache.seats.count) == [1, 1])
        for ticket in [first.ticket, second.ticket] { _ = scene.finish(ticket) }
        #expect(instance(scene.ask(TestPrompt((2, 3000), (3, 50)))) == "m-2")
        #expect(instance(scene.ask(TestPrompt((1, 3000), (3, 50)))) == "m")
    }

    @Test("of many servers that a request may go to one after the other, one after the sixteenth is found, too")
    func manyGroups() {
        var scene = Scene((1...20).map { ("S\($0)", nil) }, fallback: 1, models: nil)
        var fleet = Scene.fleet((1...20).map { ("S\($0)", nil) }, fallback: 1)
        fleet.rule = .expectedCost
        _ = scene.happens(.fleetChanged(fleet))
        for server in 1...18 { _ = scene.happens(.drain(Scene.id(server))) }
        let (ticket, effects) = scene.ask(.fallback)
        #expect(effects.grant(of: ticket)?.serverName == "S19")
    }
}
