/// May this backend take this request? If not, the first reason.
package enum Ineligibility: String, Sendable, Equatable {
    case failedThisRequest = "failed this request before"
    case down
    case draining
    case failing = "failed several requests in a row, and is left alone for a while"
    case full
}

extension Router {
    /// Nil when the backend may take the request now.
    ///
    /// By its index, here and in what follows: a copy of a whole backend costs more than the look at it.
    func ineligibility(
        of index: Int, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> Ineligibility? {
        if !history.failed.isEmpty, history.failed.contains(backends[index].server.id) { return .failedThisRequest }
        if backends[index].isDraining || backends[index].isRemoved { return .draining }
        if backends[index].health.isDown { return .down }
        if !backends[index].circuits.admits(traits.model, at: now) { return .failing }
        if traits.counts, backends[index].isFull { return .full }
        return nil
    }
}
