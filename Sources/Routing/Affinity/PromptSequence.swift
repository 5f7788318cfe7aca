/// A prompt with its answer, which a server computed and may still hold. It is also the state of the conversation that it belongs to.
struct PromptSequence: Sendable {
    private(set) var chain: PromptChain
    /// Where it was computed: the server, and the index of the model among its `served`.
    let backend: BackendID
    let served: Int
    /// Tokens of the prompt, and of the prompt with its answer. Estimates, until the engine has reported them.
    var promptTokens: Double
    var tokens: Double
    /// Tokens that it has in common with a sequence that was used later, in a cache of blocks: they are that one's.
    var sharedTokens = 0.0
    /// In seconds: when its request was sent or ended, whichever was last.
    var usedAt: Double
    /// In seconds; nil while its request runs.
    var endedAt: Double?
    /// Turns of the conversation so far; for a first turn, how likely another one is. 0: the conversation goes on elsewhere.
    var turns: Double

    /// The tokens that the sequence and a prompt begin with, as far as the prompt's boundaries show it.
    ///
    /// A request whose prompt contains this whole prompt goes on with this conversation, so the answer is part of it, too.
    ///
    /// - Parameters:
    ///   - isWhole: the prompt has all links of this one.
    ///   - end: otherwise, the end of the last link that both have.
    @inline(__always)
    func commonTokens(isWhole: Bool, end: UInt32) -> Double {
        isWhole ? tokens : promptTokens * Double(end) / Double(max(1, chain.length))
    }

    /// Of the tokens that a prompt of that many has in common with a sequence, those that are found. The last token is always computed:
    /// its result is the first token of the answer.
    static func found(_ common: Double, length: Double) -> Double { max(0, min(common, length - 1)) }

    /// Whether a prompt that has these links of the chain goes on with this conversation: it has more than half of this one's last
    /// message.
    ///
    /// A part of the whole prompt would not do: many conversations begin with the same long system prompt.
    func isContinued(links: Int) -> Bool {
        Int(chain.links[links - 1].end) > chain.lastMessageStart + (chain.length - chain.lastMessageStart) / 2
    }

    /// What becomes free when it is dropped.
    var heldTokens: Double { max(0, tokens - sharedTokens) }

    mutating func forgetChain() { chain = PromptChain(length: 0) }
}
