/// Why a request went where it went.
package struct DecisionRecord: Sendable {
    package enum Verdict: Sendable {
        case granted(attempt: Int)
        case refused(Refusal)
    }

    /// One server that was considered.
    package struct Candidate: Sendable {
        package var server: String
        package var instance: String?
        package var isChosen: Bool
        /// Why it was chosen, or why not.
        package var reason: String
    }

    package var ticket: Ticket
    package var traits: RequestTraits
    package var at: Moment
    package var verdict: Verdict
    /// What was considered and chosen; nil when nothing was.
    var pick: (route: ModelRoute, choice: Choice)?
    /// Why each of the route's first servers could not take it, at that moment; the choice may not have looked at them.
    var ineligibilities: [Ineligibility?] = []

    /// Put into words only when somebody asks.
    package var candidates: [Candidate] {
        guard let pick else { return [] }
        return pick.route.candidates.enumerated().map { position, candidate in
            let isChosen = candidate.index == pick.choice.index
            return Candidate(
                server: candidate.server, instance: isChosen ? pick.choice.instance : candidate.instances.first,
                isChosen: isChosen, reason: isChosen ? pick.choice.reason.rawValue : reasonAgainst(position, pick.choice))
        }
    }

    private func reasonAgainst(_ position: Int, _ choice: Choice) -> String {
        guard position < ineligibilities.count else { return "not looked at" }
        if let ineligibility = ineligibilities[position] { return ineligibility.rawValue }
        return choice.reason == .sticky ? "does not hold this client's session" : "busier, holds more sessions, or later in order"
    }
}

/// The last decisions, in a ring.
struct DecisionLog: Sendable {
    private var ring: [DecisionRecord] = []
    private var next = 0

    mutating func record(_ decision: DecisionRecord, limit: Int) {
        guard limit > 0 else { return }
        if ring.count < limit {
            ring.append(decision)
        } else {
            if next >= ring.count { next = 0 }
            ring[next] = decision
            next += 1
        }
    }

    /// All decisions about that request, oldest first.
    func decisions(requestID: String) -> [DecisionRecord] {
        ring.filter { $0.traits.requestID == requestID }.sorted { $0.at < $1.at }
    }
}

extension Router {
    /// All kept decisions about the request with that `X-Request-Id`, oldest first.
    package func decisions(requestID: String) -> [DecisionRecord] { decisions.decisions(requestID: requestID) }

    /// So many servers are explained in full: with hundreds of them, the explanation would cost more than the decision.
    private static let explainedServers = 16

    /// Why each server of the route cannot take the request; empty when there is no other one.
    func ineligibilities(
        _ route: ModelRoute, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> [Ineligibility?] {
        guard route.candidates.count > 1 else { return [] }
        return route.candidates.prefix(Self.explainedServers).map {
            ineligibility(of: $0.index, for: traits, history: history, at: now)
        }
    }
}
