/// Why a backend may not take a request. When several reasons apply, the first one in the order of the checks is used.
enum Ineligibility: Sendable, Equatable {
    case failedThisRequest
    case down
    case draining
    /// The backend failed several requests in a row and gets no requests during a pause.
    case failing
    case full
}

extension Router {
    /// Nil when the candidate at that position may take the request now.
    func ineligibility(
        at position: Int, in list: CandidateList, for request: PendingRequest, at now: Moment
    ) -> Ineligibility? {
        // By index: a copy of a candidate counts references.
        let index = list.candidates[position].index
        if let reason = ineligibility(of: index, for: request, at: now) { return reason }
        guard backends[index].hasSlotsPerModel, request.traits.counts else { return nil }
        let hasFreeInstance = list.candidates[position].served.contains { !backends[index].isFull(of: $0) }
        return hasFreeInstance ? nil : .full
    }

    /// Nil when the backend may take the request now, whichever model it is for.
    ///
    /// Takes an index, like the functions below: copying a whole backend costs more than the check itself.
    private func ineligibility(of index: Int, for request: PendingRequest, at now: Moment) -> Ineligibility? {
        if request.history.attempts > 0, request.history.hasFailed(on: backends[index].server.id) {
            return .failedThisRequest
        }
        // Nobody else has what the request follows, so a draining server still takes it.
        if backends[index].isRemoved || backends[index].isDraining && !isOwner(index, request.traits) { return .draining }
        if backends[index].health.isDown { return .down }
        if !backends[index].circuits.admits(request.traits.model, at: now) { return .failing }
        if request.traits.counts, backends[index].isFull(at: now) { return .full }
        return nil
    }

    private func isOwner(_ index: Int, _ traits: RequestTraits) -> Bool {
        traits.follows != nil && owner(for: traits) == backends[index].id
    }
}
