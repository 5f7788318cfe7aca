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
        var serial: UInt32 = 1
        /// Index of its shelf.
        var shelf: Int32
        /// The links of its chain.
        var links: Int32
        /// The tokens that it has in common with the prompt of a look, and the number of that look. 0: with none yet.
        var look: UInt32 = 0
        var common = 0.0

        /// A prompt shares that many links, the last of which ends there.
        @inline(__always)
        mutating func note(links: Int, end: UInt32, _ look: UInt32) -> Double {
            self.look = look
            common = sequence.commonTokens(isWhole: links == Int(self.links), end: end)
            return common
        }
    }

    private var slots: [Slot] = []
    private var free: [Int32] = []
    /// Indices of slots, in the order of their chains.
    private var order: [Int32] = []
    /// The links that each one shares with the next one in this order. As long as `order`; the last one is 0.
    private var shared: [Int32] = []
    private var shelves = ShelfTable()
    /// The number of the last look, never 0, and what it was about. Nil when something has changed since.
    private var look: UInt32 = 1
    private var lookedAt: (ticket: Ticket, place: Place)?

    var count: Int { order.count }

    /// Sequences for which there is memory.
    var places: Int { slots.count }

    // MARK: Looking at a prompt

    /// Finds out what all sequences share with a request's prompt, unless this request was looked at last.
    mutating func look(at prompt: PromptChain, of ticket: Ticket) {
        guard lookedAt?.ticket != ticket else { return }
        // The numbers begin again after four billion looks.
        look = look < .max ? look + 1 : 1
        let place = place(of: prompt)
        lookedAt = (ticket, place)
        note(place.up, prompt)
        note(place.down, prompt)
    }

    @inline(__always)
    private mutating func note(_ start: Walk, _ prompt: PromptChain) {
        var walk = start
        while let (slot, links) = walk.next(order, shared) {
            // Where two chains have the same hash, the boundary is the same. The prompt's links are at hand.
            let common = slots[slot].note(links: links, end: prompt.links[links - 1].end, look)
            shelves.note(common, on: slots[slot].shelf, look)
        }
    }

    /// Tokens that a sequence shares with the prompt that was looked at last. `length`: that prompt's tokens.
    @inline(__always)
    func commonTokens(_ id: SequenceID, length: Double) -> Double {
        let index = Int(id.index)
        guard slots[index].look == look, slots[index].serial == id.serial else { return 0 }
        return PromptSequence.found(slots[index].common, length: length)
    }

    /// The most of those tokens that any sequence shares of the same server and model as this one.
    @inline(__always)
    func mostCommonTokens(beside id: SequenceID, length: Double) -> Double {
        PromptSequence.found(shelves.most(on: slots[Int(id.index)].shelf, look), length: length)
    }

    /// The most bytes that a request's prompt shares with any sequence, if it was looked at last; else 0.
    func mostShared(with prompt: PromptChain, of ticket: Ticket) -> UInt32 {
        guard let lookedAt, lookedAt.ticket == ticket else { return 0 }
        let links = Int(max(lookedAt.place.linksBefore, lookedAt.place.linksBehind))
        return links > 0 ? prompt.links[links - 1].end : 0
    }

    /// The most steps to either side in search of a conversation.
    private static let searchedNeighbours = 32

    /// The conversation with which a request's prompt goes on: the one that shares most of those that it continues.
    mutating func continued(
        by prompt: PromptChain, of ticket: Ticket, where isWanted: (borrowing PromptSequence) -> Bool
    ) -> SequenceID? {
        look(at: prompt, of: ticket)
        guard let place = lookedAt?.place else { return nil }
        var (best, most) = (SequenceID?.none, 0)
        for var walk in [place.up, place.down] {
            for _ in 0..<Self.searchedNeighbours {
                guard let (slot, links) = walk.next(order, shared), links > most else { break }
                guard slots[slot].sequence.isContinued(links: links), isWanted(slots[slot].sequence) else { continue }
                (best, most) = (id(slot), links)
            }
        }
        return best
    }

    /// The sequences that contain another one's whole prompt: they stand behind it.
    func isContained(_ id: SequenceID, inOneThat isWanted: (SequenceID) -> Bool) -> Bool {
        guard let place = place(of: id) else { return false }
        let (whole, tokens) = (Int(slots[Int(id.index)].links), slots[Int(id.index)].sequence.tokens)
        var walk = Walk(from: place + 1, sharing: shared[place], .up)
        for _ in 0..<Self.searchedNeighbours {
            guard let (slot, links) = walk.next(order, shared), links >= whole else { return false }
            if slots[slot].sequence.tokens >= tokens, isWanted(self.id(slot)) { return true }
        }
        return false
    }

    /// A sequence whose whole prompt is the beginning of another one's; nil when none is near. They stand before it.
    func containedInside(_ id: SequenceID, where isWanted: (SequenceID) -> Bool) -> SequenceID? {
        guard let place = place(of: id) else { return nil }
        // Equal prompts stand side by side, on both sides.
        let whole = slots[Int(id.index)].links
        var behind = Walk(from: place + 1, sharing: shared[place], .up)
        for _ in 0..<Self.searchedNeighbours {
            guard let (slot, links) = behind.next(order, shared), links == Int(whole), slots[slot].links == whole else { break }
            if isWanted(self.id(slot)) { return self.id(slot) }
        }
        guard place > 0 else { return nil }
        var walk = Walk(from: place - 1, sharing: shared[place - 1], .down)
        for _ in 0..<Self.searchedNeighbours {
            guard let (slot, links) = walk.next(order, shared) else { return nil }
            if links == Int(slots[slot].links), isWanted(self.id(slot)) { return self.id(slot) }
        }
        return nil
    }

    // MARK: Sequences

    private func id(_ slot: Int) -> SequenceID { SequenceID(index: Int32(slot), serial: slots[slot].serial) }

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
        guard slots[Int(id.index)].serial == id.serial else { return }
        let (tokens, promptTokens) = (slots[Int(id.index)].sequence.tokens, slots[Int(id.index)].sequence.promptTokens)
        body(&slots[Int(id.index)].sequence)
        let isOther = slots[Int(id.index)].sequence.tokens != tokens || slots[Int(id.index)].sequence.promptTokens != promptTokens
        if isOther { lookedAt = nil }
    }

    /// - Parameter ticket: the request that has the sequence's prompt. If it was looked at last, its place is known.
    mutating func add(_ sequence: PromptSequence, of ticket: Ticket? = nil) -> SequenceID {
        let known = lookedAt.flatMap { $0.ticket == ticket ? $0.place : nil }
        let place = known ?? place(of: sequence.chain)
        let shelf = shelves.add(sequence)
        var slot = Slot(sequence: sequence, shelf: shelf, links: Int32(sequence.chain.links.count))
        let index: Int32
        if let known = free.popLast() {
            index = known
            slot.serial = slots[Int(index)].serial
            slots[Int(index)] = slot
        } else {
            index = Int32(slots.count)
            slots.append(slot)
        }
        if place.index > 0 { shared[place.index - 1] = place.linksBefore }
        order.insert(index, at: place.index)
        shared.insert(place.linksBehind, at: place.index)
        lookedAt = nil
        return id(Int(index))
    }

    mutating func drop(_ id: SequenceID) {
        guard slots[Int(id.index)].serial == id.serial else { return }
        if let place = place(of: id) {
            if place > 0 { shared[place - 1] = min(shared[place - 1], shared[place]) }
            order.remove(at: place)
            shared.remove(at: place)
        }
        lookedAt = nil
        shelves.remove(slots[Int(id.index)].sequence, from: slots[Int(id.index)].shelf)
        // The memory of its chain is given back now.
        slots[Int(id.index)].sequence.forgetChain()
        slots[Int(id.index)].serial &+= 1
        free.append(id.index)
    }

    // MARK: Order

    /// The first place whose chain does not come before this one.
    private func place(of chain: PromptChain) -> Place {
        var (low, high) = (0, order.count)
        var (linksBefore, linksBehind) = (0, 0)
        while low < high {
            let middle = (low + high) / 2
            // What is between the two shares as much with the chain as both of them.
            let known = min(linksBefore, linksBehind)
            let (links, isBefore) = slots[Int(order[middle])].sequence.chain.compared(with: chain, sharing: known)
            if isBefore {
                (low, linksBefore) = (middle + 1, links)
            } else {
                (high, linksBehind) = (middle, links)
            }
        }
        return Place(index: low, linksBefore: Int32(linksBefore), linksBehind: Int32(linksBehind))
    }

    private func place(of id: SequenceID) -> Int? {
        guard slots[Int(id.index)].serial == id.serial else { return nil }
        var place = place(of: slots[Int(id.index)].sequence.chain).index
        // Equal chains stand side by side.
        while place < order.count {
            if order[place] == id.index { return place }
            place += 1
        }
        return nil
    }
}

/// Where a chain belongs in the order, and the links that it shares with those before and behind.
private struct Place: Sendable {
    var index: Int
    var linksBefore: Int32
    var linksBehind: Int32

    /// Over what is there and behind it.
    var up: Walk { Walk(from: index, sharing: linksBehind, .up) }
    var down: Walk { Walk(from: index - 1, sharing: linksBefore, .down) }
}

/// Goes from one sequence to the next in the order, away from a place, as long as they share anything with what belongs there.
private struct Walk {
    enum Direction { case up, down }

    private var index: Int
    private var links: Int32
    private let direction: Direction

    /// - Parameter links: what the first one shares.
    init(from index: Int, sharing links: Int32, _ direction: Direction) {
        (self.index, self.links, self.direction) = (index, links, direction)
    }

    @inline(__always)
    mutating func next(_ order: [Int32], _ shared: [Int32]) -> (slot: Int, links: Int)? {
        guard links > 0 else { return nil }
        let found = (Int(order[index]), Int(links))
        switch direction {
        case .up:
            links = min(links, shared[index])
            index += 1
        case .down:
            index -= 1
            links = index >= 0 ? min(links, shared[index]) : 0
        }
        return found
    }
}
