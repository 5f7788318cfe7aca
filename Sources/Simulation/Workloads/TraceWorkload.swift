/// Recorded arrivals, such as Mooncake's traces.
package struct TraceWorkload: Workload {
    /// One recorded request.
    package struct Entry: Sendable, Equatable {
        package var milliseconds: Double
        package var promptTokens: Int
        package var answerTokens: Int
        /// One number for each block of the prompt; equal numbers mean equal prompts up to the end of the block.
        package var blocks: [UInt64]

        package init(milliseconds: Double, promptTokens: Int, answerTokens: Int, blocks: [UInt64]) {
            self.milliseconds = milliseconds
            self.promptTokens = promptTokens
            self.answerTokens = answerTokens
            self.blocks = blocks
        }
    }

    /// What the router knows about clients, which traces do not name.
    package enum Clients: Sendable {
        /// All requests seem to come from one.
        case one
        /// Each conversation seems to be one.
        case conversations
    }

    /// The tokens of a block.
    package static let blockTokens = 512

    private let entries: [Entry]
    private let timeScale: Double
    private let clients: Clients

    /// - Parameters:
    ///   - entries: in order of time.
    ///   - timeScale: multiplies the times: 2 is half the load.
    package init(_ entries: [Entry], timeScale: Double = 1, clients: Clients = .one) {
        self.entries = entries
        self.timeScale = timeScale
        self.clients = clients
    }

    package mutating func start() -> [SimulatedRequest] {
        var conversationOfBlock: [UInt64: UInt64] = [:]
        return entries.enumerated().map { number, entry in
            // A request continues the conversation that has its deepest known block. The first block is everybody's system prompt.
            let known = entry.blocks.dropFirst().last { conversationOfBlock[$0] != nil }
            let conversation = known.flatMap { conversationOfBlock[$0] } ?? UInt64(number)
            for block in entry.blocks.dropFirst() where conversationOfBlock[block] == nil {
                conversationOfBlock[block] = conversation
            }
            return SimulatedRequest(
                arrivesAt: entry.milliseconds / 1000 * timeScale,
                client: clients == .one ? "trace" : "conversation-\(conversation)", conversation: conversation,
                prompt: prompt(of: entry),
                // An answer's text is not part of the recorded prompts that follow it.
                answer: .init(content: mixed(UInt64(number) | 1 << 63), tokens: max(1, entry.answerTokens)))
        }
    }

    private func prompt(of entry: Entry) -> PromptBuilder {
        var prompt = PromptBuilder()
        var left = max(1, entry.promptTokens)
        for (number, block) in entry.blocks.enumerated() where left > 0 {
            let isLast = number + 1 == entry.blocks.count
            let tokens = isLast ? left : min(left, Self.blockTokens)
            // The last full block stands for the last message.
            prompt.append(block: block, tokens: tokens, isMessage: tokens >= Self.blockTokens)
            left -= tokens
        }
        return prompt
    }
}
