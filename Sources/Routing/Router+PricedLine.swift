// Waiting requests whose servers are priced. Each may wait for another server, so one that keeps waiting does not hold up those behind it.

extension Router {
    /// The most waiting requests of a lane that are looked at for each event.
    private static let claimsPerLane = 32
    /// Not sooner than this, a request that waits for a busy server is priced again without an event.
    private static let shortestHold = Interval.milliseconds(50)

    private struct Claim {
        let ticket: Ticket
        let list: CandidateList
        let turn: SwapTurn
        /// In seconds; smaller is served first.
        var urgency: Double
        let sequence: Int
    }

    /// Others wait already: the request is served in its turn, which may be at once.
    mutating func joinLine(_ request: consuming PendingRequest, _ now: Moment, _ effects: inout [Effect]) {
        let ticket = request.ticket
        let deadline = now + fleet.policy.maxWait
        var urgency: Double?
        if let list = candidates(for: request.traits) { urgency = self.urgency(of: request, among: list, at: now) }
        line.add(request, deadline: deadline, urgency: urgency)
        serveWaiting(now, &effects)
        guard let entry = line[ticket] else { return }
        if let refusal = refusal(of: entry.request, among: candidates(for: entry.request.traits), at: now) {
            _ = line.remove(ticket)
            return refuse(entry.request, refusal, nil, now, &effects)
        }
        if entry.request.waitingSince == nil {
            let explanation = candidates(for: entry.request.traits).map {
                Explanation(list: $0, choice: nil, findings: findings($0, entry.request, now))
            }
            note(.waits, on: entry.request, explanation, at: now)
            line.waits(ticket, since: now)
        }
        wake(at: min(deadline, nextChance(after: now) ?? deadline), &effects)
    }

    /// A request holds for a busy server: it is priced again when that should be free, even if nothing else happens until then.
    mutating func wakeForHold(_ until: Moment, _ now: Moment, _ effects: inout [Effect]) {
        wake(at: max(until, now + Self.shortestHold), &effects)
    }

    /// Grants free places to the requests of these lanes.
    mutating func servePriced(_ lanes: [WaitingLine.Lane], _ now: Moment, _ effects: inout [Effect]) {
        var claims = claims(of: lanes, at: now)
        var wasGranted = true
        while wasGranted, !claims.isEmpty {
            wasGranted = false
            var reservations = Reservations()
            for (number, claim) in claims.enumerated() {
                guard let entry = line[claim.ticket] else { continue }
                let placement = placement(of: entry.request, among: claim.list, at: now, reservations)
                noteMissed(entry.request, placement, at: now)
                switch placement {
                case .run(let choice, let explanation):
                    _ = line.serve(claim.ticket)
                    grant(entry.request, choice, explanation, now, &effects)
                    wasGranted = true
                case .hold(let offer, let until, let explanation):
                    line.predict(claim.ticket, seconds: offer.price.firstToken, at: now)
                    if entry.request.waitingSince == nil {
                        note(.waits, on: entry.request, explanation, at: now)
                        line.waits(claim.ticket, since: now)
                    }
                    let index = claim.list.candidates[offer.position].index
                    if offer.swaps, hasPatienceEnded(for: entry.request, offer.position, in: claim.list, at: now.seconds) {
                        reservations.willSwap(index)
                    }
                    let served = claim.list.served(at: offer.position, offer.instance)
                    let releases = releases(index, served, basis(of: entry.request, among: claim.list, at: now))
                    reservations.take(slots(index, served), seconds: offer.duration, known: releases)
                    wakeForHold(until, now, &effects)
                case .wait: break
                case .nobody(let lastResort, let explanation):
                    _ = line.serve(claim.ticket)
                    resort(to: lastResort, entry.request, explanation, now, &effects)
                    wasGranted = true
                }
                if wasGranted {
                    claims.remove(at: number)
                    break
                }
            }
        }
    }

    /// The first requests of the lanes, the most urgent first: a short prompt before a long one, and a client that has had little
    /// before one that has had much, a higher class before a lower one. Who waits becomes more urgent.
    private mutating func claims(of lanes: [WaitingLine.Lane], at now: Moment) -> [Claim] {
        var claims: [Claim] = []
        var served: [Double] = []
        for lane in lanes {
            for ticket in line.first(Self.claimsPerLane, of: lane) {
                guard let entry = line[ticket], let list = candidates(for: entry.request.traits),
                    hasFreePlace(list, entry.request, now)
                else { continue }
                guard let urgency = urgency(of: entry.request, among: list, at: now) else { continue }
                let turn = swapTurn(of: entry.request, among: list, at: now.seconds)
                claims.append(Claim(ticket: ticket, list: list, turn: turn, urgency: urgency, sequence: entry.turn.sequence))
                served.append(habits.service(of: entry.request.account, at: now.seconds))
            }
        }
        guard let least = served.min() else { return [] }
        let speed = fastestPrefill
        let most = PriceWeights.mostDebt * fleet.policy.conversationTime
        for index in claims.indices {
            claims[index].urgency += min(most, PriceWeights.fairness * (served[index] - least) / speed)
            line.setUrgency(claims[index].urgency, of: claims[index].ticket)
        }
        return claims.sorted { ($0.turn.rawValue, $0.urgency, $0.sequence) < ($1.turn.rawValue, $1.urgency, $1.sequence) }
    }

    /// In what order requests are served, apart from what their clients have had: smaller is first. Nil when their servers are not priced.
    ///
    /// A request becomes more urgent with each second that it waits. All of them do so alike, so it is its arrival that counts: the
    /// order of two requests stays the same unless their prompts' prices change.
    mutating func urgency(of request: PendingRequest, among list: CandidateList, at now: Moment) -> Double? {
        guard isPriced(list, request.traits) else { return nil }
        let distance = Double(request.priority.rank) * PriceWeights.classDistance * fleet.policy.conversationTime
        return leastPrefill(of: request, among: list, at: now) + distance + PriceWeights.ageing * request.arrivedAt.seconds
    }

    private func hasFreePlace(_ list: CandidateList, _ request: PendingRequest, _ now: Moment) -> Bool {
        var hasHope = false
        for position in list.candidates.indices {
            switch ineligibility(at: position, in: list, for: request, at: now) {
            case nil: return true
            case .full, .draining: hasHope = true
            case .failing, .down, .failedThisRequest: break
            }
        }
        // Nothing is left to wait for.
        return !hasHope
    }

    /// Seconds of the prompt where the fewest remain to be computed.
    private mutating func leastPrefill(of request: PendingRequest, among list: CandidateList, at now: Moment) -> Double {
        let basis = basis(of: request, among: list, at: now)
        if let prompt = request.traits.prompt { sequences.look(at: prompt, of: request.ticket) }
        var least = Double.infinity
        for position in list.candidates.indices where leastPrefill(position, list, basis) < least {
            for served in list.candidates[position].served {
                let work = work(list.candidates[position].index, served, basis)
                least = min(least, work.newTokens / work.speed)
            }
        }
        return least
    }

    private var fastestPrefill: Double {
        let known = backends.flatMap { $0.served.compactMap(\.figures.prefillSpeed) }
        return known.max() ?? PriceWeights.prefillSpeed
    }
}
