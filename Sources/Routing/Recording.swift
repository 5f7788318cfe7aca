/// All events of a router since a moment, best since its creation. Replayed, they give the same effects.
///
/// Holds names and addresses of clients and names of models, but nothing of prompts and answers.
package struct Recording: Sendable, Codable {
    package struct Step: Sendable, Codable {
        package var at: Moment
        package var event: Event
    }

    package private(set) var steps: [Step] = []
    /// False when the limit was reached: what came later is not in it. What is in it can be replayed all the same.
    package private(set) var isComplete = true
    private let limit: Int

    /// - Parameter limit: at most this many events are kept, the first ones.
    package init(limit: Int) { self.limit = limit }

    /// To be called for every event that the router handles, in the same order.
    package mutating func record(_ event: Event, at now: Moment) {
        guard steps.count < limit else {
            isComplete = false
            return
        }
        steps.append(Step(at: now, event: event))
    }

    /// Gives a router the same events.
    ///
    /// - Parameters:
    ///   - start: the router as it was when the recording began.
    ///   - body: gets the effects of each step.
    /// - Returns: the router as it is at the end.
    @discardableResult
    package func replay(from start: Router = Router(), _ body: (Step, [Effect]) -> Void = { _, _ in }) -> Router {
        var router = start
        for step in steps { body(step, router.handle(step.event, at: step.at)) }
        return router
    }
}
