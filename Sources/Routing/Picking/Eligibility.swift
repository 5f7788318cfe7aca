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
    func ineligibility(
        of backend: Backend, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> Ineligibility? {
        if history.failed.contains(backend.id) { return .failedThisRequest }
        if backend.isDraining || backend.isRemoved { return .draining }
        if backend.health.isDown { return .down }
        if !backend.circuits[traits.model].admits(at: now) { return .failing }
        if traits.counts, backend.isFull { return .full }
        return nil
    }
}
