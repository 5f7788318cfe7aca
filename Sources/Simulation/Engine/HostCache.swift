/// llama-server's host prompt cache: sequences that had to leave their slots, the oldest first.
struct HostCache: Sendable {
    private(set) var entries: [TokenSequence] = []
    /// The most tokens of all entries together.
    let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Keeps a slot's tokens, unless an entry contains them. Entries that they contain go.
    mutating func save(_ tokens: TokenSequence) {
        guard !entries.contains(where: { $0.count >= tokens.count && $0.commonTokens(with: tokens) == tokens.count }) else {
            return
        }
        entries.removeAll { $0.commonTokens(with: tokens) == $0.count }
        entries.append(tokens)
    }

    /// Takes the entry out that serves the prompt better than the slot's tokens: more of the entry is kept, and more of the prompt is
    /// found. An entry of which less than a quarter would be kept is too good for it.
    mutating func take(for prompt: TokenSequence, insteadOf tokens: TokenSequence) -> TokenSequence? {
        let common = Double(tokens.commonTokens(with: prompt))
        var (kept, found) = (common / Double(max(1, tokens.count)), common / Double(max(1, prompt.count)))
        var best: Int?
        for (index, entry) in entries.enumerated() {
            let common = Double(entry.commonTokens(with: prompt))
            let (entryKept, entryFound) = (common / Double(entry.count), common / Double(max(1, prompt.count)))
            guard entryKept >= 0.25, entryKept > kept, entryFound > found else { continue }
            (best, kept, found) = (index, entryKept, entryFound)
        }
        return best.map { entries.remove(at: $0) }
    }

    /// Drops the oldest entries above the limit.
    mutating func trim() {
        var total = entries.reduce(0) { $0 + $1.count }
        while total > limit, !entries.isEmpty { total -= entries.removeFirst().count }
    }
}
