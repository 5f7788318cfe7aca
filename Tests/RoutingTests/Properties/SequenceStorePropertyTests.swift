import Testing

@testable import Routing

/// The store told a second time, as a plain list.
private struct PlainSequences {
    typealias Entry = (id: SequenceID, sequence: PromptSequence)

    var entries: [Entry] = []

    func tokens(_ entry: Entry, _ prompt: PromptChain, length: Double) -> Double {
        let links = entry.sequence.chain.commonLinks(with: prompt)
        return links > 0 ? entry.sequence.commonTokens(links: links, length: length) : 0
    }

    /// The most links that a conversation shares with the prompt that continues it; nil when there is none.
    func mostContinued(_ prompt: PromptChain, server: Int?) -> Int? {
        entries.compactMap { entry in
            let links = entry.sequence.chain.commonLinks(with: prompt)
            guard links > 0, entry.sequence.isContinued(links: links) else { return nil }
            return server.map { entry.sequence.backend == Scene.id($0) } ?? true ? links : nil
        }.max()
    }

    /// Sequences whose whole prompt is the beginning of another one, which is longer.
    func inside(_ chain: PromptChain) -> [SequenceID] {
        entries.filter { isInside($0.sequence.chain, chain) }.map(\.id)
    }

    func around(_ entry: Entry) -> [SequenceID] {
        entries.filter { isInside(entry.sequence.chain, $0.sequence.chain) && $0.sequence.tokens >= entry.sequence.tokens }
            .map(\.id)
    }

    private func isInside(_ one: PromptChain, _ other: PromptChain) -> Bool {
        one.links.count < other.links.count && one.commonLinks(with: other) == one.links.count
    }
}

@Suite("Properties of the store of sequences")
struct SequenceStorePropertyTests {
    @Test("agrees with a plain list over random use", arguments: 1...6)
    func randomUse(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var store = SequenceStore()
        var plain = PlainSequences()
        for step in 0..<2_000 {
            if plain.entries.isEmpty || random.below(100) < (plain.entries.count < 25 ? 60 : 40) {
                let sequence = sequence(&random)
                plain.entries.append((store.add(sequence), sequence))
            } else if random.chance(percent: 80) {
                store.drop(plain.entries.remove(at: random.below(plain.entries.count)).id)
            } else {
                let number = random.below(plain.entries.count)
                let tokens = Double(random.below(900))
                store.change(plain.entries[number].id) { $0.tokens = tokens }
                plain.entries[number].sequence.tokens = tokens
            }
            let prompt = PromptChain.random(&random)
            let ticket = Ticket(owner: 0, sequence: UInt64(step))
            if let difference = difference(&store, plain, prompt, ticket, server: random.chance(percent: 50) ? 1 : nil) {
                Issue.record("seed \(seed), step \(step): \(difference)")
                return
            }
        }
    }

    private func sequence(_ random: inout SplitMix64) -> PromptSequence {
        var chain = PromptChain.random(&random)
        chain.lastMessageStart = 100 * random.below(chain.links.count)
        let tokens = Double(25 * chain.links.count)
        return PromptSequence(
            chain: chain, backend: Scene.id(1 + random.below(2)), served: 0, promptTokens: tokens,
            tokens: tokens + Double(random.below(100)), usedAt: 0, endedAt: nil, turns: 1)
    }

    private func difference(
        _ store: inout SequenceStore, _ plain: PlainSequences, _ prompt: PromptChain, _ ticket: Ticket, server: Int?
    ) -> String? {
        guard store.count == plain.entries.count else { return "\(store.count) of \(plain.entries.count)" }
        store.look(at: prompt, of: ticket)
        let length = Double(prompt.length) / 4
        for entry in plain.entries {
            let (found, expected) = (store.commonTokens(entry.id, length: length), plain.tokens(entry, prompt, length: length))
            if found != expected { return "\(found) common tokens instead of \(expected)" }
            let beside = plain.entries.filter { $0.sequence.backend == entry.sequence.backend }
            let most = beside.map { plain.tokens($0, prompt, length: length) }.max()
            if store.mostCommonTokens(beside: entry.id, length: length) != most { return "the most common tokens of a server" }
            let equal = plain.entries.filter { $0.sequence.chain.links == entry.sequence.chain.links }.map(\.id)
            let around = plain.around(entry)
            if store.isContained(entry.id, inOneThat: { !equal.contains($0) }) != !around.isEmpty { return "isContained" }
            if store.isContained(entry.id, inOneThat: { !equal.contains($0) && !around.contains($0) }) { return "contained" }
            let inside = plain.inside(entry.sequence.chain)
            let one = store.containedInside(entry.id) { !equal.contains($0) }
            if one.map({ !inside.contains($0) }) ?? !inside.isEmpty { return "containedInside" }
        }
        let continued = store.continued(by: prompt, of: ticket) { sequence in
            server.map { sequence.backend == Scene.id($0) } ?? true
        }
        let links = continued.flatMap { store[$0]?.chain.commonLinks(with: prompt) }
        let expected = plain.mostContinued(prompt, server: server)
        return links == expected ? nil : "goes on with \(links ?? 0) links instead of \(expected ?? 0)"
    }
}
