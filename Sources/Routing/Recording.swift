/// All events of a router since its creation. Replaying them gives the same effects.
///
/// Contains names and addresses of clients and names of models, but no prompts or answers.
package struct Recording: Sendable, Codable {
    package struct Step: Sendable, Codable {
        package var at: Moment
        package var event: Event
    }

    package private(set) var steps: [Step] = []
    /// The most boundaries of prompts that are kept: 64 MB. A client decides how many a prompt has.
    package static let mostLinks = 4_000_000

    /// False when a limit was reached and later events are missing. The recorded events can still be replayed.
    package private(set) var isComplete = true
    private let limit: Int
    private var links = 0

    /// - Parameter limit: the most events to keep. Later events are not recorded.
    package init(limit: Int) { self.limit = limit }

    /// Must be called for every event that the router handles, in the same order.
    package mutating func record(_ event: Event, at now: Moment) {
        if case .requestArrived(_, let traits) = event { links += traits.prompt?.links.count ?? 0 }
        // No event after one that is missing: what is kept is a beginning.
        guard isComplete, steps.count < limit, links <= Self.mostLinks else {
            isComplete = false
            return
        }
        steps.append(Step(at: now, event: event))
    }

    /// Replays the events on a new router.
    ///
    /// - Parameter body: receives the effects of each step.
    /// - Returns: the router at the end.
    @discardableResult
    package func replay(_ body: (Step, [Effect]) -> Void = { _, _ in }) -> Router {
        var router = Router()
        for step in steps { body(step, router.handle(step.event, at: step.at)) }
        return router
    }
}
