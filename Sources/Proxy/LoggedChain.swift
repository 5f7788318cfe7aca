import Routing
import Wire

/// What the access log tells of a prompt: how long it is, and boundaries in it that show which prompts begin alike.
///
/// Of the prompt's own hashes anybody could say what they are hashes of, by hashing candidates. So the log has keyed hashes. The key ends
/// with the process: then nobody can check a guess any more, and later chains cannot be compared with earlier ones.
struct LoggedChain {
    /// A turn of a conversation has the last one's end among these, unless more than so many messages came between.
    private static let lastMessages = 12
    /// System prompts, and what else many prompts begin with.
    private static let firstMessages = 4
    /// Elsewhere, one boundary at least for each half that the prompt grows, from this many bytes on. Of prompts up to 4 GB, which is what
    /// a link can tell, these are 38.
    private static let firstStep: UInt64 = 1024
    /// The most boundaries of a prompt.
    static let mostLinks = 56

    private static let hash: KeyedHash = {
        var random = SystemRandomNumberGenerator()
        return KeyedHash(using: &random)
    }()

    private let prompt: PromptChain

    init(_ prompt: PromptChain) { self.prompt = prompt }

    /// Members of the log's line.
    func write(into text: inout ByteWriter) {
        text.write(",\"prompt_bytes\":")
        text.write(prompt.length)
        guard !prompt.links.isEmpty else { return }
        text.write(",\"last_message_bytes\":")
        text.write(max(0, prompt.length - prompt.lastMessageStart))
        text.write(",\"chain\":\"")
        var isFirst = true
        forEachLink { link in
            if !isFirst { text.write(" ") }
            isFirst = false
            text.write(Int(link.end))
            text.write(link.endsMessage ? "." : ":")
            text.writeBase64(Self.hash.hash(link.hash))
        }
        text.write("\"")
    }

    /// The links that are logged. Which of the inner ones these are depends on their places alone, so prompts that begin alike have
    /// the same ones in common.
    func forEachLink(_ body: (PromptChain.Link) -> Void) {
        let links = prompt.links
        let lastMessages = firstOfLastMessages
        var (messages, step) = (0, Self.firstStep)
        for (index, link) in links.enumerated() {
            var isKept = index + 1 == links.count
            if link.endsMessage {
                isKept = isKept || messages < Self.firstMessages || index >= lastMessages
                messages += 1
            }
            while UInt64(link.end) >= step {
                step += step / 2
                isKept = true
            }
            if isKept { body(link) }
        }
    }

    /// The index from which on all ends of messages are kept.
    private var firstOfLastMessages: Int {
        var (index, messages) = (prompt.links.count, 0)
        while index > 0, messages < Self.lastMessages {
            index -= 1
            if prompt.links[index].endsMessage { messages += 1 }
        }
        return index
    }
}

extension ByteWriter {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The highest 48 bits in eight characters: among millions of boundaries, hardly two have the same.
    fileprivate mutating func writeBase64(_ hash: UInt64) {
        for place in 1...8 { write(Self.digits[Int(truncatingIfNeeded: hash >> UInt64(64 - 6 * place)) & 63]) }
    }
}
