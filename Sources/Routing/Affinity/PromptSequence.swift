/// A prompt with its answer, which a server computed and may still hold. It is also the state of the conversation that it belongs to.
struct PromptSequence: Sendable {
    let chain: PromptChain
    /// Where it was computed: the server, and the index of the model among its `served`.
    let backend: BackendID
    let served: Int
    /// Tokens of the prompt, and of the prompt with its answer. Estimates, until the engine has reported them.
    var promptTokens: Double
    var tokens: Double
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
    /// - Parameter length: the prompt's tokens.
    func commonTokens(with prompt: PromptChain, length: Double) -> Double {
        let links = chain.commonLinks(with: prompt)
        guard links > 0 else { return 0 }
        // The last token is always computed: its result is the first token of the answer.
        if links == chain.links.count { return max(0, min(tokens, length - 1)) }
        let share = Double(chain.links[links - 1].end) / Double(max(1, chain.length))
        return max(0, min(promptTokens * share, length - 1))
    }

    /// Whether a prompt goes on with this conversation: it has more than half of this one's last message.
    ///
    /// A part of the whole prompt would not do: many conversations begin with the same long system prompt.
    func isContinued(by prompt: PromptChain) -> Bool {
        let common = chain.commonBytes(with: prompt)
        return common > chain.lastMessageStart + (chain.length - chain.lastMessageStart) / 2
    }

    /// Whether another sequence has this whole prompt.
    func isContained(in other: PromptSequence) -> Bool {
        other.tokens >= tokens && chain.commonLinks(with: other.chain) == chain.links.count
    }
}

/// Refers to a sequence, which may have been dropped in the meantime.
struct SequenceID: Hashable, Sendable {
    fileprivate var index: Int32
    fileprivate var serial: UInt32
}

/// All sequences of all servers.
struct SequenceStore: Sendable {
    private struct Slot: Sendable {
        var sequence: PromptSequence?
        var serial: UInt32
    }

    private var slots: [Slot] = []
    private var free: [Int32] = []

    var count: Int { slots.count - free.count }

    /// Nil when the sequence was dropped.
    subscript(id: SequenceID) -> PromptSequence? {
        get { slots[Int(id.index)].serial == id.serial ? slots[Int(id.index)].sequence : nil }
        set {
            guard slots[Int(id.index)].serial == id.serial, newValue != nil else { return }
            slots[Int(id.index)].sequence = newValue
        }
    }

    /// Reads a part of a sequence in place: a copy would count a reference to its chain.
    func read<Result>(_ id: SequenceID, _ body: (borrowing PromptSequence) -> Result) -> Result? {
        guard slots[Int(id.index)].serial == id.serial, slots[Int(id.index)].sequence != nil else { return nil }
        return slots[Int(id.index)].sequence.map(body)
    }

    mutating func add(_ sequence: PromptSequence) -> SequenceID {
        if let index = free.popLast() {
            slots[Int(index)].sequence = sequence
            return SequenceID(index: index, serial: slots[Int(index)].serial)
        }
        slots.append(Slot(sequence: sequence, serial: 1))
        return SequenceID(index: Int32(slots.count - 1), serial: 1)
    }

    mutating func drop(_ id: SequenceID) {
        guard slots[Int(id.index)].serial == id.serial else { return }
        slots[Int(id.index)].sequence = nil
        slots[Int(id.index)].serial &+= 1
        free.append(id.index)
    }
}
