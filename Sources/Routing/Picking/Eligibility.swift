/// May this backend take this request? If not, the first reason.
package enum Ineligibility: String, Sendable, Equatable {
    case failedThisRequest = "failed this request before"
    case down
    case draining
    case full
}

extension Router {
    /// Nil when the backend may take the request now.
    func ineligibility(of backend: Backend, counts: Bool, history: AttemptHistory) -> Ineligibility? {
        if history.failed.contains(backend.id) { return .failedThisRequest }
        if backend.isDraining || backend.isRemoved { return .draining }
        if backend.health.isDown { return .down }
        if counts, backend.isFull { return .full }
        return nil
    }
}
