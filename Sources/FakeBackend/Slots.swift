/// The slots of an engine, the prompts that they remember and the requests that wait for one. A value: no clock, no I/O.
struct Slots {
    /// A request, by the number the engine gave it.
    typealias Ticket = Int

    /// A slot given to a request.
    struct Grant: Equatable {
        let ticket: Ticket
        let slot: Int
        /// How much of the prompt, from its start, the slot still remembers.
        let rememberedBytes: Int
    }

    private struct Slot {
        var ticket: Ticket?
        var prompt: [UInt8] = []
        var lastUse = 0
    }

    private struct Waiting {
        let ticket: Ticket
        let prompt: [UInt8]
    }

    /// llama-server takes the most similar slot only if at least this much of the prompt matches, else the least recently used
    /// one.
    private static let enoughSimilarity = 0.1
    // What a prompt leaves behind when another one takes its slot goes to a list in the machine's memory (`--cache-ram`), from which it is
    // loaded again, as in llama-server's `prompt_save` and `prompt_load`.
    /// A prompt is kept when less than this part of it would remain in the slot.
    private static let keptPart = 0.5
    /// A kept prompt is loaded only if at least this part of it is used.
    private static let leastUse = 0.25
    private static let mostKeptBytes = 16 << 20

    private var slots: [Slot]
    /// Oldest first.
    private var kept: [[UInt8]] = []
    private var line: [Waiting] = []
    private var uses = 0

    init(count: Int) {
        slots = Array(repeating: Slot(), count: max(1, count))
    }

    /// For each slot the request that it computes, if any.
    var holders: [Ticket?] { slots.map(\.ticket) }
    var waitingCount: Int { line.count }
    var busyCount: Int { slots.count { $0.ticket != nil } }

    /// A request wants a slot: it gets one now, or (nil) waits its turn.
    mutating func arrive(_ ticket: Ticket, prompt: [UInt8]) -> Grant? {
        line.append(Waiting(ticket: ticket, prompt: prompt))
        return grantNext()
    }

    /// A request has ended, or its client has gone: its slot, or its place in the queue, is free. Returns the next request.
    mutating func leave(_ ticket: Ticket) -> Grant? {
        if let index = slots.firstIndex(where: { $0.ticket == ticket }) {
            slots[index].ticket = nil
            return grantNext()
        }
        line.removeAll { $0.ticket == ticket }
        return nil
    }

    /// Adds slots, or removes free ones from the end. Returns the requests that can start now.
    mutating func resize(to count: Int) -> [Grant] {
        while slots.count > max(1, count), slots.last?.ticket == nil { slots.removeLast() }
        while slots.count < count { slots.append(Slot()) }
        var grants: [Grant] = []
        while let grant = grantNext() { grants.append(grant) }
        return grants
    }

    private mutating func grantNext() -> Grant? {
        guard let first = line.first, let choice = choose(for: first.prompt) else { return nil }
        line.removeFirst()
        uses += 1
        let remembered = replace(slots[choice.slot].prompt, by: first.prompt, keeping: choice.rememberedBytes)
        slots[choice.slot] = Slot(ticket: first.ticket, prompt: first.prompt, lastUse: uses)
        return Grant(ticket: first.ticket, slot: choice.slot, rememberedBytes: remembered)
    }

    /// A prompt takes a slot. Returns how much of it is remembered, in the slot or after loading a kept prompt into it.
    private mutating func replace(_ old: [UInt8], by new: [UInt8], keeping common: Int) -> Int {
        guard !old.isEmpty, Double(common) < Self.keptPart * Double(old.count) else { return common }
        var (best, loaded) = (common, Int?.none)
        var part = Double(common) / Double(old.count)
        for (index, prompt) in kept.enumerated() {
            let shared = commonPrefix(prompt, new)
            let used = Double(shared) / Double(max(1, prompt.count))
            if shared > best, used > part, used >= Self.leastUse { (best, part, loaded) = (shared, used, index) }
        }
        if let loaded { kept.remove(at: loaded) }
        if !kept.contains(where: { commonPrefix($0, old) == old.count }) { kept.append(old) }
        while kept.count > 1, kept.reduce(0, { $0 + $1.count }) > Self.mostKeptBytes { kept.removeFirst() }
        return best
    }

    /// The free slot that remembers most of the prompt; without a similar one, the least recently used.
    private func choose(for prompt: [UInt8]) -> (slot: Int, rememberedBytes: Int)? {
        let free = slots.indices.filter { slots[$0].ticket == nil }
        guard let oldest = free.min(by: { slots[$0].lastUse < slots[$1].lastUse }) else { return nil }
        let remembered = free.map { (slot: $0, rememberedBytes: commonPrefix(slots[$0].prompt, prompt)) }
        if let best = remembered.max(by: { $0.rememberedBytes < $1.rememberedBytes }),
            Double(best.rememberedBytes) > Slots.enoughSimilarity * Double(prompt.count)
        {
            return best
        }
        return (oldest, commonPrefix(slots[oldest].prompt, prompt))
    }
}

private func commonPrefix(_ left: [UInt8], _ right: [UInt8]) -> Int {
    let limit = min(left.count, right.count)
    var length = 0
    while length < limit, left[length] == right[length] { length += 1 }
    return length
}
