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
    /// Why the route's servers in front of the chosen one could not take it, at that moment. Those behind it do not matter.
    var ineligibilities: [Ineligibility?] = []

    /// Put into words only when somebody asks.
    package var candidates: [Candidate] {
        guard let pick else { return [] }
        return pick.route.candidates.enumerated().map { position, candidate in
            let isChosen = candidate.index == pick.choice.index
            let ineligibility = position < ineligibilities.count ? ineligibilities[position] : nil
            let isHeld = pick.choice.session != nil
            let otherReason =
                ineligibility?.rawValue ?? (isHeld ? "does not hold this client's session" : "later in order, or busier")
            return Candidate(
                server: candidate.server, instance: isChosen ? pick.choice.instance : candidate.instances.first,
                isChosen: isChosen, reason: isChosen ? pick.choice.reason.rawValue : otherReason)
        }
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

    /// Why the servers in front of the chosen one cannot take the request; none where the client's session decided.
    func ineligibilities(
        _ route: ModelRoute, _ choice: Choice, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> [Ineligibility?] {
        guard choice.session == nil, let first = route.candidates.first, first.index != choice.index else { return [] }
        return route.candidates.prefix { $0.index != choice.index }.map {
            ineligibility(of: $0.index, for: traits, history: history, at: now)
        }
    }
}
