import Simulation

/// A generated text that names itself: its first 16 letters are its key. So an answer that comes back in a later prompt is the
/// very segment that the engine keeps in its slot.
struct AnswerText {
    static let bytesPerToken = 4
    /// A letter for each four bits of the key. The words have no letters of these.
    private static let keyLetters = 16
    private static let firstKeyLetter = UInt8(ascii: "a")
    private static let firstWordLetter = UInt8(ascii: "q")

    let key: UInt64
    let tokens: Int

    init(key: UInt64, tokens: Int) {
        self.key = key
        self.tokens = tokens
    }

    /// An answer that a client sends back, perhaps not all of it; nil when the text is none, or too short to tell.
    init?(returned text: [UInt8]) {
        guard text.count >= Self.keyLetters else { return nil }
        var key: UInt64 = 0
        for letter in text.prefix(Self.keyLetters) {
            guard letter >= Self.firstKeyLetter, letter < Self.firstWordLetter else { return nil }
            key = key << 4 | UInt64(letter - Self.firstKeyLetter)
        }
        self.init(key: key, tokens: Self.tokens(ofBytes: text.count))
    }

    static func tokens(ofBytes count: Int) -> Int { (count + bytesPerToken - 1) / bytesPerToken }

    var segment: TokenSequence.Segment { .init(content: key, tokens: tokens) }

    /// The whole text: the key, then words of three letters.
    var bytes: [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(tokens * Self.bytesPerToken + Self.keyLetters)
        for shift in stride(from: 60, through: 0, by: -4) {
            text.append(Self.firstKeyLetter + UInt8(truncatingIfNeeded: key >> UInt64(shift) & 15))
        }
        var state = ContentHash()
        while text.count < tokens * Self.bytesPerToken {
            state.add(key)
            var bits = state.value
            for _ in 0..<3 {
                text.append(Self.firstWordLetter + UInt8(truncatingIfNeeded: bits % 10))
                bits /= 10
            }
            text.append(UInt8(ascii: " "))
        }
        return Array(text.prefix(tokens * Self.bytesPerToken))
    }
}
