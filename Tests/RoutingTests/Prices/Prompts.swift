@testable import Routing

/// Prompts for tests, made of numbered messages.
struct TestPrompt {
    private(set) var chain = PromptChain(length: 0)

    /// Four bytes are a token. Two prompts share the messages whose numbers and lengths they begin with.
    init(_ messages: (number: Int, tokens: Int)...) {
        for message in messages { append(message.number, tokens: message.tokens) }
    }

    /// A link after each kilobyte of a message and at its end.
    mutating func append(_ number: Int, tokens: Int) {
        let (start, end) = (chain.length, chain.length + 4 * tokens)
        for position in stride(from: start + 1024, to: end, by: 1024) { link(number, position) }
        link(number, end)
        chain.length = end
        chain.lastMessageStart = start
    }

    private mutating func link(_ number: Int, _ end: Int) {
        var mixed = SplitMix64(seed: (chain.links.last?.hash ?? 1) ^ (UInt64(number) << 32 &+ UInt64(end)))
        chain.links.append(.init(hash: mixed.next(), end: UInt32(end)))
    }
}

extension PromptChain {
    /// One link for each word, a hundred bytes apart, with hashes so small that they are often equal or in the wrong order.
    init(words: [Int], lastMessageStart: Int = 0) {
        self.init(length: 100 * words.count, lastMessageStart: lastMessageStart)
        var hash: UInt64 = 1
        for (number, word) in words.enumerated() {
            // Different beginnings must not have the same hash.
            hash = hash &* 31 &+ UInt64(word + 1)
            links.append(.init(hash: hash &* 0x9E37_79B9_7F4A_7C15, end: UInt32(100 * (number + 1))))
        }
    }

    static func random(_ random: inout SplitMix64, words: Int = 3, longest: Int = 6) -> PromptChain {
        PromptChain(words: (0..<1 + random.below(longest)).map { _ in random.below(words) })
    }
}

extension PromptChain {
    func isBefore(_ other: PromptChain) -> Bool { compared(with: other).isBefore }
}

extension PromptSequence {
    /// Tokens that are found for a prompt that begins with these links; `length`: that prompt's tokens.
    func commonTokens(links: Int, length: Double) -> Double {
        let common = commonTokens(isWhole: links == chain.links.count, end: chain.links[links - 1].end)
        return Self.found(common, length: length)
    }
}
