package import Routing

/// A prompt that grows message by message, as the engine reads it and as the router sees it.
package struct PromptBuilder: Sendable {
    /// A token has this many bytes.
    package static let bytesPerToken = 4
    /// The least distance of links inside a message, in bytes.
    private static let leastDistance = 1024
    /// A link inside a message is at least a 24th of what precedes it in the message behind the link before it.
    private static let growth = 24

    /// For the engine.
    package internal(set) var tokens = TokenSequence()
    /// For the router.
    package internal(set) var chain = PromptChain(length: 0)
    private var hash: UInt64 = 0

    package init() {}

    /// Adds a block of a trace: one link, at its end. `isMessage`: the last message begins here, unless another one follows.
    package mutating func append(block content: UInt64, tokens count: Int, isMessage: Bool) {
        let lastStart = isMessage ? chain.length : chain.lastMessageStart
        tokens.append(.init(content: content, tokens: count))
        chain.length += count * Self.bytesPerToken
        chain.lastMessageStart = lastStart
        link(content, at: chain.length)
    }

    /// Adds a message, with links inside it.
    package mutating func append(message content: UInt64, tokens count: Int) {
        let (start, length) = (chain.length, count * Self.bytesPerToken)
        tokens.append(.init(content: content, tokens: count))
        var position = Self.leastDistance
        while position < length {
            link(content, at: start + position)
            position += max(Self.leastDistance, position / Self.growth)
        }
        link(content, at: start + length, endsMessage: true)
        chain.length = start + length
        chain.lastMessageStart = start
    }

    /// The hash covers the contents before it and how far they go.
    private mutating func link(_ content: UInt64, at end: Int, endsMessage: Bool = false) {
        hash = mixed(hash ^ mixed(content &+ UInt64(truncatingIfNeeded: end) &* 0x9E37_79B9_7F4A_7C15))
        chain.links.append(.init(hash: hash, end: UInt32(clamping: end), endsMessage: endsMessage))
    }
}
