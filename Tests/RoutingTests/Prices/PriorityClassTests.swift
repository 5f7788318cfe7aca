import Testing

@testable import Routing

@Suite("Classes of requests")
struct PriorityClassTests {
    /// Models "interactive", "normal" and "bulk", each with its class, on one server with one slot.
    private func scene(policy: RoutingPolicy = RoutingPolicy()) -> PricedScene {
        let names = PriorityClass.allCases.map(\.rawValue)
        var scene = PricedScene([.init(name: "A")], policy: policy, models: names)
        var fleet = Scene.fleet([("A", nil)], policy: policy)
        fleet.rule = .expectedCost
        fleet.routes = PriorityClass.allCases.map {
            Fleet.Route(pattern: ModelPattern($0.rawValue), servers: [Scene.id(1)], rule: .expectedCost, priority: $0)
        }
        _ = scene.scene.happens(.fleetChanged(fleet))
        return scene
    }

    @Test("a client can ask for a lower class than its model's, never for a higher one", arguments: PriorityClass.allCases)
    func onlyDownwards(model: PriorityClass) {
        for asked in PriorityClass.allCases {
            var scene = scene()
            _ = scene.ask(TestPrompt((1, 1000)), client: "0", model: "normal")
            let waiting = scene.ask(TestPrompt((2, 1000)), client: "1", model: model.rawValue, priority: asked)
            let found = scene.scene.router.line[waiting.ticket]?.request.priority
            #expect(found?.rank == max(model.rank, asked.rank))
        }
    }

    @Test("a key's class stands in place of the route's, and its client can lower it")
    func ofKeys() {
        var scene = scene()
        var fleet = scene.scene.router.fleet
        fleet.keyShares = ["vip": KeyShare(priority: .interactive), "night": KeyShare(priority: .bulk)]
        _ = scene.scene.happens(.fleetChanged(fleet))
        _ = scene.ask(TestPrompt((1, 1000)), client: "0", model: "normal")
        func found(_ key: String, _ model: String, _ asked: PriorityClass? = nil) -> PriorityClass? {
            let waiting = scene.ask(TestPrompt((2, 1000)), client: key, model: model, priority: asked, key: key)
            return scene.scene.router.line[waiting.ticket]?.request.priority
        }
        #expect(found("vip", "bulk") == .interactive)
        #expect(found("vip", "normal", .normal) == .normal)
        #expect(found("night", "interactive") == .bulk)
        #expect(found("other", "bulk") == .bulk)
    }

    @Test("of those that wait, higher classes are served first")
    func higherFirst() {
        var scene = scene()
        var running = scene.ask(TestPrompt((1, 1000)), client: "0", model: "normal").ticket
        let waiting = PriorityClass.allCases.reversed().map { priority in
            scene.ask(TestPrompt((2 + priority.rank, 1000)), client: priority.rawValue, model: priority.rawValue).ticket
        }
        var order: [Ticket] = []
        while let next = scene.finish(running).granted.first {
            order.append(next)
            running = next
        }
        #expect(order == waiting.reversed())
    }

    @Test("who waits is told how many are served before, whenever they came")
    func ahead() {
        var scene = scene()
        _ = scene.ask(TestPrompt((1, 1000)), client: "0", model: "normal")
        let waiting = PriorityClass.allCases.reversed().map { priority in
            scene.ask(TestPrompt((2 + priority.rank, 1000)), client: priority.rawValue, model: priority.rawValue).ticket
        }
        #expect(waiting.map { scene.scene.router.ahead(of: $0) } == [2, 1, 0])
        let listed = scene.scene.router.requests().filter { $0.ahead != nil }
        #expect(listed.map(\.priority) == PriorityClass.allCases && listed.map(\.ahead) == [0, 1, 2])
    }

    @Test("who asks for bulk is overtaken by those who came later, for two and a half minutes")
    func bulkIsNotStarved() {
        var scene = scene()
        var running = scene.ask(TestPrompt((1, 1000)), client: "0", model: "normal").ticket
        let bulk = scene.ask(TestPrompt((2, 1000)), client: "bulk", model: "normal", priority: .bulk).ticket
        var seconds = 0
        while running != bulk, seconds < 1000 {
            _ = scene.ask(TestPrompt((10 + seconds, 1000)), client: "new \(seconds)", model: "normal")
            scene.pass(1)
            seconds += 1
            running = scene.finish(running).granted.first ?? running
        }
        #expect((140...160).contains(seconds))
    }

