// The original's rule, made right: a client stays with the server that has its prompt cached. Everybody else goes to an idle server
// with a free instance, and to busier ones only after that; among equally good ones to where the fewest sessions are held.

extension Router {
    /// Whether the request makes its client a holder of the instance that it runs on.
    func takesPlace(_ traits: RequestTraits, _ route: ModelRoute) -> Bool {
        traits.counts && !route.isFallback && traits.model != nil
    }

    /// The choice among the eligible candidates; nil when there is none.
    ///
    /// Looks no further than it has to: with hundreds of servers, a client that has one, or finds an empty one first, does not pay
    /// for the others.
    func stickyChoice(
        _ route: ModelRoute, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> Choice? {
        if let held = heldChoice(route, for: traits, history: history, at: now) { return held }
        let takesPlace = takesPlace(traits, route)
        var best: (offer: Offer, candidate: Int, instance: String?)?
        for position in route.candidates.indices {
            let index = route.candidates[position].index
            guard ineligibility(of: index, for: traits, history: history, at: now) == nil else { continue }
            let common = offer(of: index, sharedBy: route.candidates[position].instances.count, takesPlace: takesPlace)
            guard !route.candidates[position].instances.isEmpty else {
                if best.map({ common < $0.offer }) ?? true { best = (common, position, nil) }
                continue
            }
            for name in route.candidates[position].instances {
                let offer = offer(of: name, on: index, common, takesPlace: takesPlace)
                if best.map({ offer < $0.offer }) ?? true { best = (offer, position, name) }
            }
            if let offer = best?.offer, offer.isUnbeatable || !takesPlace && offer.isFree && !offer.isBusy { break }
        }
        return best.map { best in
            let index = route.candidates[best.candidate].index
            return Choice(index: index, instance: best.instance, reason: best.offer.reason, capacity: best.offer.capacity)
        }
    }

    /// The server that has the client's session, if it may take the request.
    private func heldChoice(
        _ route: ModelRoute, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> Choice? {
        guard let model = traits.model,
            let session = sessions.handle(of: .init(client: traits.client, model: model), ttl: fleet.policy.stickyTTL, at: now)
        else { return nil }
        let held = sessions.place(in: session)
        guard let index = indexOfBackend[held.backend],
            let candidate = route.candidates.first(where: { $0.index == index }),
            candidate.instances.contains(held.instance),
            ineligibility(of: index, for: traits, history: history, at: now) == nil
        else { return nil }
        let capacity = backends[index].sessionsPerInstance(of: candidate.instances.count)
        return Choice(index: index, instance: held.instance, reason: .sticky, session: session, capacity: capacity)
    }

    /// What is the same for all instances of a server. The server may be used.
    private func offer(of index: Int, sharedBy instances: Int, takesPlace: Bool) -> Offer {
        Offer(
            isBusy: backends[index].health.isBusy(window: fleet.policy.busyWindow),
            held: takesPlace ? sessions.count(on: backends[index].id) : 0, inFlight: backends[index].inFlight,
            capacity: backends[index].sessionsPerInstance(of: instances))
    }

    private func offer(of name: String, on index: Int, _ common: Offer, takesPlace: Bool) -> Offer {
        var offer = common
        offer.inFlightOnInstance = backends[index].inFlight(on: name)
        offer.isFree = offer.inFlightOnInstance < offer.capacity
        // Nobody is on a server that holds none.
        guard takesPlace, offer.held > 0 else { return offer }
        let (count, longestUnused) = sessions.holders(of: .init(backend: backends[index].id, instance: name))
        offer.heldOnInstance = count
        if count >= offer.capacity { offer.evicted = longestUnused }
        return offer
    }
}

/// What an instance has to offer to a client without a session. Less is better.
private struct Offer: Comparable {
    /// The machine has work of its own or of others.
    var isBusy: Bool
    /// Fewer requests run on the instance than it has slots.
    var isFree = false
    /// The last use of the session that would have to leave; nil when there is room for another one.
    var evicted: Moment?
    /// Sessions on the whole server.
    var held: Int
    /// Requests in flight on the whole server.
    var inFlight: Int
    var heldOnInstance = 0
    var inFlightOnInstance = 0
    /// How many sessions the instance can hold.
    var capacity: Int

    static func < (one: Offer, other: Offer) -> Bool {
        if one.isBusy != other.isBusy { return other.isBusy }
        if one.isFree != other.isFree { return one.isFree }
        switch (one.evicted, other.evicted) {
        case (nil, .some): return true
        case (.some, nil): return false
        case (let ours?, let theirs?) where ours != theirs: return ours < theirs
        case (nil, nil), (.some, .some): break
        }
        return (one.held, one.inFlight, one.heldOnInstance, one.inFlightOnInstance)
            < (other.held, other.inFlight, other.heldOnInstance, other.inFlightOnInstance)
    }

    /// No server can offer more.
    var isUnbeatable: Bool { !isBusy && isFree && held == 0 && inFlight == 0 }

    var reason: Choice.Reason {
        switch (isBusy, isFree) {
        case (false, true): .idleInstance
        case (false, false): .idleServer
        case (true, true): .busyInstance
        case (true, false): .busyServer
        }
    }
}
