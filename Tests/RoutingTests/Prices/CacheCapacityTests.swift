import Testing

@testable import Routing

@Suite("What a server is believed to keep")
struct CacheCapacityTests {
    /// One seat; the list has prompts of these lengths, the oldest first.
    private func scene(_ kept: [Int]) -> BeliefScene {
        var scene = BeliefScene(seats: 1)
        for (number, tokens) in (kept + [300]).enumerated() { scene.play(TestPrompt((10 + number, tokens)).chain) }
        return scene
    }

    @Test("nothing is dropped while no prompt was missed")
    func unlimited() {
        var scene = scene([100_000, 200_000, 300_000])
        #expect(scene.kept == [100_000, 200_000, 300_000] && scene.belief.capacity == .infinity)
        #expect(scene.belief.nextToDrop(for: 1e9, in: scene.store) == nil)
        scene.belief.surpassed()
        #expect(scene.belief.capacity == .infinity)
    }

    @Test("a prompt that was missed tells the capacity: what is as old as it is goes, the oldest first")
    func denied() {
        var scene = scene([10_000, 20_000, 30_000, 40_000])
        let depth = scene.belief.depth(of: scene.belief.kept[1], in: scene.store)
        #expect(depth == 90_000)
        scene.belief.denied(depth: depth, tokens: 20_000, in: &scene.store, at: scene.now)
        #expect(scene.belief.capacity == 70_000 && scene.kept == [30_000, 40_000])
        #expect(scene.store.count == 3)
        #expect(scene.belief.nextToDrop(for: 0, in: scene.store) == nil)
        #expect(scene.belief.nextToDrop(for: 1, in: scene.store) == scene.belief.kept[0])
    }

    @Test("a capacity only falls with further misses, and never below 16,000 tokens")
    func deniedAgain() {
        var scene = scene([5000, 6000, 7000])
        scene.belief.denied(depth: 50_000, tokens: 10_000, in: &scene.store, at: 0)
        scene.belief.denied(depth: 90_000, tokens: 10_000, in: &scene.store, at: 0)
        #expect(scene.belief.capacity == 40_000)
        scene.belief.denied(depth: 5000, tokens: 5000, in: &scene.store, at: 0)
        #expect(scene.belief.capacity == 16_000 && scene.kept == [6000, 7000])
    }

    @Test("a capacity that was proven is not taken back by a miss, and raises one that was believed to be less")
    func confirmed() {
        var scene = scene([20_000, 30_000])
        scene.belief.confirmed(depth: 50_000)
        #expect(scene.belief.capacity == .infinity && scene.belief.provenCapacity == 50_000)
        scene.belief.denied(depth: 40_000, tokens: 20_000, in: &scene.store, at: 0)
        #expect(scene.belief.capacity == 50_000 && scene.kept.count == 2)
        scene.belief.confirmed(depth: 60_000)
        scene.belief.confirmed(depth: 10_000)
        #expect(scene.belief.capacity == 60_000 && scene.belief.provenCapacity == 60_000)
    }

    @Test("one that finds more than was believed makes the capacity larger, and what was proven less sure")
    func surpassed() {
        var scene = scene([20_000])
        scene.belief.confirmed(depth: 20_000)
        scene.belief.denied(depth: 40_000, tokens: 10_000, in: &scene.store, at: 0)
        scene.belief.surpassed()
        #expect(scene.belief.capacity == 45_000 && scene.belief.provenCapacity == 18_000)
    }

    @Test("a prompt that a kept one contains is not kept")
    func contained() {
        var scene = scene([])
        for prompt in [TestPrompt((1, 1024), (2, 5000)), TestPrompt((9, 400)), TestPrompt((1, 1024)), TestPrompt((8, 500))] {
            scene.play(prompt.chain)
        }
        #expect(scene.kept == [300, 6024, 400], "a fifth of the long one is too little to load it")
        scene.play(TestPrompt((7, 600)).chain)
        #expect(scene.kept == [300, 6024, 400, 500])
    }

    @Test("kept prompts that another one contains leave for it")
    func containing() {
        var scene = BeliefScene(seats: 2)
        for prompt in [TestPrompt((1, 1000)), TestPrompt((9, 5000)), TestPrompt((8, 300))] { scene.play(prompt.chain) }
        scene.belief.setSeats(3, in: &scene.store, at: scene.now)
        scene.play(TestPrompt((1, 1000), (2, 5000)).chain)
        #expect(scene.kept == [1000] && scene.held == [5000, 300, 6000], "nothing is loaded into the empty seat")
        for number in 20...22 { scene.play(TestPrompt((number, 400)).chain) }
        #expect(scene.kept == [5000, 300, 6000])
    }

