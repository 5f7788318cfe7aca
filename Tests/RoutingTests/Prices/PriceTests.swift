import Testing

@testable import Routing

@Suite("Prices")
struct PriceTests {
    private func isNear(_ one: Double, _ other: Double) -> Bool { abs(one - other) <= 1e-6 * max(1, abs(other)) }

    private var servers: [PricedScene.Server] { [.init(name: "A", slots: 4), .init(name: "B", slots: 4, speed: 20)] }

    @Test("on an idle server are the prompt, a quarter of the answer, and what is to come")
    func idle() {
        var scene = PricedScene(servers)
        let price = scene.price(TestPrompt((1, 3000)), on: 0)
        #expect(isNear(price.own, 1.5) && isNear(price.decode, 0.25 * 150 * 0.015))
        #expect(
            [price.wait, price.ahead, price.harm, price.returning, price.eviction, price.load, price.failures, price.margin]
                .allSatisfy { $0 == 0 })
        // A quarter of what a later turn costs: 500 tokens, and its answer.
        #expect(isNear(price.future, 0.25 * scene.basis(TestPrompt((1, 3000))).outlook.laterTurns * (0.25 + 0.25 * 150 * 0.015)))
        #expect(isNear(price.total, price.own + price.decode + price.future) && isNear(price.firstToken, price.own))
    }

    @Test("beside an answer count what it is slowed down by, for both")
    func besideAnswer() {
        var scene = PricedScene(servers)
        let running = scene.ask(TestPrompt((9, 1000)), client: "2")
        _ = scene.begin(running.ticket)
        let price = scene.price(TestPrompt((1, 3000)), on: 0)
        #expect(running.server == "A" && price.ahead == 0)
        #expect(isNear(price.decode, 0.25 * 150 * 0.015 * 1.1))
        #expect(isNear(price.harm, 1.5 * 0.25 + 0.25 * 0.1 * 0.015 * 150))
    }

    @Test("beside a prompt count the slots: one before is waited for, one behind waits")
    func besidePrompt() {
        var scene = PricedScene(servers)
        let running = scene.ask(TestPrompt((9, 4000)), client: "2")
        #expect(running.server == "A" && scene.scene.router.backends[0].jobs[0].seat == 3)
        scene.pass(0.5)
        let before = scene.price(TestPrompt((1, 3000)), on: 0)
        #expect(before.ahead == 0 && isNear(before.harm, 1.5 + 0.25 * 0.1 * 0.015 * 150))
        scene.scene.change { $0.backends[0].served[1].cache.setSeats(0, in: &$0.sequences, at: 1) }
        let unknown = scene.price(TestPrompt((1, 3000)), on: 0)
        #expect(isNear(unknown.ahead, 1.5) && isNear(unknown.harm, 0.75 + 0.25 * 0.1 * 0.015 * 150))
    }

    @Test("on a full server are the time until a slot is free, a margin, and the harm to those that go on")
    func full() {
        var scene = PricedScene([.init(name: "A", slots: 2), .init(name: "B", slots: 4, speed: 20)])
        for number in 0..<2 {
            let running = scene.ask(TestPrompt((number, 1000)), client: "\(number)")
            #expect(running.server == "A")
            _ = scene.begin(running.ticket)
        }
        scene.pass(0.15)
        let price = scene.price(TestPrompt((5, 3000)), on: 0)
        let token = 0.015 * 1.1
        #expect(isNear(price.wait, (150 - 0.15 / token) * token))
        #expect(isNear(price.margin, 180.0 / 257) && price.ahead == 0)
        #expect(isNear(price.harm, 1.5 * 0.25 + 0.25 * 0.1 * 0.015 * 150) && isNear(price.decode, 0.25 * 150 * token))
    }

    @Test("count silent conversations, that may come back meanwhile, the more the longer the prompt takes")
    func returning() {
        var scene = PricedScene(servers)
        for _ in 0..<2 { scene.play(TestPrompt((9, 1000)), client: "2") }
        let (short, long) = (scene.price(TestPrompt((1, 300)), on: 0), scene.price(TestPrompt((1, 30_000)), on: 0))
        let live = scene.scene.router.backends[0].served[1].cache.live.value(at: scene.scene.now.seconds)
        #expect(live > 0.8)
        let pause = scene.scene.router.habits.pause.value
        #expect(isNear(long.returning, 15 * live * 15 / (15 + 2 * pause)))
        #expect(short.returning < 0.01)
        let own = scene.price(TestPrompt((9, 1000), (1, 30_000)), on: 0)
        #expect(own.returning == 0 || isNear(own.returning, 0), "its own conversation does not come back meanwhile")
    }

    @Test("count a live conversation that has to leave its slot, and none that goes on in it")
    func displaced() {
        var scene = PricedScene([.init(name: "A", slots: 1), .init(name: "B", slots: 1, speed: 20)])
        for tokens in [1000, 1100] { _ = scene.play(TestPrompt((1, 9000), (2, tokens)), client: "1") }
        let cache = scene.scene.router.backends[0].served[1].cache
        let now = scene.scene.now.seconds
        let life = cache.seats[0].sequence.flatMap { scene.scene.router.sequences.read($0) { cache.life(of: $0, at: now) } } ?? 0
        #expect(life > 0.5)
        let held = cache.seats[0].sequence.flatMap { scene.scene.router.sequences.read($0) { $0.tokens } } ?? 0
        // The other one is kept in the list, or overwritten where more than half of it would remain.
        let stranger = scene.price(TestPrompt((7, 3000)), on: 0).eviction
        #expect(isNear(stranger, 0.25 * life * held / 2000))
        let sibling = scene.price(TestPrompt((1, 9000), (3, 3000)), on: 0).eviction
        #expect(isNear(sibling, 0.5 * life * (held - 9000) / 2000))
        #expect(scene.price(TestPrompt((1, 9000), (2, 1100), (4, 50)), on: 0).eviction == 0)
    }

    @Test("later turns are cheaper where fewer conversations live, although slots are free")
    func meeting() {
        var scene = PricedScene("A", "B", slots: 4)
        _ = scene.play(TestPrompt((1, 4000)), client: "1")
        _ = scene.play(TestPrompt((1, 4000), (2, 1000)), client: "1")
        let (lived, empty) = (scene.price(TestPrompt((7, 3000)), on: 0), scene.price(TestPrompt((7, 3000)), on: 1))
        let live = scene.scene.router.backends[0].served[1].cache.live.value(at: scene.scene.now.seconds)
        let habits = scene.scene.router.habits
        let turn = habits.turn.value / 2000
        let each = live / (turn + habits.answerTokens * 0.015 + habits.pause.value) * 8 * turn * turn
        let turns = scene.basis(TestPrompt((7, 3000))).outlook.laterTurns
        #expect(live > 0.5 && lived.future - empty.future >= 0.99 * turns * each)
    }

    @Test("count more on a server whose slots have been in use, for the turns to come")
    func occupied() {
        var scene = PricedScene([.init(name: "A", slots: 1), .init(name: "B", slots: 1)])
        let before = scene.price(TestPrompt((1, 300)), on: 0)
        scene.scene.router.backends[0].occupancy.became(1, at: scene.scene.now.seconds, conversationTime: 180)
        scene.pass(200)
        let after = scene.price(TestPrompt((1, 300)), on: 0)
        #expect(after.future > 2 * before.future && after.own == before.own)
        #expect(isNear(scene.price(TestPrompt((1, 300)), on: 1).future, before.future))
    }

    @Test("count the conversation that falls out of the engine's list, if it may come back")
    func eviction() {
        var scene = PricedScene([.init(name: "A", slots: 1), .init(name: "B", slots: 1, speed: 20)])
        for number in 0..<3 { scene.play(TestPrompt((number, 10_000)), client: "\(number)") }
        // The one that leaves its slot.
        let (displaced, shorter) = (
            scene.price(TestPrompt((7, 3000)), on: 0).eviction, scene.price(TestPrompt((7, 1000)), on: 0).eviction
        )
        let now = scene.scene.now.seconds
        scene.scene.change {
            $0.backends[0].served[1].cache.denied(depth: 30_000, tokens: 8000, in: &$0.sequences, at: now)
        }
        let oldest = scene.scene.router.backends[0].served[1].cache.kept[0]
        let life = scene.scene.router.sequences[oldest].map {
            scene.scene.router.backends[0].served[1].cache.life(of: $0, at: scene.scene.now.seconds)
        }
        let further = scene.price(TestPrompt((7, 3000)), on: 0).eviction - displaced
        #expect(isNear(further, 0.5 * (life ?? 0) * 10_000 / 2000))
        #expect(scene.price(TestPrompt((7, 1000)), on: 0).eviction == shorter, "there is room")
    }
}
