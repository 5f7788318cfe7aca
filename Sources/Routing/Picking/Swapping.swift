// Servers that hold fewer models than are asked for: demand is served in batches of one model, and a model that is used is not pushed out
// for one that another server has, or has room for.

/// In which order waiting requests are looked at.
enum SwapTurn: Int {
    /// It has waited for long for a model that is in no server's memory.
    case overdue
    /// The usual case. Models of servers that do not tell what is in their memory count as loaded.
    case loaded
    case needsLoad
}

extension Router {
    /// Not to be used now, because a model that computes there would have to leave the memory, or a request ahead in the line has waited
    /// for long until another model's requests have ended. When the line is full, the request waits inside the engine.
    func isClosed(_ index: Int, _ served: Int, for request: PendingRequest, _ reservations: Reservations) -> Bool {
        guard backends[index].memory.isTold, request.mayHold, request.history.attempts == 0, !backends[index].jobs.isEmpty else {
            return false
        }
        return reservations.swapping.contains(index) || backends[index].mustSwap(for: served)
    }

    /// Seconds for which a model that computes nothing keeps its place all the same: its clients think for a moment between two turns, and it
    /// would have to be loaded again for them. Never longer than that load takes, and not for a client that has used it itself: that one
    /// goes from one model to the other.
    func rest(_ position: Int, _ served: Int, for request: PendingRequest, in list: CandidateList, at now: Double) -> Double {
        let index = list.candidates[position].index
        guard backends[index].memory.isTold, backends[index].memory.isCapacityKnown, request.mayHold,
            request.history.attempts == 0,
            let leaving = backends[index].displaced(by: served), leaving.client != request.client,
            !backends[index].isBusy(with: leaving.served), !hasPatienceEnded(for: request, position, in: list, at: now)
        else { return 0 }
        let load = loadSeconds(index, leaving.served, usual: usualLoadSeconds(among: list))
        return max(0, leaving.usedAt + min(load, 2 * habits.pause.value) - now)
    }

    /// Those whose model is in some server's memory come before those whose model has to be loaded, until the others have had their time.
    func swapTurn(of request: PendingRequest, among list: CandidateList, at now: Double) -> SwapTurn {
        var turn = SwapTurn.needsLoad
        for position in list.candidates.indices {
            if residency(position, in: list) < .unloaded { return .loaded }
            if hasPatienceEnded(for: request, position, in: list, at: now) { turn = .overdue }
        }
        return turn
    }

    /// The models in the server's memory have had their time, since the last one was loaded or since the request came.
    func hasPatienceEnded(for request: PendingRequest, _ position: Int, in list: CandidateList, at now: Double) -> Bool {
        let index = list.candidates[position].index
        let since = max(request.arrivedAt.seconds, backends[index].memory.loadedAt)
        let seconds = loadSeconds(index, list.candidates[position].served[0], usual: usualLoadSeconds(among: list))
        // Those for whom nobody waits let the others have as much more time as in the line (`PriceWeights.classDistance`).
        let longer = PriceWeights.classDistance / PriceWeights.ageing * fleet.policy.conversationTime
        return now - since > PriceWeights.swapPatience * seconds + (request.priority == .bulk ? longer : 0)
    }

    /// Seconds that it costs to load the model again that has to leave for this one, as far as it is likely to be needed soon.
    func displacement(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Double {
        // Nearly always false, and asked here because the call below copies the server's state.
        guard backends[index].memory.isTold, let leaving = backends[index].displaced(by: served) else { return 0 }
        let isUsed = backends[index].isBusy(with: leaving.served)
        let age = isUsed ? 0 : max(0, basis.now - leaving.usedAt)
        return loadSeconds(index, leaving.served, usual: basis.usualLoad)
            * Exponential.decay(age / (fleet.policy.conversationTime * PriceWeights.lifetime))
    }
}
