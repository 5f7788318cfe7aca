import Testing

@testable import Routing

@Suite("Limits of a client's key")
struct KeyLimitTests {
    private func scene(_ limits: KeyLimits) -> PricedScene {
        var scene = PricedScene("A", slots: 8)
        _ = scene.scene.happens(.fleetChanged(fleet(limits, scene)))
        return scene
    }

    private func fleet(_ limits: KeyLimits, _ scene: PricedScene) -> Fleet {
        var fleet = scene.scene.router.fleet
        fleet.keyLimits = ["k": limits]
        return fleet
    }

    private func excess(_ effects: [Effect]) -> KeyExcess? {
        effects.compactMap { if case .refuse(_, .keyLimit(let excess)) = $0 { excess } else { nil } }.first
    }

    @Test("so many requests at once: the next one is refused until one has ended, however it ends")
    func atOnce() throws {
        var scene = scene(KeyLimits(requestMax: 2))
        let first = scene.ask(nil, key: "k")
        let second = scene.ask(nil, key: "k")
        #expect(first.server == "A" && second.server == "A")
        let refused = try #require(excess(scene.ask(nil, key: "k").effects))
        #expect(refused == KeyExcess(key: "k", kind: .requestMax, limit: 2, retryAfterSeconds: 1))
        #expect(scene.ask(nil, key: "another").server == "A", "a key without limits")
        _ = scene.scene.happens(.requestCancelled(first.ticket))
        #expect(scene.ask(nil, key: "k").server == "A")
        _ = scene.finish(second.ticket)
        #expect(scene.ask(nil, key: "k").server == "A")
        #expect(excess(scene.ask(nil, key: "k").effects) != nil)
    }

    @Test("so many requests in a minute: they come back evenly")
    func perMinute() throws {
        var scene = scene(KeyLimits(requestsPerMinute: 6))
        for _ in 0..<6 { _ = scene.finish(scene.ask(nil, key: "k").ticket) }
        #expect(try #require(excess(scene.ask(nil, key: "k").effects)).retryAfterSeconds == 10)
        scene.pass(10)
        #expect(scene.ask(nil, key: "k").server == "A")
        #expect(excess(scene.ask(nil, key: "k").effects) != nil)
    }

    @Test("so many tokens: what is expected is reserved, and what was used counts in the end")
    func tokens() throws {
        var scene = scene(KeyLimits(tokensPerMinute: 12_000))
        func left() -> Int? { scene.scene.router.standing(of: "k", at: scene.scene.now)?.tokens?.left }
        // 10,000 tokens and an answer.
        let first = scene.ask(TestPrompt((1, 10_000)), key: "k").ticket
        #expect(try #require(left()) < 2000)
        #expect(try #require(excess(scene.ask(TestPrompt((2, 10_000)), key: "k").effects)).kind == .tokensPerMinute)
        _ = scene.finish(first, cached: 9000, prompt: 1000)
        // 1,000 computed ones, a tenth of the cached ones, and the answer's.
        #expect(left() == 12_000 - 1000 - 900 - 150)
        // What a server has in its cache is expected to be cheap.
        #expect(scene.ask(TestPrompt((1, 10_000), (3, 100)), key: "k").server == "A")
    }

    @Test("a request of more than the whole limit runs when all of it is there")
    func larger() {
        var scene = scene(KeyLimits(tokensPerMinute: 1000))
        let first = scene.ask(TestPrompt((1, 10_000)), key: "k")
        #expect(first.server == "A")
        _ = scene.finish(first.ticket, cached: 0, prompt: 10_000)
        #expect(excess(scene.ask(TestPrompt((2, 100)), key: "k").effects) != nil)
        scene.pass(60)
        #expect(scene.ask(TestPrompt((2, 10_000)), key: "k").server == "A")
    }

    @Test("a day's tokens come back within a day, and other limits keep what was used")
    func day() throws {
        var scene = scene(KeyLimits(tokensPerDay: 86_400))
        let first = scene.ask(TestPrompt((1, 80_000)), key: "k").ticket
        _ = scene.finish(first, cached: 0, prompt: 80_000)
        let refused = try #require(excess(scene.ask(TestPrompt((2, 10_000)), key: "k").effects))
        #expect(refused.kind == .tokensPerDay && (3_800...4_000).contains(refused.retryAfterSeconds))
        _ = scene.scene.happens(.fleetChanged(fleet(KeyLimits(tokensPerDay: 100_000), scene)))
        #expect(scene.scene.router.standing(of: "k", at: scene.scene.now)?.tokens?.left == 100_000 - 80_150)
        _ = scene.scene.happens(.fleetChanged(fleet(KeyLimits(), scene)))
        #expect(scene.ask(TestPrompt((2, 10_000)), key: "k").server == "A")
    }

    @Test("an engine that reports absurd numbers breaks nothing")
    func absurd() {
        var scene = scene(KeyLimits(tokensPerMinute: 1000))
        for tokens in [Int.max, Int.min, -1] {
            let ticket = scene.ask(nil, key: "k").ticket
            let timings = Timings(
                cachedTokens: tokens, promptTokens: tokens, promptMilliseconds: 1, predictedTokens: tokens,
                predictedMilliseconds: 1)
            _ = scene.scene.happens(.finished(ticket, Outcome(.complete, timings: timings)))
            scene.pass(60)
            #expect(scene.scene.router.standing(of: "k", at: scene.scene.now)?.tokens?.left == 1000)
        }
    }

    @Test("whatever happens, nothing is reserved in the end, and no amount leaves its bounds", arguments: 0..<200)
    func bounds(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var budget = KeyBudget(
            KeyLimits(requestMax: 5, requestsPerMinute: 30, tokensPerMinute: 5000, tokensPerDay: 50_000), at: 0)
        var (now, open) = (0.0, [KeyBudget.Reservation]())
        for _ in 0..<300 {
            now += Double(random.below(2000)) / 100
            let tokens = Double(random.below(9000))
            if random.below(2) == 0, budget.excess("k", tokens: tokens, at: now) == nil {
                open.append(budget.reserve(tokens: tokens, at: now))
            } else if !open.isEmpty {
                budget.settle(open.remove(at: random.below(open.count)), used: Double(random.below(9000)), at: now)
            }
            let standing = budget.standing(at: now)
            #expect((0...30).contains(standing.requests?.left ?? -1) && (0...5000).contains(standing.tokens?.left ?? -1))
            #expect(budget.inFlight == open.count && open.count <= 5)
        }
        for reservation in open { budget.settle(reservation, used: 0, at: now) }
        #expect(budget.inFlight == 0)
        let whole = budget.standing(at: now + 86_400)
        #expect(whole.requests?.left == 30 && whole.tokens?.left == 5000)
    }
}
