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
        /// Nil when the rule has no prices, or the server was not priced.
        package var price: Price?
    }

    /// What became of a granted request.
    package struct Result: Sendable, Equatable {
        /// From the decision to the first token, in milliseconds; nil for answers that are no streams.
        package var predictedMilliseconds: Double?
        package var actualMilliseconds: Double?
        /// Tokens of the prompt that should have been found in the cache, and those that were; nil when the engine does not tell.
        package var predictedCachedTokens: Int?
        package var cachedTokens: Int?
    }

    package var ticket: Ticket
    package var traits: RequestTraits
    package var at: Moment
    package var priority: PriorityClass
    package var verdict: Verdict
    /// Nil when no server was considered.
    var explanation: Explanation?
    /// Nil until something is known.
    package var result: Result?

    /// Converted to text on demand.
    package var candidates: [Candidate] { explanation?.candidates ?? [] }
}

/// The last decisions, in a ring.
struct DecisionLog: Sendable {
    private var ring: [DecisionRecord] = []
    private var next = 0

    /// Where a decision stands, as long as it is kept.
    struct Place: Sendable {
        fileprivate var index: Int
    }

    @discardableResult
    mutating func record(_ decision: consuming DecisionRecord, limit: Int) -> Place {
        guard limit > 0 else { return Place(index: -1) }
        if ring.count < limit {
            ring.append(decision)
            return Place(index: ring.count - 1)
        }
        if next >= ring.count { next = 0 }
        ring[next] = decision
        next += 1
        return Place(index: next - 1)
    }

    /// Adds what became of a request, if its decision is still there.
    mutating func change(_ place: Place, of ticket: Ticket, _ body: (inout DecisionRecord.Result) -> Void) {
        guard ring.indices.contains(place.index), ring[place.index].ticket == ticket else { return }
        var result = ring[place.index].result ?? DecisionRecord.Result()
        body(&result)
        ring[place.index].result = result
    }

    /// All decisions about that request, oldest first.
    func decisions(requestID: String) -> [DecisionRecord] {
        ring.filter { $0.traits.requestID == requestID }.sorted { $0.at < $1.at }
    }
}

extension Router {
    /// All kept decisions about the request with that `X-Request-Id`, oldest first.
    package func decisions(requestID: String) -> [DecisionRecord] { decisions.decisions(requestID: requestID) }

    @discardableResult
    mutating func note(
        _ verdict: DecisionRecord.Verdict, on request: borrowing PendingRequest, _ explanation: consuming Explanation?,
        at now: Moment
    ) -> DecisionLog.Place {
        let record = DecisionRecord(
            ticket: request.ticket, traits: request.traits, at: now, priority: request.priority, verdict: verdict,
            explanation: explanation)
        return decisions.record(record, limit: fleet.policy.keptDecisions)
    }
}