    @Test("a prompt of which nothing is known takes the idle seat that was unused the longest, and what is there is kept")
    func overwritten() {
        var scene = BeliefScene(seats: 2)
        scene.play(TestPrompt((1, 1000)).chain)
        scene.play(TestPrompt((2, 1000)).chain)
        let match = scene.belief.match(length: nil, in: scene.store)
        #expect(match.seat == 1 && match.tokens == 0)
        scene.belief.overwritten(by: Ticket(owner: 0, sequence: 99), match, in: &scene.store, at: scene.now)
        #expect(scene.kept == [1000] && scene.held == [1000, 0])
        #expect(scene.belief.match(length: nil, in: scene.store).seat == 0)
    }

    @Test("short prompts are not kept", arguments: [(255, []), (256, [256.0])])
    func shortPrompts(tokens: Int, kept: [Double]) {
        #expect(scene([tokens]).kept == kept)
    }

    @Test("the list is no longer than it may be")
    func longest() {
        var scene = BeliefScene(seats: 1)
        scene.belief.longestList = 3
        for number in 0..<9 { scene.play(TestPrompt((number, 1000 + number)).chain) }
        #expect(scene.kept == [1005, 1006, 1007] && scene.store.count == 4)
    }

    @Test("seats come and go with the engine's slots; what was in one that goes is forgotten, and its end is harmless")
    func setSeats() {
        var scene = BeliefScene(seats: 3)
        let first = scene.begin(TestPrompt((1, 1000)).chain)
        scene.belief.setSeats(2, in: &scene.store, at: 1)
        #expect(scene.belief.seats.count == 2 && scene.store.count == 0 && scene.belief.live.value(at: scene.now) < 0.1)
        scene.end(first.ticket)
        scene.belief.change(first.id, in: &scene.store, at: scene.now) { $0.turns = 5 }
        scene.play(TestPrompt((2, 1000)).chain)
        scene.belief.setSeats(4, in: &scene.store, at: 1)
        #expect(scene.held == [0, 1000, 0, 0])
        scene.belief.setSeats(1_000_000, in: &scene.store, at: 1)
        #expect(scene.belief.seats.count == 256)
        scene.belief.setSeats(-1, in: &scene.store, at: 1)
        #expect(!scene.belief.hasSeats && scene.store.count == 0)
    }

    @Test("an engine that restarts has nothing: what was in its seats and its list is gone, and what ran there")
    func forget() {
        var scene = scene([20_000, 30_000])
        let lost = scene.begin(TestPrompt((5, 1000)).chain)
        scene.belief.forget(in: &scene.store)
        #expect(scene.kept.isEmpty && scene.held == [0] && scene.store.count == 0)
        scene.end(lost.ticket)
        #expect(scene.belief.seats[0].usedAt == -1 && scene.belief.live.value(at: scene.now) == 0)
        #expect(scene.match(TestPrompt((5, 1000)).chain).tokens == 0)
    }

    @Test("without seats, what was used last is believed to be there, and nothing is loaded")
    func noSeats() {
        var scene = BeliefScene(seats: 0)
        scene.play(TestPrompt((1, 1000), (2, 100)).chain)
        let match = scene.match(TestPrompt((1, 1000), (3, 100)).chain)
        #expect(match.tokens == 1000 && match.seat == nil && match.loads == nil)
    }

    @Test("without seats, a conversation takes one place of the list, however many turns it has had")
    func noSeatsOneConversation() {
        var scene = BeliefScene(seats: 0)
        scene.play(TestPrompt((7, 1000)).chain)
        var prompt = TestPrompt()
        for turn in 1...100 {
            prompt.append(turn, tokens: 100)
            scene.play(prompt.chain)
        }
        #expect(scene.kept == [1000, 10_000])
    }

    @Test("conversations count as long as they are likely to go on, wherever they are kept")
    func live() {
        var scene = BeliefScene(seats: 1)
        scene.begin(TestPrompt((1, 1000)).chain, turns: 0.5)
        #expect(scene.belief.live.value(at: scene.now) == 0.5)
        scene.belief.ended(Ticket(owner: 0, sequence: scene.lastTicket), at: scene.now)
        let second = scene.begin(TestPrompt((2, 1000)).chain, turns: 7)
        #expect(abs(scene.belief.live.value(at: scene.now) - 1 - 0.5 * Exponential.decay(1 / 60)) < 1e-9)
        scene.belief.change(second.id, in: &scene.store, at: scene.now) { $0.turns = 0 }
        #expect(abs(scene.belief.live.value(at: scene.now) - 0.5 * Exponential.decay(1 / 60)) < 1e-9)
    }
}
