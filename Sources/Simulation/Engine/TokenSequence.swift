/// The tokens of a prompt, or what a slot holds, told by their contents instead of one by one.
///
/// Two sequences are equal as far as their segments have the same contents. Contents are never compared inside: different ones share
/// nothing, the same ones share as many tokens as both have.
package struct TokenSequence: Sendable, Equatable {
    /// A message, a block of a trace, or a generated answer.
    package struct Segment: Sendable, Equatable {
        /// Which text it is: equal numbers mean equal text.
        package var content: UInt64
        /// How much of it, from its beginning.
        package var tokens: Int

        package init(content: UInt64, tokens: Int) {
            self.content = content
            self.tokens = tokens
        }
    }

    /// In order; none is empty.
    package private(set) var segments: [Segment] = []
    /// The tokens of all segments together.
    package private(set) var count = 0

    package init() {}

    /// Adds a segment at the end; an empty one adds nothing.
    package mutating func append(_ segment: Segment) {
        guard segment.tokens > 0 else { return }
        segments.append(segment)
        count += segment.tokens
    }

    /// How many tokens both sequences begin with.
    package func commonTokens(with other: TokenSequence) -> Int {
        var common = 0
        for (one, two) in zip(segments, other.segments) {
            guard one.content == two.content else { break }
            common += min(one.tokens, two.tokens)
            if one.tokens != two.tokens { break }
        }
        return common
    }

    /// The sequence's first `tokens`.
    package func prefix(_ tokens: Int) -> TokenSequence {
        guard tokens < count else { return self }
        var cut = TokenSequence()
        for segment in segments {
            let room = tokens - cut.count
            guard room > 0 else { break }
            cut.append(Segment(content: segment.content, tokens: min(room, segment.tokens)))
        }
        return cut
    }
}
