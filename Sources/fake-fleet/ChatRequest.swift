import Simulation
import Wire

/// A chat as the engine sees it: tokens, told by the hashes of their text.
struct ChatRequest {
    /// Without `max_tokens`.
    private static let usualAnswer = 128
    /// A block's hash stands for its tokens, so prompts share whole blocks: 1 KiB.
    private static let blockTokens = 256

    let prompt: TokenSequence
    let answer: AnswerText
    let isStreamed: Bool
    let includesUsage: Bool

    /// Nil when the body is no chat.
    init?(body: [UInt8]) {
        guard let json = try? JSON(parsing: body), let messages = json["messages"]?.arrayValue else { return nil }
        var prompt = TokenSequence()
        for message in messages {
            let role = message["role"]?.stringValue ?? "user"
            prompt.append(Self.mark(role))
            let text = Array(Self.text(of: message["content"]).utf8)
            if role == "assistant", let answer = AnswerText(returned: text) {
                prompt.append(answer.segment)
            } else {
                Self.append(text, to: &prompt)
            }
        }
        prompt.append(Self.mark("assistant"))
        let limit = json["max_tokens"]?.intValue ?? json["max_completion_tokens"]?.intValue ?? Self.usualAnswer
        var key = ContentHash()
        for segment in prompt.segments { key.add(segment.content) }
        self.prompt = prompt
        answer = AnswerText(key: key.value, tokens: max(1, limit))
        isStreamed = json["stream"]?.boolValue ?? false
        includesUsage = json["stream_options"]?["include_usage"]?.boolValue ?? false
    }

    /// A chat template's mark of one token.
    private static func mark(_ role: String) -> TokenSequence.Segment {
        var hash = ContentHash()
        hash.add(Array(role.utf8)[...])
        return .init(content: hash.value, tokens: 1)
    }

    private static func text(of content: JSON?) -> String {
        content?.stringValue ?? (content?.arrayValue ?? []).compactMap { $0["text"]?.stringValue }.joined()
    }

    private static func append(_ text: [UInt8], to prompt: inout TokenSequence) {
        var rest = text[...]
        while !rest.isEmpty {
            let block = rest.prefix(blockTokens * AnswerText.bytesPerToken)
            rest = rest.dropFirst(block.count)
            var hash = ContentHash()
            hash.add(block)
            prompt.append(.init(content: hash.value, tokens: AnswerText.tokens(ofBytes: block.count)))
        }
    }
}

/// Tells texts apart; not meant to withstand anybody.
struct ContentHash {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ number: UInt64) {
        value = (value ^ number) &* 0x9E37_79B9_7F4A_7C15
        value ^= value >> 29
    }

    mutating func add(_ bytes: ArraySlice<UInt8>) {
        var (word, filled) = (UInt64(0), 0)
        for byte in bytes {
            word = word << 8 | UInt64(byte)
            filled += 1
            if filled == 8 {
                add(word)
                (word, filled) = (0, 0)
            }
        }
        add(word << 8 | UInt64(filled))
    }
}
