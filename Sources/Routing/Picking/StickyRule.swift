// The original's rule, corrected. A client stays with the server that has its prompt cached. Any other client goes to an idle
// server with a free instance, otherwise to a busier server. Among equal servers, it goes to one that has the model in memory,
// and then to the one that holds the fewest sessions.

extension Router {
    /// How many sessions an instance of the candidate can hold.
    func sessionsPerInstance(_ position: Int, in list: CandidateList) -> Int {
        let number = list.candidates[position].served[0]
        return backends[list.candidates[position].index].sessions(
            of: number, instances: list.candidates[position].instances.count)
    }

    /// Whether the request gives its client a session on the instance that it runs on.
    func takesPlace(_ traits: RequestTraits, among list: CandidateList) -> Bool {
        (list.rule == .sticky || list.rule == .expectedCost) && traits.counts && list.model != nil
    }

    /// The choice among the eligible candidates of the group; nil when none is eligible.
    ///
    /// Stops as early as possible: with hundreds of servers, a client that has a session, or whose first candidate is empty,
    /// does not pay for examining the others.
    func stickyChoice(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Choice? {
        if let held = heldChoice(among: list, group, for: request, at: now) {
            return overflow(from: held, among: list, group, for: request, at: now) ?? held
        }
        guard request.traits.counts else { return lightChoice(among: list, group, for: request, at: now) }
        let takesPlace = takesPlace(request.traits, among: list)
        var best: Vacancy?
        for position in group {
            guard ineligibility(at: position, in: list, for: request, at: now) == nil else { continue }
            let vacancy = vacancy(of: position, in: list, takesPlace: takesPlace, against: best)
            if let vacancy, best.map({ vacancy.isBetter(than: $0) }) ?? true { best = vacancy }
            if let best, best.isUnbeatable || !takesPlace && best.isReady && !best.isBusy && best.inFlight == 0 { break }
        }
        return best.map {
            Choice(position: $0.position, instance: $0.instance, reason: $0.reason, capacity: $0.capacity)
        }
    }

    /// A light request needs no balancing: it goes to the first server that has the model in memory, so that the parts of an
    /// engine's own page come from one server, and a question about a model does not load it.
    func lightChoice(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Choice? {
        var best: Int?
        for position in group where ineligibility(at: position, in: list, for: request, at: now) == nil {
            let residency = residency(position, in: list)
            if best.map({ residency < self.residency($0, in: list) }) ?? true { best = position }
            if residency == .loaded { break }
        }
        return best.map {
            Choice(position: $0, instance: list.candidates[$0].instances.indices.first, reason: .firstInOrder)
        }
    }

    /// The server that has the client's session, if it may take the request.
    private func heldChoice(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Choice? {
        guard let model = list.model,
            let session = sessions.handle(
                of: .init(client: request.traits.client, model: model), ttl: fleet.policy.stickyTTL, at: now)
        else { return nil }
        let place = sessions.place(in: session)
        guard let index = indexOfBackend[place.backend],
            let position = group.first(where: { list.candidates[$0].index == index }),
            let instance = list.candidates[position].instances.firstIndex(of: place.instance),
            ineligibility(at: position, in: list, for: request, at: now) == nil
        else { return nil }
        let capacity = sessionsPerInstance(position, in: list)
        return Choice(position: position, instance: instance, reason: .sticky, session: session, capacity: capacity)
    }

    /// Without a known limit, nothing bounds how many of a client's parallel requests go to the server that holds its session.
    /// While one of them runs there, a further one goes to a server that computes fewer. The session does not move.
    private func overflow(
        from held: Choice, among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Choice? {
        let index = list.backend(of: held)
        guard backends[index].limit == nil, let session = held.session, sessions.isRunning(session), request.traits.counts,
            var other = leastInFlightChoice(among: list, group, for: request, at: now),
            backends[list.backend(of: other)].inFlight < backends[index].inFlight,
            residency(other.position, in: list) <= residency(held.position, in: list)
        else { return nil }
        other.reason = .overflow
        return other
    }

    /// The best instance of an eligible candidate; nil when it cannot be better than `best`.
    private func vacancy(of position: Int, in list: CandidateList, takesPlace: Bool, against best: Vacancy?) -> Vacancy? {
        let index = list.candidates[position].index
        let instances = list.candidates[position].instances.count
        let server = Vacancy(
            position: position, residency: residency(position, in: list),
            isBusy: backends[index].health.isBusy(window: fleet.policy.busyWindow),
            held: takesPlace ? sessions.count(on: backends[index].id) : 0, inFlight: backends[index].inFlight,
            capacity: sessionsPerInstance(position, in: list))
        var found: Vacancy?
        for instance in 0..<instances {
            var vacancy = server
            vacancy.instance = instance
            vacancy.inFlightOnInstance = backends[index].inFlight(on: list.candidates[position].instances[instance])
            vacancy.isFree = vacancy.inFlightOnInstance < vacancy.capacity
            // Looking up the sessions of an instance is the expensive part.
            if instances == 1, let best, !vacancy.mayBeBetter(than: best) { return nil }
            // A server without sessions has no sessions on any instance. A single instance that holds fewer sessions than its
            // capacity has room.
            if takesPlace, vacancy.held >= (instances == 1 ? vacancy.capacity : 1) {
                let name = list.candidates[position].instances[instance]
                let (count, longestUnused) = sessions.holders(of: .init(backend: backends[index].id, instance: name))
                vacancy.heldOnInstance = count
                if count >= vacancy.capacity { vacancy.evicted = longestUnused }
            }
            if found.map({ vacancy.isBetterInstance(than: $0) }) ?? true { found = vacancy }
        }
        return found ?? server
    }
}

/// What a server, with its best instance, offers to a client without a session.
private struct Vacancy {
    /// Index of the candidate, and of its instance.
    var position: Int
    var instance: Int?
    var residency: ListedModel.Residency
    /// The server's machine is busy (`HealthState.isBusy`).
    var isBusy: Bool
    /// Fewer requests run on the instance than it has slots.
    var isFree = false
    /// When the session that would have to be evicted was last used; nil when there is room.
    var evicted: Moment?
    /// Sessions and requests in flight on the whole server.
    var held: Int
    var inFlight: Int
    var heldOnInstance = 0
    var inFlightOnInstance = 0
    /// How many sessions the instance can hold.
    var capacity: Int

    /// Compares servers. Among equal servers, the first in configured order wins.
    func isBetter(than other: Vacancy) -> Bool {
        if let verdict = decided(against: other) { return verdict }
        return (held, inFlight) < (other.held, other.inFlight)
    }

    /// Compares instances of one server.
    func isBetterInstance(than other: Vacancy) -> Bool {
        if let verdict = decided(against: other) { return verdict }
        return (heldOnInstance, inFlightOnInstance) < (other.heldOnInstance, other.inFlightOnInstance)
    }

    /// Idle before busy, free before in use, loaded before not loaded, room before eviction, then the one whose session to
    /// evict was unused longer. Nil: equal.
    private func decided(against other: Vacancy) -> Bool? {
        if isBusy != other.isBusy { return !isBusy }
        if isFree != other.isFree { return isFree }
        if residency != other.residency { return residency < other.residency }
        switch (evicted, other.evicted) {
        case (nil, nil): return nil
        case (nil, .some): return true
        case (.some, nil): return false
        case (let ours?, let theirs?): return ours == theirs ? nil : ours < theirs
        }
    }

    /// Whether this server may be better, before it is known whether a session would be evicted.
    func mayBeBetter(than other: Vacancy) -> Bool {
        if isBusy != other.isBusy { return !isBusy }
        if isFree != other.isFree { return isFree }
        if residency != other.residency { return residency < other.residency }
        return other.evicted != nil || (held, inFlight) < (other.held, other.inFlight)
    }

    /// The model is in memory, and the instance is free.
    var isReady: Bool { isFree && residency == .loaded }

    /// No other server can be better.
    var isUnbeatable: Bool { isReady && !isBusy && held == 0 && inFlight == 0 }

    var reason: Choice.Reason {
        switch (isBusy, isFree) {
        case (false, true): .idleInstance
        case (false, false): .idleServer
        case (true, true): .busyInstance
        case (true, false): .busyServer
        }
    }
}
