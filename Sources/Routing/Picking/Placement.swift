// ★ START HERE to change how a backend is picked.
//
// A placement is: the candidates in order → those that are eligible now → the rule's choice among them.
// A new rule is a file beside `StickyRule.swift`, a case in `PickingRule` and one in `placement(of:)`. No key chooses one so far.

/// How the choice among eligible backends is made. A rule chooses whenever somebody is eligible.
package enum PickingRule: String, Sendable, CaseIterable, Codable {
    /// The client's own server first; then idle servers, and of these the one that holds the fewest sessions.
    case sticky
    /// The server with the fewest requests in flight; no client has one of its own.
    case leastInFlight = "least-in-flight"
}

/// Where a request may run now, and why.
enum Placement: Sendable {
    case run(Choice, Explanation)
    /// Somebody could take it, but not now.
    case wait(Explanation)
    /// Nobody is up. `lastResort` is the first candidate in order that has room and has not failed this request.
    case nobody(lastResort: Choice?, Explanation)
}

/// One of a list's candidates, and one of its instances. Places in the list, not names: a choice is copied more often than it is read.
struct Choice: Sendable {
    /// Which candidate.
    var position: Int
    /// Which of its instances; nil when no model is named.
    var instance: Int?
    var reason: Reason
    /// The client's session there, if that is why.
    var session: SessionTable.Handle?
    /// How many sessions the instance can hold.
    var capacity = 1

    enum Reason: Sendable {
        /// It holds the client's session.
        case sticky
        case idleInstance
        case idleServer
        case busyInstance
        case busyServer
        case fewestInFlight
        /// The request names it.
        case onlyServer
        /// Nobody is up, and it is tried once all the same.
        case lastResort
    }
}

extension Router {
    /// Chooses a backend for the request. Changes nothing.
    ///
    /// Whether a request has to wait depends only on its `WaitingLine.Lane` and on the state of the servers.
    func placement(of request: PendingRequest, among list: CandidateList, at now: Moment) -> Placement {
        if case .server = request.traits.destination, !list.candidates.isEmpty, request.history.attempts == 0 {
            let choice = Choice(position: 0, reason: .onlyServer)
            return .run(choice, Explanation(list: list, choice: choice))
        }
        let choice =
            switch list.rule {
            case .sticky: stickyChoice(among: list, for: request, at: now)
            case .leastInFlight: leastInFlightChoice(among: list, for: request, at: now)
            }
        if let choice { return .run(choice, explanation(of: choice, among: list, for: request, at: now)) }
        return placementOfNobody(request, list, now)
    }

    /// No candidate is eligible: is it worth waiting for one?
    private func placementOfNobody(_ request: PendingRequest, _ list: CandidateList, _ now: Moment) -> Placement {
        var someoneIsUp = false
        var lastResort: Choice?
        var findings: [Finding] = []
        findings.reserveCapacity(min(list.candidates.count, Explanation.explainedServers))
        for (position, candidate) in list.candidates.enumerated() {
            let index = candidate.index
            guard let reason = ineligibility(of: index, for: request, at: now) else {
                preconditionFailure("\(candidate.server) may take the request, but no choice was made")
            }
            if findings.count < Explanation.explainedServers { findings.append(finding(.ineligible(reason), index)) }
            switch reason {
            case .full, .draining: someoneIsUp = true
            // A trial ends soon. A pause may be long, so the client is told when it ends.
            case .failing: someoneIsUp = someoneIsUp || backends[index].circuits[request.traits.model].isTrying
            case .down:
                let hasRoom = !request.traits.counts || !backends[index].isFull
                if lastResort == nil, hasRoom {
                    let capacity = backends[index].sessionsPerInstance(of: candidate.instances.count)
                    lastResort = Choice(
                        position: position, instance: candidate.instances.indices.first, reason: .lastResort,
                        capacity: capacity)
                }
            case .failedThisRequest: break
            }
        }
        let explanation = Explanation(list: list, choice: nil, findings: findings)
        return someoneIsUp ? .wait(explanation) : .nobody(lastResort: lastResort, explanation)
    }
}
