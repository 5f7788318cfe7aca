// The original's rule, made right: a client stays with the server that has its prompt cached; everybody else goes to
// the first server in configured order that is idle and has a free instance, and to busier ones only after that.

extension Router {
    /// The choice among the eligible candidates, of which there is at least one.
    func stickyChoice(
        _ route: ModelRoute, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> Choice {
        let session = traits.model.flatMap {
            sessions.slot(of: .init(client: traits.client, model: $0), ttl: fleet.policy.stickyTTL, at: now)
        }
        let held = session.map { sessions.place(in: $0) }
        var best: (rank: Int, choice: Choice)?
        for candidate in route.candidates {
            guard ineligibility(of: candidate.index, for: traits, history: history, at: now) == nil else { continue }
            if let held, held.backend == backends[candidate.index].server.id, candidate.instances.contains(held.instance) {
                return Choice(index: candidate.index, instance: held.instance, reason: .sticky, session: session)
            }
            let free = candidate.instances.first { !backends[candidate.index].isInUse($0) }
            let isBusy = backends[candidate.index].health.isBusy(window: fleet.policy.busyWindow)
            let (rank, reason): (Int, Choice.Reason) =
                switch (isBusy, free != nil) {
                case (false, true): (0, .idleInstance)
                case (false, false): (1, .idleServer)
                case (true, true): (2, .busyInstance)
                case (true, false): (3, .busyServer)
                }
            if rank < best?.rank ?? .max {
                let instance = free ?? candidate.instances.first
                best = (rank, Choice(index: candidate.index, instance: instance, reason: reason))
            }
        }
        guard let best else { preconditionFailure("stickyChoice needs an eligible candidate; pick() checks that") }
        return best.choice
    }
}
