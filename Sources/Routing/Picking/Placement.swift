// ★ START HERE to change how a backend is picked.
//
// A placement takes the groups of candidates in order, keeps the candidates that are eligible now, and lets the rule choose
// one of them.
// To add a rule, add a file beside `StickyRule.swift`, a case in `PickingRule` and a case in `placement(of:)`. No
// configuration key selects a rule yet.

/// How one of the eligible backends is chosen. A rule must choose one whenever a backend is eligible.
package enum PickingRule: String, Sendable, CaseIterable, Codable {
    /// The client's own server first, then idle servers; among idle servers, the one that holds the fewest sessions.
    case sticky
    /// The server with the fewest requests in flight. Clients have no server of their own.
    case leastInFlight = "least-in-flight"
    /// The server where the answer is expected to be done soonest.
    case expectedCost = "expected-cost"
    /// One server after the other.
    case roundRobin = "round-robin"
    /// SGLang's rule: the server that got most of the prompt before.
    case cacheAware = "cache-aware"
    /// KubeAI's rule: consistent hashing of conversations, with bounded loads.
    case prefixHash = "prefix-hash"
}

/// Where a request may run now, and why.
enum Placement: Sendable {
    case run(Choice, Explanation)
    /// A busy server is worth waiting for, although another one may be free. `offer`: what it offers.
    case hold(Offer, until: Moment, Explanation)
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
    /// What the request has to compute there, if that is known already.
    var work: Work?

    enum Reason: Sendable {
        /// The server holds the client's session.
        case sticky
        case idleInstance
        case idleServer
        case busyInstance
        case busyServer
        case fewestInFlight
        /// The lowest price.
        case cheapest
        /// The others had their turn before (round-robin).
        case itsTurn
        /// Most of the prompt was sent there before (cache-aware).
        case hasPrefix
        /// The next one on the ring (prefix-hash).
        case nextOnRing
        /// The server that holds the client's session is computing for this client, and its limit is not known: another one
        /// computes fewer requests.
        case overflow
        /// The request is light; this is the first server that may take it.
        case firstInOrder
        /// The server is draining or failing, but the request is light and does not wait.
        case doesNotWait
        /// The request names the server.
        case onlyServer
        /// No server is up; this one is tried once anyway.
        case lastResort
    }
}

extension Router {
    /// Chooses a backend for the request. Changes only what is remembered of the last look at a prompt.
    ///
    /// Whether a request has to wait depends only on its `WaitingLine.Lane` and on the state of the servers.
    mutating func placement(of request: PendingRequest, among list: CandidateList, at now: Moment) -> Placement {
        placement(of: request, among: list, at: now, Reservations())
    }

    /// - Parameter reservations: the slots that requests ahead in the line wait for.
    mutating func placement(
        of request: PendingRequest, among list: CandidateList, at now: Moment, _ reservations: Reservations
    ) -> Placement {
        if case .server = request.traits.destination, !list.candidates.isEmpty, request.history.attempts == 0 {
            let choice = Choice(position: 0, reason: .onlyServer)
            return .run(choice, Explanation(list: list, choice: choice))
        }
        var number = 0
        while let group = list.group(number) {
            number += 1
            let choice: Choice?
            switch list.rule {
            case .sticky: choice = stickyChoice(among: list, group, for: request, at: now)
            case .leastInFlight: choice = leastInFlightChoice(among: list, group, for: request, at: now)
            case .roundRobin: choice = roundRobinChoice(among: list, group, for: request, at: now)
            case .cacheAware: choice = cacheAwareChoice(among: list, group, for: request, at: now)
            case .prefixHash: choice = prefixHashChoice(among: list, group, for: request, at: now)
            case .expectedCost where request.traits.counts:
                if let prompt = request.traits.prompt { sequences.look(at: prompt, of: request.ticket) }
                if let placement = cheapest(among: list, group, for: request, at: now, reservations) { return placement }
                choice = nil
            case .expectedCost: choice = lightChoice(among: list, group, for: request, at: now)
            }
            if let choice { return .run(choice, explanation(of: choice, among: list, for: request, at: now)) }
            // Worth waiting for, although a server of a later group may be free.
            if !list.groupEnds.isEmpty, isWorthWaiting(list, group, for: request, at: now) {
                return .wait(Explanation(list: list, choice: nil, findings: findings(list, request, now)))
            }
        }
        return placementOfNobody(request, list, now)
    }

    /// Whether a server of the group will soon take the request: it is full, or its trial is in progress.
    private func isWorthWaiting(
        _ list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment
    ) -> Bool {
        guard request.traits.counts else { return false }
        return group.contains { position in
            return switch ineligibility(at: position, in: list, for: request, at: now) {
            case .full: true
            case .failing: backends[list.candidates[position].index].circuits[request.traits.model].isTrying
            case nil, .failedThisRequest, .down, .draining: false
            }
        }
    }

    func findings(_ list: CandidateList, _ request: PendingRequest, _ now: Moment) -> [Finding] {
        list.candidates.indices.prefix(Explanation.explainedServers).map { position in
            let reason = ineligibility(at: position, in: list, for: request, at: now)
            return finding(reason.map { .ineligible($0) } ?? .laterInOrder, list.candidates[position].index)
        }
    }

    /// No candidate is eligible: decides whether the request should wait.
    private func placementOfNobody(_ request: PendingRequest, _ list: CandidateList, _ now: Moment) -> Placement {
        var someoneIsUp = false
        var lastResort: Choice?
        for (position, candidate) in list.candidates.enumerated() {
            let index = candidate.index
            guard let reason = ineligibility(at: position, in: list, for: request, at: now) else {
                preconditionFailure("\(candidate.server) may take the request, but no choice was made")
            }
            var choice = Choice(
                position: position, instance: candidate.instances.indices.first, reason: .lastResort,
                capacity: sessionsPerInstance(position, in: list))
            if !request.traits.counts, reason == .draining || reason == .failing {
                guard backends[index].health.isDown else {
                    choice.reason = .doesNotWait
                    return .run(choice, explanation(of: choice, among: list, for: request, at: now))
                }
                continue
            }
            switch reason {
            case .full, .draining: someoneIsUp = true
            // A trial ends soon, so waiting is worthwhile. A pause may be long, so the client is told when it ends.
            case .failing: someoneIsUp = someoneIsUp || backends[index].circuits[request.traits.model].isTrying
            case .down:
                let hasRoom = !request.traits.counts || !backends[index].isFull(at: now)
                if lastResort == nil, hasRoom { lastResort = choice }
            case .failedThisRequest: break
            }
        }
        let explanation = Explanation(list: list, choice: nil, findings: findings(list, request, now))
        return someoneIsUp ? .wait(explanation) : .nobody(lastResort: lastResort, explanation)
    }
}
