// ★ START HERE to change how a backend is picked.
//
// A placement takes the candidates in order, keeps those that are eligible now, and lets the rule choose one of them.
// To add a rule, add a file beside `StickyRule.swift`, a case in `PickingRule` and a case in `placement(of:)`. No
// configuration key selects a rule yet.

/// How one of the eligible backends is chosen. A rule must choose one whenever a backend is eligible.
package enum PickingRule: String, Sendable, CaseIterable, Codable {
    /// The client's own server first, then idle servers; among idle servers, the one that holds the fewest sessions.
    case sticky
    /// The server with the fewest requests in flight. Clients have no server of their own.
    case leastInFlight = "least-in-flight"
}

/// Where a request may run now, and why.
enum Placement: Sendable {
    case run(Choice, Explanation)
    /// A server could take the request, but not now.
    case wait(Explanation)
    /// No server is up. `lastResort` is the first candidate in order that has room and has not failed this request.
    case nobody(lastResort: Choice?, Explanation)
}

/// A candidate of a list and one of its instances. It stores indices, not names, because a choice is copied more often than
/// it is read.
struct Choice: Sendable {
    /// Index of the candidate.
    var position: Int
    /// Index of the candidate's instance; nil when the request names no model.
    var instance: Int?
    var reason: Reason
    /// The client's session on this server, if the session is the reason.
    var session: SessionTable.Handle?
    /// How many sessions the instance can hold.
    var capacity = 1

    enum Reason: Sendable {
        /// The server holds the client's session.
        case sticky
        case idleInstance
        case idleServer
        case busyInstance
        case busyServer
        case fewestInFlight
        /// The request names the server.
        case onlyServer
        /// No server is up; this one is tried once anyway.
        case lastResort
    }
}

extension Router {
    /// Chooses a backend for the request. Does not change the router's state.
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

    /// No candidate is eligible: decides whether the request should wait.
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
            // A trial ends soon, so waiting is worthwhile. A pause may be long, so the client is told when it ends.
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
