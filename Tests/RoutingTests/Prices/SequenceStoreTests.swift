import Testing

@testable import Routing

@Suite("The store of sequences")
struct SequenceStoreTests {
    private func sequence(_ chain: PromptChain, tokens: Double, server: Int = 1) -> PromptSequence {
        PromptSequence(
            chain: chain, backend: Scene.id(server), served: 0, promptTokens: tokens, tokens: tokens + 10, usedAt: 0,
            endedAt: nil,
            turns: 1)
    }

    private func ticket(_ number: Int) -> Ticket { Ticket(owner: 0, sequence: UInt64(number)) }

    @Test("a prompt shares the answer, too, when it goes on behind it, but never its own last token")
    func commonTokens() {
        let whole = sequence(PromptChain(words: [1, 2, 3, 4]), tokens: 400)
        #expect(whole.commonTokens(links: 2, length: 1000) == 200)
        #expect(whole.commonTokens(links: 4, length: 1000) == 410)
        #expect(whole.commonTokens(links: 4, length: 400) == 399)
        #expect(whole.commonTokens(links: 4, length: 0) == 0)
    }

    @Test("a prompt goes on with a conversation if it has more than half of its last message")
    func isContinued() {
        let talk = sequence(PromptChain(words: [1, 2, 3, 4, 5, 6], lastMessageStart: 200), tokens: 600)
        #expect(!talk.isContinued(links: 2) && !talk.isContinued(links: 4))
        #expect(talk.isContinued(links: 5) && talk.isContinued(links: 6))
    }

    @Test("a reference to a dropped sequence is harmless, also when another one has taken its memory")
    func staleReferences() {
        var store = SequenceStore()
        let chain = PromptChain(words: [1, 2])
        let first = store.add(sequence(chain, tokens: 200))
        store.drop(first)
        store.drop(first)
        #expect(store.count == 0 && store[first] == nil)
        let second = store.add(sequence(chain, tokens: 300))
        store.change(first) { $0.tokens = 0 }
        store.drop(first)
        store.look(at: chain, of: ticket(1))
        #expect(store.read(first) { $0.tokens } == nil)
        #expect(store.commonTokens(first, length: 1000) == 0)
        #expect(store.commonTokens(second, length: 1000) == 310)
        #expect(!store.isContained(first) { _ in true } && store.containedInside(first) { _ in true } == nil)
    }

    @Test("before anything was looked at, nothing is shared")
    func nothingLookedAt() {
        var store = SequenceStore()
        let id = store.add(sequence(PromptChain(words: [1]), tokens: 100))
        #expect(store.commonTokens(id, length: 100) == 0)
    }

    @Test("memory is used again, so a store that changes for ever does not grow")
    func reuse() {
        var store = SequenceStore()
        var random = SplitMix64(seed: 3)
        var ids: [SequenceID] = []
        var everyID: Set<SequenceID> = []
        for _ in 0..<5_000 {
            if ids.count >= 20 { store.drop(ids.remove(at: random.below(ids.count))) }
            ids.append(store.add(sequence(.random(&random), tokens: 100)))
            everyID.formUnion(ids.suffix(1))
        }
        #expect(everyID.count == 5_000, "no reference is given out twice")
        #expect(store.count == 20 && store.places == 20)
    }

    @Test("a further look of the same request is free until something is added, or has another length")
    func lookAgain() {
        var store = SequenceStore()
        let chain = PromptChain(words: [1, 2])
        store.look(at: chain, of: ticket(1))
        let id = store.add(sequence(chain, tokens: 200))
        #expect(store.commonTokens(id, length: 1000) == 0)
        store.look(at: chain, of: ticket(1))
        #expect(store.commonTokens(id, length: 1000) == 210)
        store.change(id) { $0.tokens = 250 }
        store.look(at: chain, of: ticket(1))
        #expect(store.commonTokens(id, length: 1000) == 250)
        store.look(at: PromptChain(words: [7]), of: ticket(2))
        #expect(store.commonTokens(id, length: 1000) == 0)
        store.look(at: PromptChain(length: 0), of: ticket(3))
        #expect(store.commonTokens(id, length: 1000) == 0)
    }

    @Test("a conversation is found only where it is wanted, the one that shares most first")
    func continued() {
        var store = SequenceStore()
        _ = store.add(sequence(PromptChain(words: [1, 2], lastMessageStart: 100), tokens: 200, server: 1))
        let longer = store.add(sequence(PromptChain(words: [1, 2, 3], lastMessageStart: 200), tokens: 300, server: 2))
        let shorter = store.add(sequence(PromptChain(words: [1, 2], lastMessageStart: 100), tokens: 200, server: 3))
        let next = PromptChain(words: [1, 2, 3, 4])
        #expect(store.continued(by: next, of: ticket(1)) { _ in true } == longer)
        #expect(store.continued(by: next, of: ticket(1)) { $0.backend == Scene.id(3) } == shorter)
        #expect(store.continued(by: next, of: ticket(1)) { _ in false } == nil)
        #expect(store.continued(by: PromptChain(words: [1, 9]), of: ticket(2)) { _ in true } == nil)
        #expect(store.continued(by: PromptChain(length: 0), of: ticket(3)) { _ in true } == nil)
    }
}
