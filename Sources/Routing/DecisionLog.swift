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
    package var candidates: [Candidate]
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

    func explain(
        _ route: ModelRoute, _ choice: Choice, for traits: RequestTraits, history: AttemptHistory, at now: Moment
    ) -> [DecisionRecord.Candidate] {
        route.candidates.map { candidate in
            let backend = backends[candidate.index]
            let isChosen = candidate.index == choice.index
            let reason =
                isChosen
                ? choice.reason.rawValue
                : ineligibility(of: backend, for: traits, history: history, at: now)?.rawValue ?? "later in order, or busier"
            return .init(
                server: backend.server.name, instance: isChosen ? choice.instance : candidate.instances.first,
                isChosen: isChosen, reason: reason)
        }
    }
}
