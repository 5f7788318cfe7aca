/// Refers to a sequence, which may have been dropped in the meantime.
struct SequenceID: Hashable, Sendable {
    fileprivate var index: Int32
    fileprivate var serial: UInt32
}

/// All sequences of all servers, in the order of their chains.
///
/// In this order, the sequences that share most with a prompt are the neighbours of its place, and what the others share can only become
/// less from one to the next. So one search and one walk tell for all sequences how much they share with a prompt (as in a suffix array
/// with its longest common prefixes).
struct SequenceStore: Sendable {
    private struct Slot: Sendable {
        var sequence: PromptSequence
        var serial: UInt32
        /// The links that it shares with the prompt that was looked at last, if `look` is the number of that look. 0: with none yet.
        var look: UInt32 = 0
        var links: Int32 = 0
    }

    private var slots: [Slot] = []
    private var free: [Int32] = []
    /// Indices of slots, in the order of their chains.
    private var order: [Int32] = []
    /// The links that each one shares with the next one in this order. As long as `order`; the last one is 0.
    private var shared: [Int32] = []
    /// The number of the last look, never 0, and what it was about. Nil when something has changed since.
    private var look: UInt32 = 1
    private var lookedAt: Ticket?

    var count: Int { order.count }

    /// Sequences for which there is memory.
    var places: Int { slots.count }

    // MARK: Looking at a prompt

    /// Finds out what all sequences share with a request's prompt, unless this request was looked at last.
    mutating func look(at prompt: PromptChain, of ticket: Ticket) {
        guard lookedAt != ticket else { return }
        lookedAt = ticket
        // The numbers begin again after four billion looks.
        look = look < .max ? look + 1 : 1
        guard !prompt.links.isEmpty, !order.isEmpty else { return }
        let place = place(of: prompt)
        var links = place < order.count ? commonLinks(place, prompt) : 0
        var index = place
        while links > 0 {
            note(links, index)
            links = min(links, Int(shared[index]))
            index += 1
        }
        index = place - 1
        links = index >= 0 ? commonLinks(index, prompt) : 0
        while links > 0 {
            note(links, index)
            index -= 1
            links = index >= 0 ? min(links, Int(shared[index])) : 0
        }
    }

    @inline(__always)
    private mutating func note(_ links: Int, _ index: Int) {
        let slot = Int(order[index])
        slots[slot].look = look
        slots[slot].links = Int32(truncatingIfNeeded: links)
    }

    /// Tokens that a sequence shares with the prompt that was looked at last. `length`: that prompt's tokens.
    @inline(__always)
    func commonTokens(_ id: SequenceID, length: Double) -> Double {
        let index = Int(id.index)
        guard slots[index].look == look, slots[index].serial == id.serial else { return 0 }
        return slots[index].sequence.commonTokens(links: Int(slots[index].links), length: length)
    }

    /// The most steps to either side in search of a conversation.
    private static let searchedNeighbours = 32

    /// The conversation with which a prompt goes on: the one that shares most of those that it continues.
    func continued(by prompt: PromptChain, where isWanted: (borrowing PromptSequence) -> Bool) -> SequenceID? {
        guard !prompt.links.isEmpty, !order.isEmpty else { return nil }
        let place = place(of: prompt)
        var (best, most) = (SequenceID?.none, 0)
        func visit(_ index: Int, _ links: Int) {
            let slot = Int(order[index])
            guard slots[slot].sequence.isContinued(links: links), isWanted(slots[slot].sequence) else { return }
            (best, most) = (SequenceID(index: Int32(slot), serial: slots[slot].serial), links)
        }
        var links = place < order.count ? commonLinks(place, prompt) : 0
        var index = place
        while links > most, index < place + Self.searchedNeighbours {
            visit(index, links)
            links = min(links, Int(shared[index]))
            index += 1
        }
        index = place - 1
        links = index >= 0 ? commonLinks(index, prompt) : 0
        while links > most, index >= place - Self.searchedNeighbours {
            visit(index, links)
            index -= 1
            links = index >= 0 ? min(links, Int(shared[index])) : 0
        }
        return best
    }

