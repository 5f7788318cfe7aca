// The original's rule, made right: a client stays with the server that has its prompt cached; everybody else goes to
// the first server in configured order that is idle and has a free instance, and to busier ones only after that.

extension Router {
    /// The choice among the eligible candidates; nil when there is none.
    ///
    /// Looks no further than it has to: with hundreds of servers, a client that has one, or finds the first ones idle, does not pay
    /// for the others.
    func stickyChoice(
        _ route: ModelRoute, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> Choice? {
        if let held = heldChoice(route, for: traits, history: history, at: now) { return held }
        var best: (rank: Int, choice: Choice)?
        for position in route.candidates.indices {
            let index = route.candidates[position].index
            guard ineligibility(of: index, for: traits, history: history, at: now) == nil else { continue }
            let free = route.candidates[position].instances.first { !backends[index].isInUse($0) }
            let isBusy = backends[index].health.isBusy(window: fleet.policy.busyWindow)
            let (rank, reason): (Int, Choice.Reason) =
                switch (isBusy, free != nil) {
                case (false, true): (0, .idleInstance)
                case (false, false): (1, .idleServer)
                case (true, true): (2, .busyInstance)
                case (true, false): (3, .busyServer)
                }
            if rank < best?.rank ?? .max {
                let instance = free ?? route.candidates[position].instances.first
                best = (rank, Choice(index: index, instance: instance, reason: reason))
                if rank == 0 { break }
            }
        }
        return best?.choice
    }

    /// The server that has the client's session, if it may take the request.
    private func heldChoice(
        _ route: ModelRoute, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> Choice? {
        guard let model = traits.model,
            let session = sessions.slot(of: .init(client: traits.client, model: model), ttl: fleet.policy.stickyTTL, at: now)
        else { return nil }
        let held = sessions.place(in: session)
        guard let index = indexOfBackend[held.backend],
            let position = route.candidates.indices.first(where: { route.candidates[$0].index == index }),
            route.candidates[position].instances.contains(held.instance),
            ineligibility(of: index, for: traits, history: history, at: now) == nil
        else { return nil }
        return Choice(index: index, instance: held.instance, reason: .sticky, session: session)
    }
}
