import Testing

@testable import Routing

@Suite("The priced line")
struct PricedLineTests {
    /// Answers what runs, again and again. Returns the tickets in the order in which they were granted.
    private func order(_ scene: inout PricedScene, from running: Ticket, seconds: Double = 1, most: Int = 100) -> [Ticket] {
        var (order, last) = ([Ticket](), running)
        while order.count < most {
            scene.pass(seconds)
            guard let next = scene.finish(last).granted.first else { break }
            order.append(next)
            last = next
        }
        return order
    }

    @Test("a short prompt overtakes long ones, and a warm one counts as short")
    func shortFirst() {
        var scene = PricedScene("A")
        scene.play(TestPrompt((50, 20_000)), client: "warm")
        let running = scene.ask(TestPrompt((1, 100)), client: "0").ticket
        let long = scene.ask(TestPrompt((2, 20_000)), client: "1").ticket
        let middle = scene.ask(TestPrompt((3, 10_000)), client: "2").ticket
        let short = scene.ask(TestPrompt((4, 200)), client: "3").ticket
        let warm = scene.ask(TestPrompt((50, 20_000), (5, 2000)), client: "4").ticket
        #expect(order(&scene, from: running) == [short, warm, middle, long])
    }

    @Test("but not for ever: who has waited long enough is served before short ones that have just come")
    func ageing() {
        var scene = PricedScene("A")
        var running = scene.ask(TestPrompt((1, 100)), client: "0").ticket
        // Ten seconds more to compute are 33 seconds of waiting.
        let long = scene.ask(TestPrompt((2, 20_100)), client: "long").ticket
        var rounds = 0
        while running != long, rounds < 100 {
            _ = scene.ask(TestPrompt((10 + rounds, 100)), client: "short \(rounds)")
            scene.pass(1)
            guard let next = scene.finish(running).granted.first else { break }
            (running, rounds) = (next, rounds + 1)
        }
        #expect(running == long && (25...40).contains(rounds))
    }

    @Test("a client with many jobs does not starve one with few: who has been served less comes first")
    func fairness() {
        var scene = PricedScene("A")
        let running = scene.ask(TestPrompt((1, 2000)), client: "greedy").ticket
        let greedy = (0..<10).map { scene.ask(TestPrompt((10 + $0, 2000)), client: "greedy").ticket }
        scene.pass(0.5)
        let modest = scene.ask(TestPrompt((2, 2200)), client: "modest").ticket
        let served = order(&scene, from: running, seconds: 0.1)
        #expect(served.first == modest)
        #expect(Array(served.dropFirst()) == greedy)
    }

    @Test("one who only asks for little has the same right as one who asks for much: service counts, not requests")
    func fairnessByService() {
        var scene = PricedScene("A")
        for number in 0..<5 { scene.play(TestPrompt((100 + number, 8000)), client: "much") }
        for number in 0..<5 { scene.play(TestPrompt((200 + number, 300)), client: "little") }
        let running = scene.ask(TestPrompt((1, 100)), client: "0").ticket
        let much = scene.ask(TestPrompt((2, 2000)), client: "much").ticket
        let little = scene.ask(TestPrompt((3, 6000)), client: "little").ticket
        #expect(order(&scene, from: running) == [little, much])
        scene.pass(600)
        let later = scene.ask(TestPrompt((4, 100)), client: "0").ticket
        let muchLater = scene.ask(TestPrompt((5, 2000)), client: "much").ticket
        let littleLater = scene.ask(TestPrompt((6, 6000)), client: "little").ticket
        #expect(order(&scene, from: later) == [muchLater, littleLater], "service is forgotten")
    }

    @Test("a key with twice the weight gets twice as much while both have requests waiting")
    func weights() {
        var scene = PricedScene("A")
        var fleet = scene.scene.router.fleet
        fleet.keyShares = ["big": KeyShare(weight: 2)]
        _ = scene.scene.happens(.fleetChanged(fleet))
        var running = scene.ask(TestPrompt((1, 2000)), client: "0").ticket
        var owners: [Ticket: String] = [:]
        for number in 0..<30 {
            for key in ["big", "small"] {
                let prompt = TestPrompt((100 + number + (key == "big" ? 1000 : 0), 2000))
                // A key with many sessions is one key all the same.
                let session = key == "small" ? "session \(number)" : key
                owners[scene.ask(prompt, client: session, key: key).ticket] = key
            }
        }
        var served: [String] = []
        while served.count < 30, let next = scene.finish(running, cached: 0, prompt: 2000).granted.first {
            served.append(owners[next] ?? "")
            running = next
        }
        let big = served.count { $0 == "big" }
        #expect((19...21).contains(big), "\(served)")
    }