    /// The sequences that contain another one's whole prompt: they stand behind it.
    func isContained(_ id: SequenceID, inOneThat isWanted: (SequenceID) -> Bool) -> Bool {
        guard var place = place(of: id) else { return false }
        let (links, tokens) = (Int32(slots[Int(id.index)].sequence.chain.links.count), slots[Int(id.index)].sequence.tokens)
        let end = place + Self.searchedNeighbours
        while place + 1 < order.count, place < end, shared[place] >= links {
            place += 1
            let slot = Int(order[place])
            let other = SequenceID(index: Int32(slot), serial: slots[slot].serial)
            if slots[slot].sequence.tokens >= tokens, isWanted(other) { return true }
        }
        return false
    }

    /// A sequence whose whole prompt is the beginning of another one's; nil when none is near. They stand before it.
    func containedInside(_ id: SequenceID, where isWanted: (SequenceID) -> Bool) -> SequenceID? {
        guard var place = place(of: id) else { return nil }
        // Equal prompts stand side by side, on both sides.
        let whole = slots[Int(id.index)].sequence.chain.links.count
        var next = place
        while next + 1 < order.count, next < place + Self.searchedNeighbours, shared[next] == whole {
            next += 1
            let slot = Int(order[next])
            let other = SequenceID(index: Int32(slot), serial: slots[slot].serial)
            if slots[slot].sequence.chain.links.count == whole, isWanted(other) { return other }
        }
        var links = Int32.max
        let end = max(0, place - Self.searchedNeighbours)
        while place > end {
            place -= 1
            links = min(links, shared[place])
            guard links > 0 else { return nil }
            let slot = Int(order[place])
            let other = SequenceID(index: Int32(slot), serial: slots[slot].serial)
            if Int(links) == slots[slot].sequence.chain.links.count, isWanted(other) { return other }
        }
        return nil
    }

    // MARK: Sequences

    /// Nil when the sequence was dropped.
    subscript(id: SequenceID) -> PromptSequence? {
        slots[Int(id.index)].serial == id.serial ? slots[Int(id.index)].sequence : nil
    }

    /// Reads a part of a sequence in place: a copy would count a reference to its chain. Nil when the sequence was dropped.
    @inline(__always)
    func read<Result>(_ id: SequenceID, _ body: (borrowing PromptSequence) -> Result) -> Result? {
        slots[Int(id.index)].serial == id.serial ? body(slots[Int(id.index)].sequence) : nil
    }

    /// Changes a sequence in place, unless it was dropped. Its chain must stay.
    @inline(__always)
    mutating func change(_ id: SequenceID, _ body: (inout PromptSequence) -> Void) {
        if slots[Int(id.index)].serial == id.serial { body(&slots[Int(id.index)].sequence) }
    }

    mutating func add(_ sequence: PromptSequence) -> SequenceID {
        let place = place(of: sequence.chain)
        let index: Int32
        if let known = free.popLast() {
            index = known
            slots[Int(index)].sequence = sequence
            slots[Int(index)].look = 0
        } else {
            index = Int32(slots.count)
            slots.append(Slot(sequence: sequence, serial: 1))
        }
        if place > 0 { shared[place - 1] = Int32(commonLinks(place - 1, sequence.chain)) }
        let withNext = place < order.count ? Int32(commonLinks(place, sequence.chain)) : 0
        order.insert(index, at: place)
        shared.insert(withNext, at: place)
        lookedAt = nil
        return SequenceID(index: index, serial: slots[Int(index)].serial)
    }

    mutating func drop(_ id: SequenceID) {
        guard slots[Int(id.index)].serial == id.serial else { return }
        if let place = place(of: id) {
            if place > 0 { shared[place - 1] = min(shared[place - 1], shared[place]) }
            order.remove(at: place)
            shared.remove(at: place)
        }
        // The memory of its chain is given back now.
        slots[Int(id.index)].sequence.forgetChain()
        slots[Int(id.index)].serial &+= 1
        free.append(id.index)
    }

    // MARK: Order

    private func commonLinks(_ place: Int, _ chain: PromptChain) -> Int {
        slots[Int(order[place])].sequence.chain.commonLinks(with: chain)
    }

    /// The first place whose chain does not come before this one.
    private func place(of chain: PromptChain) -> Int {
        var (low, high) = (0, order.count)
        while low < high {
            let middle = (low + high) / 2
            if slots[Int(order[middle])].sequence.chain.isBefore(chain) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func place(of id: SequenceID) -> Int? {
        var place = place(of: slots[Int(id.index)].sequence.chain)
        // Equal chains stand side by side.
        while place < order.count {
            if order[place] == id.index { return place }
            place += 1
        }
        return nil
    }
}
