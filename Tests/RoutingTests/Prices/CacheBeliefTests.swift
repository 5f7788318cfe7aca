import Testing

@testable import Routing

/// A mirror of one engine, with the store of its sequences.
struct BeliefScene {
    var belief = CacheBelief(lifetime: 60)
    var store = SequenceStore()
    private(set) var now = 0.0
    private(set) var lastTicket: UInt64 = 0

    init(seats: Int) { belief.setSeats(seats, in: &store, at: 0) }

    /// What a prompt would find.
    mutating func match(_ chain: PromptChain) -> CacheBelief.Match {
        lastTicket += 1
        store.look(at: chain, of: Ticket(owner: 0, sequence: lastTicket))
        return belief.match(length: Double(chain.length) / 4, in: store)
    }

    /// A request begins; the seconds in between make the order of seats plain.
    @discardableResult
    mutating func begin(_ chain: PromptChain, turns: Double = 1) -> (ticket: Ticket, match: CacheBelief.Match, id: SequenceID) {
        now += 1
        let match = match(chain)
        let tokens = Double(chain.length) / 4
        let source = belief.source(length: tokens, in: store)
        let id = store.add(
            PromptSequence(
                chain: chain, backend: Scene.id(1), served: 0, promptTokens: tokens, tokens: tokens, usedAt: now, endedAt: nil,
                turns: turns))
        let ticket = Ticket(owner: 0, sequence: lastTicket)
        belief.began(ticket, id, match, source: source, in: &store, at: now)
        return (ticket, match, id)
    }

    mutating func end(_ ticket: Ticket) {
        now += 1
        belief.ended(ticket, at: now)
    }

    /// A request begins and ends.
    @discardableResult
    mutating func play(_ chain: PromptChain) -> CacheBelief.Match {
        let begun = begin(chain)
        end(begun.ticket)
        return begun.match
    }

    /// Tokens of what each seat holds; 0: nothing.
    var held: [Double] { belief.seats.map { $0.sequence.flatMap { id in store.read(id) { $0.tokens } } ?? 0 } }
    var kept: [Double] { belief.kept.compactMap { id in store.read(id) { $0.tokens } } }
}

@Suite("What a server is believed to hold")
struct CacheBeliefTests {
    @Test("a prompt takes the idle seat that shares most with it, if that is more than a tenth")
    func mostSimilar() {
        var scene = BeliefScene(seats: 3)
        scene.play(TestPrompt((1, 300), (2, 1700)).chain)
        scene.play(TestPrompt((1, 300), (3, 3000)).chain)
        scene.play(TestPrompt((5, 1000)).chain)
        #expect(scene.held == [1000, 3300, 2000], "empty seats are taken from the last one")
        let match = scene.match(TestPrompt((1, 300), (2, 1700), (4, 100)).chain)
        #expect(match.seat == 2 && match.tokens == 2000 && !match.saves && match.loads == nil)
        #expect(scene.match(TestPrompt((1, 300), (3, 3000), (4, 100)).chain).seat == 1)
    }

    @Test("a tenth of the prompt is not enough: the seat that was unused the longest is taken")
    func leastRecentlyUsed() {
        var scene = BeliefScene(seats: 2)
        scene.play(TestPrompt((1, 1024), (2, 9000)).chain)
        scene.play(TestPrompt((3, 1000)).chain)
        #expect(scene.match(TestPrompt((3, 1000), (4, 8000)).chain).seat == 0, "more than a tenth")
        let match = scene.match(TestPrompt((3, 1000), (4, 9000)).chain)
        #expect(match.seat == 1 && match.tokens == 0 && match.saves)
    }

    @Test("of seats that were unused equally long, the last one is taken, as a busy one never is")
    func lastOfEquals() {
        var scene = BeliefScene(seats: 3)
        #expect(scene.match(TestPrompt((1, 1000)).chain).seat == 2)
        let first = scene.begin(TestPrompt((1, 1000)).chain)
        let second = scene.begin(TestPrompt((1, 1000), (2, 1000)).chain)
        #expect(first.match.seat == 2 && second.match.seat == 1, "the better one is busy")
        scene.belief.ended(first.ticket, at: 50)
        scene.belief.ended(second.ticket, at: 50)
        scene.play(TestPrompt((9, 1000)).chain)
        #expect(scene.belief.match(length: nil, in: scene.store).seat == 0, "used at \(scene.now)")
        scene.belief.ended(scene.begin(TestPrompt((8, 1000)).chain).ticket, at: 60)
        #expect(scene.match(TestPrompt((7, 1000)).chain).seat == 2)
    }

