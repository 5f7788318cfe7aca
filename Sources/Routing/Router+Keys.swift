// The limits of clients' keys: a request reserves what it will probably use, and settles when it is over, however it ends.

/// What keys have used, and what their requests have reserved.
struct KeyTable: Sendable {
    fileprivate var budgets: [String: KeyBudget] = [:]
    fileprivate var reservations: [Ticket: (key: String, reservation: KeyBudget.Reservation)] = [:]

    /// Requests that have not settled yet.
    var unsettled: Int { reservations.count }

    func inFlight(_ key: String) -> Int { budgets[key]?.inFlight ?? 0 }

    /// From now on, these are the limits. A key that had some before keeps what it has used.
    mutating func change(_ limits: [String: KeyLimits], at now: Double) {
        var changed: [String: KeyBudget] = [:]
        for (key, limits) in limits {
            var budget = budgets[key] ?? KeyBudget(limits, at: now)
            budget.change(limits, at: now)
            changed[key] = budget
        }
        budgets = changed
        reservations = reservations.filter { changed[$0.value.key] != nil }
    }
}

extension Router {
    /// Reserves what the request will probably use. Returns the limit that it would exceed; nil when it may run.
    mutating func reserve(_ ticket: Ticket, _ traits: RequestTraits, at moment: Moment) -> KeyExcess? {
        guard let key = traits.key, traits.counts, var budget = keys.budgets[key] else { return nil }
        let now = moment.seconds
        let tokens = probableTokens(ticket, traits, budget)
        if let excess = budget.excess(key, tokens: tokens, at: now) { return excess }
        keys.reservations[ticket] = (key, budget.reserve(tokens: tokens, at: now))
        keys.budgets[key] = budget
        return nil
    }

    /// What some server may have of the prompt in its cache counts as cached.
    private mutating func probableTokens(_ ticket: Ticket, _ traits: RequestTraits, _ budget: KeyBudget) -> Double {
        var cached = 0.0
        if let prompt = traits.prompt, !prompt.links.isEmpty {
            sequences.look(at: prompt, of: ticket)
            cached = Double(sequences.mostShared(with: prompt, of: ticket)) / PriceWeights.bytesPerToken
        }
        let prompt = Double(traits.prompt?.length ?? 0) / PriceWeights.bytesPerToken
        return budget.tokens(prompt: prompt, cached: cached, answer: habits.answerTokens)
    }

    /// The request is over. `timings`: nil when it was not run, or the engine does not report them.
    ///
    /// - Parameter isAnswered: then what was reserved counts if nothing is known of what was used.
    mutating func settle(_ ticket: Ticket, _ timings: Timings?, isAnswered: Bool, at moment: Moment) {
        guard !keys.reservations.isEmpty, let (key, reservation) = keys.reservations.removeValue(forKey: ticket),
            var budget = keys.budgets[key]
        else { return }
        let used = timings.map { budget.tokens(of: $0) } ?? (isAnswered ? reservation.most : 0)
        budget.settle(reservation, used: used, at: moment.seconds)
        keys.budgets[key] = budget
    }

    /// What the key has left; nil when it has no limits.
    func standing(of key: String?, at moment: Moment) -> KeyStanding? {
        key.flatMap { keys.budgets[$0] }.map { $0.standing(at: moment.seconds) }
    }
}