    /// The longest that anybody waits whose class, service and prompt are the worst, beside those for whom they are the best: 90 s and 60 s
    /// of difference and the prompt itself, made up for by 0.3 for each second; then those who are as urgent.
    @Test("no class starves, whoever keeps asking", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func boundedWait(seed: UInt64) {
        var policy = RoutingPolicy()
        policy.maxWait = .seconds(100_000)
        var scene = scene(policy: policy)
        var random = SplitMix64(seed: seed)
        let clients = 12
        var arrivals: [Ticket: (at: Double, client: Int)] = [:]
        var longest = 0.0
        var served: Set<Int> = []
        func ask(_ client: Int) -> Ticket? {
            let model = client < 4 ? "bulk" : client < 8 ? "normal" : "interactive"
            let tokens = client % 4 == 0 ? 6000 : 400
            let asked = scene.ask(TestPrompt((Int(random.next() % 1_000_000), tokens)), client: "\(client)", model: model)
            arrivals[asked.ticket] = (scene.scene.now.seconds, client)
            return asked.server == nil ? nil : asked.ticket
        }
        var running: Ticket?
        for client in 0..<clients { if let granted = ask(client) { running = granted } }
        for _ in 0..<600 {
            guard let ended = running, let (at, client) = arrivals.removeValue(forKey: ended) else { break }
            longest = max(longest, scene.scene.now.seconds - at)
            served.insert(client)
            scene.pass(3)
            running = scene.finish(ended, cached: 0, prompt: 400).granted.first
            if let granted = ask(client) { running = granted }
        }
        #expect(served.count == clients)
        #expect(longest < (90 + 60 + 3) / 0.3 + 3 * Double(clients))
        let waiting = arrivals.values.map { scene.scene.now.seconds - $0.at }.max() ?? 0
        #expect(waiting < (90 + 60 + 3) / 0.3 + 3 * Double(clients))
        #expect(longest > 100, "the classes make a difference")
    }

    @Test("a predicted wait over the class's limit is refused at once, with the prediction")
    func limit() {
        var policy = RoutingPolicy()
        policy.longestPrediction = LongestPredictions(interactive: .seconds(5), bulk: .seconds(600))
        var scene = scene(policy: policy)
        // 10 s to read, 150 tokens to write.
        _ = scene.ask(TestPrompt((1, 20_000)), client: "0", model: "normal")
        let refused = scene.ask(TestPrompt((2, 500)), client: "1", model: "interactive")
        guard case .waitTooLong(let seconds, let limit) = refused.effects.refusal(of: refused.ticket) else {
            Issue.record("\(refused.effects)")
            return
        }
        #expect(limit == .seconds(5) && (10...14).contains(seconds))
        let normal = scene.ask(TestPrompt((3, 500)), client: "2", model: "normal")
        let bulk = scene.ask(TestPrompt((4, 500)), client: "3", model: "bulk")
        let lowered = scene.ask(TestPrompt((5, 500)), client: "4", model: "interactive", priority: .bulk)
        for asked in [normal, bulk, lowered] { #expect(asked.effects.isEmpty || scene.scene.router.line[asked.ticket] != nil) }
        #expect(scene.scene.router.line.count == 3)
        scene.pass(9)
        let later = scene.ask(TestPrompt((6, 500)), client: "5", model: "interactive")
        #expect(scene.scene.router.line[later.ticket] != nil, "it is nearly its turn")
    }

    @Test("those that wait before it count, those of a lower class do not")
    func limitBehindOthers() {
        var policy = RoutingPolicy()
        policy.longestPrediction = LongestPredictions(interactive: .seconds(60), normal: .seconds(60))
        var scene = scene(policy: policy)
        _ = scene.ask(TestPrompt((1, 500)), client: "0", model: "bulk")
        for number in 0..<100 { _ = scene.ask(TestPrompt((2 + number, 500)), client: "1", model: "bulk") }
        let first = scene.ask(TestPrompt((200, 500)), client: "2", model: "normal")
        #expect(scene.scene.router.line[first.ticket] != nil)
        var refused = 0
        for number in 0..<100 {
            let asked = scene.ask(TestPrompt((300 + number, 500)), client: "3", model: "normal")
            if asked.effects.refusal(of: asked.ticket)?.kind == "waitTooLong" { refused += 1 }
        }
        // Before one has ended, a request counts a second.
        #expect((40..<50).contains(refused))
    }

    @Test("those for other models on the same server count, too")
    func limitBehindOtherModels() {
        var policy = RoutingPolicy()
        policy.longestPrediction = LongestPredictions(normal: .seconds(6))
        let models = (0..<50).map { "model \($0)" }
        var scene = PricedScene([.init(name: "A")], policy: policy, models: models)
        var refused = 0
        for (number, model) in models.enumerated() {
            let asked = scene.ask(TestPrompt((number, 500)), client: "\(number)", model: model)
            if asked.effects.refusal(of: asked.ticket)?.kind == "waitTooLong" { refused += 1 }
        }
        // One runs; the others are expected to take a second each.
        #expect((42...46).contains(refused))
    }

    @Test("without a limit nobody is refused for a prediction")
    func noLimit() {
        var scene = scene()
        _ = scene.ask(TestPrompt((1, 100_000)), client: "0", model: "normal")
        for (number, priority) in PriorityClass.allCases.enumerated() {
            let asked = scene.ask(TestPrompt((2 + number, 500)), client: "1", model: priority.rawValue)
            #expect(scene.scene.router.line[asked.ticket] != nil)
        }
    }
}