    @Test(
        "what is in the seat goes to the list when less than half of it would stay",
        arguments: [(2048, false), (2049, true), (6000, true)])
    func saves(own: Int, saves: Bool) {
        var scene = BeliefScene(seats: 1)
        scene.play(TestPrompt((1, 2048), (2, own)).chain)
        let match = scene.match(TestPrompt((1, 2048), (3, 100)).chain)
        #expect(match.seat == 0 && match.tokens == 2048 && match.saves == saves)
        scene.play(TestPrompt((1, 2048), (3, 100)).chain)
        #expect(scene.kept == (saves ? [Double(2048 + own)] : []))
    }

    @Test("a kept prompt is loaded if more of it stays and more of the prompt is found; then it leaves the list")
    func loads() throws {
        var scene = BeliefScene(seats: 1)
        scene.play(TestPrompt((1, 1024), (2, 3000)).chain)
        scene.play(TestPrompt((9, 5000)).chain)
        #expect(scene.kept == [4024])
        let match = scene.play(TestPrompt((1, 1024), (2, 3000), (3, 50)).chain)
        #expect(match.tokens == 4024 && match.saves && match.loads != nil)
        #expect(scene.kept == [5000] && scene.held == [4074])
    }

    @Test("a kept prompt of which less than a quarter is used is too good to be loaded", arguments: [(3072, 1024.0), (3076, 0)])
    func leastUse(rest: Int, found: Double) {
        var scene = BeliefScene(seats: 1)
        scene.play(TestPrompt((1, 1024), (2, rest)).chain)
        scene.play(TestPrompt((9, 5000)).chain)
        let match = scene.match(TestPrompt((1, 1024), (3, 50)).chain)
        #expect(match.saves && match.tokens == found && (match.loads != nil) == (found > 0))
    }

    @Test("a kept prompt is not loaded if less of it would stay than of what is in the seat, although more is found")
    func keepsMore() {
        var scene = BeliefScene(seats: 1)
        // 2048 of 6048 are common: a third, although twice as much as in the seat.
        scene.play(TestPrompt((1, 1024), (2, 1024), (4, 4000)).chain)
        scene.play(TestPrompt((9, 500)).chain)
        scene.play(TestPrompt((1, 1024), (3, 1500)).chain)
        #expect(scene.kept == [6048, 500] && scene.held == [2524])
        let match = scene.match(TestPrompt((1, 1024), (2, 1024), (5, 50)).chain)
        #expect(match.saves && match.tokens == 1024 && match.loads == nil)
    }

    @Test("an empty seat is priced as if it loaded, but the request begins cold and the list stays")
    func emptySeat() {
        var scene = BeliefScene(seats: 2)
        scene.play(TestPrompt((1, 4000)).chain)
        let running = scene.begin(TestPrompt((1, 1024), (2, 100)).chain)
        #expect(running.match.seat == 1 && scene.kept == [4000])
        let match = scene.match(TestPrompt((1, 4000), (3, 100)).chain)
        #expect(match.seat == 0 && match.tokens == 4000 && match.isFirstInSeat)
        #expect(!match.saves && match.loads == nil)
        scene.play(TestPrompt((1, 4000), (3, 100)).chain)
        #expect(scene.kept == [4000] && scene.held == [4100, 1124])
    }

    @Test("a full server counts with the best of all seats and the list")
    func full() {
        var scene = BeliefScene(seats: 1)
        scene.play(TestPrompt((1, 2000)).chain)
        scene.begin(TestPrompt((2, 3000)).chain)
        for (prompt, tokens) in [(TestPrompt((1, 2000), (5, 10)), 2000.0), (TestPrompt((2, 3000), (5, 10)), 3000)] {
            let match = scene.match(prompt.chain)
            #expect(match.tokens == tokens && match.seat == nil)
        }
        #expect(scene.match(TestPrompt((7, 100)).chain).tokens == 0)
    }

    @Test("a prompt for which there is no seat leaves nothing behind")
    func noSeat() {
        var scene = BeliefScene(seats: 1)
        scene.begin(TestPrompt((1, 2000)).chain)
        for number in 2...9 { scene.begin(TestPrompt((number, 2000)).chain) }
        #expect(scene.store.count == 1)
    }
}
