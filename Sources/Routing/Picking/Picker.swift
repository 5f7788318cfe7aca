// ★ START HERE to change how a backend is picked.
//
// A pick is: the route's candidates in order → those that are eligible now → the rule's choice among them.
// A new rule is a file beside `StickyRule.swift` and a case in `PickingRule`.

/// How the choice among eligible backends is made.
package enum PickingRule: String, Sendable, CaseIterable {
    /// The original's: the client's own server first, then configured order, idle instances preferred.
    case sticky
}

/// What a pick came to.
enum Pick: Sendable {
    case run(Choice)
    /// Somebody could take it, but not now.
    case wait
    /// Nobody is up. `lastResort` is the first candidate in order that has room and has not failed this request.
    case nobody(lastResort: ModelRoute.Candidate?)
}

/// A backend and the name to ask it for.
struct Choice: Sendable {
    var index: Int
    var instance: String?
    var reason: Reason
    /// The client's session there, if that is why.
    var session: SessionTable.Handle?
    /// How many sessions the instance can hold.
    var capacity = 1

    enum Reason: String, Sendable {
        case sticky = "holds this client's session"
        case idleInstance = "idle, and the instance is free"
        case idleServer = "idle, all instances in use"
        case busyInstance = "the machine is busy, and the instance is free"
        case busyServer = "the machine is busy, all instances in use"
        case onlyServer = "named by the request"
        case lastResort = "nobody is up; tried once all the same"
    }
}

extension Router {
    /// Chooses a backend for the request. Changes nothing.
    func pick(_ route: ModelRoute, for traits: RequestTraits, history: AttemptHistory, at now: Moment) -> Pick {
        if case .server = traits.destination, let only = route.candidates.first, history.attempts == 0 {
            return .run(Choice(index: only.index, instance: nil, reason: .onlyServer))
        }
        switch rule {
        case .sticky:
            if let choice = stickyChoice(route, for: traits, history: history, at: now) { return .run(choice) }
        }
        var someoneIsUp = false
        var lastResort: ModelRoute.Candidate?
        for candidate in route.candidates {
            switch ineligibility(of: candidate.index, for: traits, history: history, at: now) {
            case nil: preconditionFailure("\(candidate.server) may take the request, but no choice was made")
            case .full, .draining: someoneIsUp = true
            // A trial's end is near; a pause may be long, and is told.
            case .failing: someoneIsUp = someoneIsUp || backends[candidate.index].circuits[traits.model].isTrying
            case .down:
                let hasRoom = !traits.counts || !backends[candidate.index].isFull
                if lastResort == nil, hasRoom { lastResort = candidate }
            case .failedThisRequest: break
            }
        }
        return someoneIsUp ? .wait : .nobody(lastResort: lastResort)
    }
}
