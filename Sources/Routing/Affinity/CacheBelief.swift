/// Which prompts a server is believed to hold for one model.
///
/// Of a llama-server it is a mirror: a seat for each slot, and the list of prompts that the engine keeps in the machine's memory. The
/// mirror chooses as `get_available_slot` and `prompt_load` of llama.cpp do. Of other engines there are no seats, and the list is what was
/// used last, as in a cache of blocks: a beginning that several prompts share is there once, and as young as the youngest of them.
struct CacheBelief: Sendable {
    struct Seat: Sendable {
        var sequence: SequenceID?
        /// In seconds; -1: never.
        var usedAt = -1.0
        var ticket: Ticket?
    }

    /// What a server would find for a prompt, and what it would do.
    struct Match: Sendable {
        /// Tokens of the prompt that are found.
        var tokens = 0.0
        /// The seat that the request takes; nil when all are taken, or there are none.
        var seat: Int?
        /// The kept sequence that is loaded into the seat.
        var loads: SequenceID?
        /// What is in the seat goes to the list.
        var saves = false
        /// The seat is empty, so that nothing is loaded into it. The first prompt there is computed whole, wherever it would be found.
        /// It counts as found all the same: otherwise an empty seat would never be used again.
        var isFirstInSeat = false
    }

    private static let leastCapacity = 16_000.0
    /// Tokens.
    private static let shortestKept = 256.0
    private static let mostSeats = 256
    /// The most answers that are remembered as evidence for or against `savesIdleSeats`.
    private static let mostEvidence = 3

    private(set) var seats: [Seat] = []
    /// Oldest first.
    private(set) var kept: [SequenceID] = []
    /// The most sequences in the list.
    var longestList = 64
    /// Tokens that the list is believed to hold at most, and those that it has been seen to hold.
    private(set) var capacity = Double.infinity
    private(set) var provenCapacity = 0.0
    private var statedCapacity: Int?
    /// Answers that found what only an engine that copies idle seats has, less those that did not find such a copy.
    private var idleEvidence = 0
    /// Whose only place in the list is due to that: their seat has not been taken by a prompt that saves them.
    private var copies: Set<SequenceID> = []
    /// Conversations that are likely to go on, those in flight included.
    private(set) var live: DecayingSum

    /// - Parameter lifetime: seconds after which a conversation without a turn counts 1/e.
    init(lifetime: Double) {
        live = DecayingSum(timeConstant: lifetime)
        self.lifetime = lifetime
    }

    private var lifetime: Double

    /// Conversations without a turn count 1/e after that many seconds from now on.
    mutating func setLifetime(_ seconds: Double, at now: Double) {
        lifetime = seconds
        live.setTimeConstant(seconds, at: now)
    }

    var hasSeats: Bool { !seats.isEmpty }

    /// Whether the engine copies what idle seats hold to its list whenever a request begins, and loads a kept prompt into an empty seat,
    /// too. llama.cpp does so since 2026 (`--cache-idle-slots`); its answers tell.
    var savesIdleSeats: Bool { idleEvidence > 0 }

    func isCopy(_ id: SequenceID) -> Bool { copies.contains(id) }

    // MARK: What happens

    /// A request begins: the engine does what `match` says.
    ///
    /// - Parameter source: without seats, what `source` told.
    mutating func began(
        _ ticket: Ticket, _ sequence: SequenceID, _ match: Match, source: (id: SequenceID, tokens: Double)? = nil,
        in store: inout SequenceStore, at now: Double
    ) {
        guard let seat = match.seat, seats.indices.contains(seat) else {
            // All seats are taken: which of them the prompt comes to is not known.
            guard !hasSeats else { return store.drop(sequence) }
            if let source { store.change(source.id) { $0.sharedTokens = max($0.sharedTokens, source.tokens) } }
            // The earlier turns of a conversation are the same memory.
            while let inside = store.containedInside(sequence, where: { kept.contains($0) }) { drop(inside, &store, now) }
            kept.append(sequence)
            addLife(of: sequence, store, now)
            return trim(&store, now)
        }
        take(seat, ticket, sequence, saves: match.saves, &store, now)
        if let loaded = match.loads { drop(loaded, &store, now) }
        addLife(of: sequence, store, now)
        saveIdleSeats(&store, now)
        trim(&store, now)
    }

    /// A request begins whose prompt is not known: what is in its seat is lost, unless the engine keeps it.
    mutating func overwritten(by ticket: Ticket, _ match: Match, in store: inout SequenceStore, at now: Double) {
        guard let seat = match.seat, seats.indices.contains(seat) else { return }
        take(seat, ticket, nil, saves: true, &store, now)
        saveIdleSeats(&store, now)
        trim(&store, now)
    }

    private mutating func take(
        _ seat: Int, _ ticket: Ticket, _ sequence: SequenceID?, saves: Bool, _ store: inout SequenceStore, _ now: Double
    ) {
        let old = seats[seat].sequence
        seats[seat].ticket = ticket
        seats[seat].sequence = sequence
        guard let old else { return }
        if saves {
            keep(old, &store, now)
            copies.remove(old)
        }
        forgetUnlessHeld(old, &store, now)
    }

    private mutating func saveIdleSeats(_ store: inout SequenceStore, _ now: Double) {
        guard savesIdleSeats else { return }
        for seat in seats where seat.ticket == nil {
            guard let id = seat.sequence, !kept.contains(id) else { continue }
            keep(id, &store, now)
            if kept.last == id { copies.insert(id) }
        }
    }

    /// The request has left its seat.
    mutating func ended(_ ticket: Ticket, at now: Double) {
        for index in seats.indices where seats[index].ticket == ticket {
            seats[index].ticket = nil
            seats[index].usedAt = now
        }
    }