    @Test("what was found in a cache is not service")
    func cachedIsFree() {
        var scene = PricedScene("A")
        let (first, second) = (scene.ask(TestPrompt((1, 8000)), client: "a"), scene.scene.router.habits)
        _ = scene.finish(first.ticket, cached: 0, prompt: 8000)
        let after = scene.ask(TestPrompt((1, 8000), (2, 1000)), client: "b")
        #expect(first.server == "A" && after.server == "A")
        var habits = scene.scene.router.habits
        let now = scene.scene.now.seconds
        let (a, b) = (habits.client("a", at: now), habits.client("b", at: now))
        #expect(abs(habits.service(of: a, at: now) - 8300) < 1)
        #expect(abs(habits.service(of: b, at: now) - 850 - 2 * habits.answerTokens) < 1, "the answer is there, too")
        #expect(second.service(of: a, at: now) > 8000, "counted from the start")
    }

    @Test("equal requests of one client are served in the order in which they came")
    func orderOfOneClient() {
        var scene = PricedScene("A", "B")
        let running = (0..<2).map { scene.ask(TestPrompt(($0, 1000))).ticket }
        let waiting = (2..<12).map { scene.ask(TestPrompt(($0, 1000))).ticket }
        var (served, queue) = ([Ticket](), running)
        while !queue.isEmpty {
            scene.pass(1)
            let granted = scene.finish(queue.removeFirst()).granted
            served += granted
            queue += granted
        }
        #expect(served == waiting)
    }

    @Test("a request that holds for a busy server does not stand in the way of those behind it")
    func noHeadOfLineBlocking() {
        var scene = PricedScene("A", "B")
        scene.play(TestPrompt((1, 40_000)), client: "1")
        let (onA, onB) = (scene.ask(TestPrompt((1, 40_000), (2, 10)), client: "1"), scene.ask(TestPrompt((9, 100)), client: "2"))
        #expect(onA.server == "A" && onB.server == "B")
        let holding = scene.ask(TestPrompt((1, 40_000), (2, 10), (3, 10)), client: "1").ticket
        let cold = scene.ask(TestPrompt((8, 3000)), client: "3").ticket
        scene.pass(1)
        #expect(scene.finish(onB.ticket).granted == [cold])
        #expect(scene.finish(onA.ticket).granted == [holding])
    }

    @Test("nobody waits behind others while a server that nobody wants more is free")
    func servedAtOnce() {
        var scene = PricedScene("A", "B")
        scene.play(TestPrompt((1, 40_000)), client: "1")
        _ = scene.ask(TestPrompt((1, 40_000), (2, 10)), client: "1")
        #expect(scene.ask(TestPrompt((1, 40_000), (2, 10), (3, 10)), client: "1").server == nil)
        let other = scene.ask(TestPrompt((8, 500)), client: "2")
        #expect(other.server == "B")
        #expect(other.effects.grant(of: other.ticket)?.waitedMilliseconds == nil)
    }

    @Test("who waits too long is refused then, whatever the line does in between")
    func deadlines() {
        var policy = RoutingPolicy()
        policy.maxWait = .seconds(30)
        var scene = PricedScene("A", policy: policy)
        let running = scene.ask(TestPrompt((1, 100)), client: "0").ticket
        let long = scene.ask(TestPrompt((2, 90_000)), client: "1").ticket
        scene.pass(10)
        let second = scene.ask(TestPrompt((3, 100)), client: "2").ticket
        #expect(scene.finish(running).granted == [second])
        scene.pass(19.9)
        #expect(scene.scene.happens(.clockAdvanced).refusal(of: long) == nil)
        scene.pass(0.2)
        #expect(scene.scene.happens(.clockAdvanced).refusal(of: long)?.kind == "queueTimeout")
        #expect(scene.scene.router.line.count == 0)
    }

    @Test("of many that wait, every one is served once")
    func everybodyOnce() {
        var scene = PricedScene("A", "B", "C", slots: 2)
        var random = SplitMix64(seed: 5)
        var running: [Ticket] = []
        var waiting: Set<Ticket> = []
        for number in 0..<200 {
            let asked = scene.ask(TestPrompt((number % 7, 2000), (number, 10 + random.below(3000))), client: "\(number % 11)")
            if asked.server == nil { waiting.insert(asked.ticket) } else { running.append(asked.ticket) }
        }
        var served: [Ticket] = []
        while !running.isEmpty {
            scene.pass(1)
            let granted = scene.finish(running.remove(at: random.below(running.count))).granted
            served += granted
            running += granted
        }
        #expect(served.count == waiting.count && Set(served) == waiting)
        #expect(scene.scene.router.line.count == 0 && scene.scene.router.backends.allSatisfy { $0.jobs.isEmpty })
    }
}
