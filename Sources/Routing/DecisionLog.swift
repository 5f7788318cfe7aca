/// A decision about a request, and the reason for it.
package struct DecisionRecord: Sendable {
    package enum Verdict: Sendable {
        case granted(attempt: Int)
        case waits
        case refused(Refusal)
    }

    /// A server that was considered for the request.
    package struct Candidate: Sendable {
        package var server: String
        package var instance: String?
        package var isChosen: Bool
        /// Why the server was chosen, or why it was not.
        package var reason: String
        // The server's state at that time; nil where it was not examined.
        package var inFlight: Int?
        package var limit: Int?
        /// Sessions on the server, over all models.
        package var sessions: Int?
    }

    package var ticket: Ticket
    package var traits: RequestTraits
    package var at: Moment
    package var verdict: Verdict
    /// Nil when no server was considered.
    var explanation: Explanation?

    /// Converted to text on demand.
    package var candidates: [Candidate] { explanation?.candidates ?? [] }
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

    mutating func note(_ verdict: DecisionRecord.Verdict, on request: PendingRequest, _ explanation: Explanation?, at now: Moment)
    {
        let record = DecisionRecord(
            ticket: request.ticket, traits: request.traits, at: now, verdict: verdict, explanation: explanation)
        decisions.record(record, limit: fleet.policy.keptDecisions)
    }
}