    /// The request was not computed: what it would have left is not there.
    mutating func failed(_ sequence: SequenceID, of ticket: Ticket, in store: inout SequenceStore, at now: Double) {
        for index in seats.indices where seats[index].ticket == ticket { seats[index].sequence = nil }
        drop(sequence, &store, now)
    }

    /// The number of the engine's slots for this model; 0 when it has none, or does not tell them.
    mutating func setSeats(_ count: Int, in store: inout SequenceStore, at now: Double) {
        let count = min(max(0, count), Self.mostSeats)
        while seats.count > count {
            if let id = seats.removeLast().sequence { forgetUnlessHeld(id, &store, now) }
        }
        while seats.count < count { seats.append(Seat()) }
    }

    /// The engine has restarted, or has unloaded the model.
    mutating func forget(in store: inout SequenceStore) {
        for seat in seats.indices {
            if let id = seats[seat].sequence { store.drop(id) }
            // A request that ran there is lost, and its end says nothing about the new engine.
            seats[seat] = Seat()
        }
        for id in kept { store.drop(id) }
        kept.removeAll()
        copies.removeAll()
        live = DecayingSum(timeConstant: lifetime)
    }

    // MARK: Capacity

    /// A kept sequence was said to be there, and was not: what is as old as it is gone. If it was only a copy of what was in a seat, the
    /// engine may not make such copies.
    mutating func denied(
        depth: Double, tokens: Double, isCopy: Bool = false, in store: inout SequenceStore, at now: Double
    ) {
        if isCopy {
            idleEvidence = max(-Self.mostEvidence, idleEvidence - 1)
            if !savesIdleSeats { for id in copies { drop(id, &store, now) } }
            return
        }
        capacity = min(capacity, max(provenCapacity, Self.leastCapacity, depth - tokens))
        trim(&store, now)
    }

    /// The engine tells how much its cache holds. What its answers show counts more, so this counts once.
    mutating func state(capacity tokens: Int) {
        guard tokens != statedCapacity else { return }
        statedCapacity = tokens
        (capacity, provenCapacity) = (Double(tokens), 0)
    }

    /// What was known of an earlier run.
    mutating func restore(capacity tokens: Double) {
        if capacity == .infinity { capacity = max(Self.leastCapacity, tokens) }
    }

    /// A kept sequence was there, at that depth.
    mutating func confirmed(depth: Double) {
        provenCapacity = max(provenCapacity, depth)
        capacity = max(capacity, provenCapacity)
    }

    /// More was found than was believed to be there. While the list was believed to hold everything, only copies of idle seats explain
    /// that; otherwise the list may hold more than was believed.
    mutating func surpassed() {
        if capacity == .infinity || savesIdleSeats { idleEvidence = min(Self.mostEvidence, idleEvidence + 1) }
        capacity *= 1.5
        provenCapacity *= 0.9
    }

    // MARK: Conversations

    /// Changes a sequence, and what is known of its conversation.
    mutating func change(_ id: SequenceID, in store: inout SequenceStore, at now: Double, _ body: (inout PromptSequence) -> Void)
    {
        var (before, after) = (0.0, 0.0)
        store.change(id) { sequence in
            before = life(of: sequence, at: now)
            body(&sequence)
            after = life(of: sequence, at: now)
        }
        live.add(after - before, at: now)
    }

    /// How likely it is that the conversation goes on: it has had turns, or is likely to have some, and has not been silent for long.
    func life(of sequence: borrowing PromptSequence, at now: Double) -> Double {
        min(1, sequence.turns) * Exponential.decay((now - sequence.usedAt) / lifetime)
    }

    private mutating func addLife(of id: SequenceID, _ store: SequenceStore, _ now: Double) {
        if let life = store.read(id, { life(of: $0, at: now) }) { live.add(life, at: now) }
    }

    // MARK: The list

    /// What was in a seat goes to the list, unless a kept one has its whole prompt. Computing a short prompt again costs less than
    /// looking for it each time.
    private mutating func keep(_ id: SequenceID, _ store: inout SequenceStore, _ now: Double) {
        let isLong = store.read(id) { $0.tokens >= Self.shortestKept } ?? false
        guard isLong, !kept.contains(id), !store.isContained(id, inOneThat: { kept.contains($0) }) else { return }
        while let inside = store.containedInside(id, where: { kept.contains($0) }) { drop(inside, &store, now) }
        kept.append(id)
    }

    /// It leaves the list.
    private mutating func drop(_ id: SequenceID, _ store: inout SequenceStore, _ now: Double) {
        kept.removeAll { $0 == id }
        copies.remove(id)
        forgetUnlessHeld(id, &store, now)
    }

    func isInSeat(_ id: SequenceID) -> Bool { seats.contains { $0.sequence == id } }

    /// It is in no seat or list any more.
    private mutating func forgetUnlessHeld(_ id: SequenceID, _ store: inout SequenceStore, _ now: Double) {
        guard !kept.contains(id), !isInSeat(id) else { return }
        if let life = store.read(id, { life(of: $0, at: now) }) { live.add(-life, at: now) }
        store.drop(id)
    }

    mutating func trim(_ store: inout SequenceStore, _ now: Double) {
        while kept.count > longestList, let oldest = kept.first { drop(oldest, &store, now) }
        guard capacity < .infinity else { return }
        var tokens = keptTokens(in: store)
        while tokens > capacity, let oldest = kept.first {
            tokens -= store.read(oldest) { $0.heldTokens } ?? 0
            drop(oldest, &store, now)
        }
    }
}
