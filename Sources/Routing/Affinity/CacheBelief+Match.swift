// What a server would find for a prompt: the choices of `get_available_slot` and `prompt_load` of llama.cpp.

extension CacheBelief {
    /// llama.cpp takes a slot for its content only if the prompt shares more than this part of itself with it.
    private static let leastSimilarity = 0.1
    /// A prompt is kept when less than this part of it would remain in the slot.
    private static let keptPart = 0.5
    /// A kept prompt is loaded only if at least this part of it is used.
    private static let leastUse = 0.25

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
        guard let length else { return Match(seat: idlestSeat(except: nil)) }
        var (similar, shared) = (Int?.none, 0.0)
        for index in seats.indices where seats[index].ticket == nil {
            guard let sequence = seats[index].sequence else { continue }
            let tokens = store.commonTokens(sequence, length: length)
            if tokens > shared, tokens > Self.leastSimilarity * length { (similar, shared) = (index, tokens) }
        }
        let most = mostTokens(length: length, in: store)
        guard hasSeats else {
            guard most > 0 else { return Match() }
            return Match(tokens: kept.reduce(0) { max($0, store.commonTokens($1, length: length)) })
        }
        guard let seat = similar ?? idlestSeat(except: nil) else { return Match(tokens: best(most, store, length)) }
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

    func keptTokens(in store: SequenceStore) -> Double {
        kept.reduce(0) { $0 + (store.read($1) { $0.heldTokens } ?? 0) }
    }

    /// Tokens of a kept sequence and of all that were kept after it: the list is at least that large.
    func depth(of id: SequenceID, in store: SequenceStore) -> Double {
        guard let index = kept.firstIndex(of: id) else { return 0 }
        return kept[index...].reduce(0) { $0 + (store.read($1) { $0.heldTokens } ?? 0) }
    }

    /// Without seats: the kept sequence that has most of the prompt that was looked at last, the youngest of equals.
    func source(length: Double, in store: SequenceStore) -> (id: SequenceID, tokens: Double)? {
        guard !hasSeats else { return nil }
        var best: (id: SequenceID, tokens: Double)?
        for id in kept {
            let tokens = store.commonTokens(id, length: length)
            if tokens > 0, tokens >= best?.tokens ?? 0 { best = (id, tokens) }
        }
        return best
    }

    /// What is in the seat that the prompt takes.
    func displaced(by match: Match) -> SequenceID? { match.seat.flatMap { seats[$0].sequence } }
}
