/// Which prompts a server is believed to hold for one model.
///
/// Of a llama-server it is a mirror: a seat for each slot, and the list of prompts that the engine keeps in the machine's memory. The
/// mirror chooses as `get_available_slot` and `prompt_load` of llama.cpp do. Of other engines there are no seats, and the list is what was
/// used last.
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

    /// llama.cpp takes a slot for its content only if the prompt shares more than this part of itself with it.
    private static let leastSimilarity = 0.1
    /// A prompt is kept when less than this part of it would remain in the slot.
    private static let keptPart = 0.5
    /// A kept prompt is loaded only if at least this part of it is used.
    private static let leastUse = 0.25
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

    // MARK: What would be found

    /// The most that `match` could find; cheaper than that.
    @inline(__always)
    func mostTokens(length: Double, in store: SequenceStore) -> Double {
        guard let any = kept.first ?? seats.first(where: { $0.sequence != nil })?.sequence else { return 0 }
        return store.mostCommonTokens(beside: any, length: length)
    }

    /// - Parameters:
    ///   - length: the tokens of the prompt that was looked at last (`SequenceStore.look`); nil when nothing is known of its content.
    ///   - store: has what each sequence shares with that prompt.
    func match(length: Double?, in store: SequenceStore) -> Match {
        var (idlest, similar, shared) = (Int?.none, Int?.none, 0.0)
        var idlestAt = Double.infinity
        for index in seats.indices where seats[index].ticket == nil {
            // As in llama.cpp, of two seats that were unused equally long the last one is taken.
            if seats[index].usedAt <= idlestAt { (idlest, idlestAt) = (index, seats[index].usedAt) }
            guard let length, let sequence = seats[index].sequence else { continue }
            let tokens = store.commonTokens(sequence, length: length)
            if tokens > shared, tokens > Self.leastSimilarity * length { (similar, shared) = (index, tokens) }
        }
        guard let length else { return Match(seat: idlest) }
        let most = mostTokens(length: length, in: store)
        guard hasSeats else {
            guard most > 0 else { return Match() }
            return Match(tokens: kept.reduce(0) { max($0, store.commonTokens($1, length: length)) })
        }
        guard let seat = similar ?? idlest else { return Match(tokens: best(most, store, length)) }
        let held = seats[seat].sequence.flatMap { store.read($0) { $0.tokens } }
        var match = Match(tokens: shared, seat: seat)
        if similar == nil {
            match.tokens = seats[seat].sequence.map { store.commonTokens($0, length: length) } ?? 0
            // What was there last may be unknown: the engine keeps it all the same.
            match.saves = held != nil || seats[seat].usedAt >= 0
        } else {
            match.saves = match.tokens < Self.keptPart * (held ?? 0)
        }
        if match.saves || held == nil && savesIdleSeats {
            if most > match.tokens { load(into: &match, held: held ?? 1, length: length, store) }
        } else if held == nil {
            match.isFirstInSeat = true
            match.tokens = bestKept(most, store, length)
        }
        return match
    }

    /// The kept prompt that is loaded keeps more of itself than what is in the seat would, and has more of the prompt.
    private func load(into match: inout Match, held: Double, length: Double, _ store: SequenceStore) {
        var part = match.tokens / max(1, held)
        for id in kept {
            let tokens = store.commonTokens(id, length: length)
            guard tokens > match.tokens, let whole = store.read(id, { $0.tokens }), tokens >= Self.leastUse * whole,
                tokens / whole > part
            else { continue }
            (part, match.tokens, match.loads) = (tokens / whole, tokens, id)
        }
    }

    /// The seat that a prompt takes of which no seat has anything. As in llama.cpp, of two seats that were unused equally long it is the
    /// last one.
    func idlestSeat(except taken: Int?) -> Int? {
        var found: Int?
        for index in seats.indices where seats[index].ticket == nil && index != taken {
            if found.map({ seats[index].usedAt <= seats[$0].usedAt }) ?? true { found = index }
        }
        return found
    }

    /// - Parameter most: `mostTokens`.
    private func bestKept(_ most: Double, _ store: SequenceStore, _ length: Double) -> Double {
        guard most > 0 else { return 0 }
        var best = 0.0
        for id in kept {
            let tokens = store.commonTokens(id, length: length)
            if tokens > best, tokens >= Self.leastUse * (store.read(id) { $0.tokens } ?? 0) { best = tokens }
        }
        return best
    }

    /// All seats are taken: the best of everything, as if any of them became free.
    private func best(_ most: Double, _ store: SequenceStore, _ length: Double) -> Double {
        var best = bestKept(most, store, length)
        for seat in seats {
            if let sequence = seat.sequence { best = max(best, store.commonTokens(sequence, length: length)) }
        }
        return best
    }

    /// The sequence that would be dropped first, if the list had to take that many tokens more; nil when there is room.
    func nextToDrop(for tokens: Double, in store: SequenceStore) -> SequenceID? {
        guard let oldest = kept.first, capacity < .infinity, !isInSeat(oldest) else { return nil }
        return keptTokens(in: store) + tokens > capacity ? oldest : nil
    }

    private func keptTokens(in store: SequenceStore) -> Double {
        kept.reduce(0) { $0 + (store.read($1) { $0.tokens } ?? 0) }
    }

    /// Tokens of a kept sequence and of all that were kept after it: the list is at least that large.
    func depth(of id: SequenceID, in store: SequenceStore) -> Double {
        guard let index = kept.firstIndex(of: id) else { return 0 }
        return kept[index...].reduce(0) { $0 + (store.read($1) { $0.tokens } ?? 0) }
    }

    // MARK: What happens

    /// A request begins: the engine does what `match` says.
    mutating func began(_ ticket: Ticket, _ sequence: SequenceID, _ match: Match, in store: inout SequenceStore, at now: Double) {
        guard let seat = match.seat, seats.indices.contains(seat) else {
            // All seats are taken: which of them the prompt comes to is not known.
            guard !hasSeats else { return store.drop(sequence) }
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
        capacity = max(provenCapacity, Self.leastCapacity, min(capacity, depth - tokens))
        trim(&store, now)
    }

    /// A kept sequence was there, at that depth.
    mutating func confirmed(depth: Double) {
        provenCapacity = max(provenCapacity, depth)
        capacity = max(capacity, provenCapacity)
    }

    /// More was found than was believed to be there: the engine keeps copies of idle seats, or more than was believed.
    mutating func surpassed() {
        idleEvidence = min(Self.mostEvidence, idleEvidence + 1)
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

    private func isInSeat(_ id: SequenceID) -> Bool { seats.contains { $0.sequence == id } }

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
            tokens -= store.read(oldest) { $0.tokens } ?? 0
            drop(oldest, &store, now)
        }
    }
}
