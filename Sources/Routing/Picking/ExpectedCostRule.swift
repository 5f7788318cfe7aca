// The default rule: the server where the answer is expected to be done soonest, all things considered (docs/routing.md). If that is a
// busy one, the request waits for it, although another one is free.

/// Slots that requests ahead in the line wait for.
struct Reservations {
    /// For servers without a free slot: seconds until each of their slots is free, in ascending order.
    private var ends: [Int: [Double]] = [:]

    mutating func nextEnd(_ index: Int, _ known: () -> [Double]) -> Double? {
        if let ends = ends[index] { return ends.first }
        let found = known().sorted()
        ends[index] = found
        return found.first
    }

    /// A request takes the next slot of the server for that many seconds.
    mutating func take(_ index: Int, seconds: Double) {
        guard var taken = ends[index], let first = taken.first else { return }
        taken.removeFirst()
        let end = first + seconds
        taken.insert(end, at: taken.firstIndex { $0 > end } ?? taken.count)
        ends[index] = taken
    }
}

/// A candidate with its price.
struct Offer: Sendable {
    var position: Int
    var instance: Int?
    var price: Price
    /// All slots are taken.
    var isBusy: Bool
    /// Seconds for which the request would use a slot.
    var duration: Double
}

extension Router {
    /// Prices that differ by less than this part are equal.
    private static let nearTie = 0.02

    /// Whether requests of this list are priced, and may wait for a busy server while another one is free.
    func isPriced(_ list: CandidateList, _ traits: RequestTraits) -> Bool { list.rule == .expectedCost && traits.counts }

    /// The candidate of a group with the best price; nil when none is usable.
    func cheapest(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment,
        _ reservations: inout Reservations, offers: inout [Offer]
    ) -> Offer? {
        let basis = basis(of: request, among: list, at: now)
        let home = home(of: request, in: list, at: now)
        var best: Offer?
        var bestTotal = 0.0
        for position in group {
            let index = list.candidates[position].index
            let reason = ineligibility(of: index, for: request, at: now)
            guard reason == nil || reason == .full && request.history.attempts == 0,
                let offer = offer(position, list, request, basis, isBusy: reason != nil, &reservations)
            else { continue }
            if offers.count < Explanation.explainedServers { offers.append(offer) }
            let total = offer.price.total
            let isHome = position == home
            let margin = Self.nearTie * min(total, bestTotal) + 1e-6
            if best == nil || total < bestTotal - margin || isHome && total <= bestTotal + margin {
                (best, bestTotal) = (offer, total)
            }
        }
        return best
    }

    /// The position of the server that holds the client's session.
    private func home(of request: PendingRequest, in list: CandidateList, at now: Moment) -> Int? {
        guard let model = list.model,
            let session = sessions.handle(
                of: .init(client: request.traits.client, model: model), ttl: fleet.policy.stickyTTL, at: now)
        else { return nil }
        let place = sessions.place(in: session)
        guard let index = indexOfBackend[place.backend] else { return nil }
        return list.candidates.firstIndex { $0.index == index }
    }

    /// The best instance of a candidate.
    private func offer(
        _ position: Int, _ list: CandidateList, _ request: PendingRequest, _ basis: PriceBasis, isBusy: Bool,
        _ reservations: inout Reservations
    ) -> Offer? {
        let candidate = list.candidates[position]
        let index = candidate.index
        var wait: Double?
        if isBusy {
            let pause = backends[index].throttle.until.seconds - basis.now
            let end = reservations.nextEnd(index) { releases(index, basis) }
            guard let next = pause > 0 ? max(pause, end ?? 0) : end else { return nil }
            // A request that has waited for long no longer trusts the prediction.
            let waited = request.waitingSince.map { basis.now - $0.seconds } ?? 0
            wait = next + PriceWeights.ageing * waited
        }
        var best: Offer?
        for (number, served) in candidate.served.enumerated() {
            var (price, match) = price(index, served, basis, wait: wait)
            price.load = loadTime(candidate, number)
            price.failures = backends[index].circuits.penalty(of: request.traits.model)
            // All seats of this instance are taken, although the server has room.
            if !isBusy, backends[index].served[served].cache.hasSeats, match.seat == nil { price.wait += price.decode }
            guard best.map({ price.total < $0.price.total }) ?? true else { continue }
            let streams = Double(backends[index].limit ?? backends[index].jobs.count + 1)
            let tokenTime = tokenTime(index, served, basis) * (1 + EngineFigures.slowdownPerStream * max(0, streams - 1))
            best = Offer(
                position: position, instance: candidate.instances.isEmpty ? nil : number, price: price, isBusy: isBusy,
                duration: price.own + basis.outlook.answerTokens * tokenTime)
        }
        return best
    }

    /// Seconds until the model is in memory.
    private func loadTime(_ candidate: CandidateList.Candidate, _ instance: Int) -> Double {
        switch candidate.residency {
        case .loaded: 0
        case .loading: backends[candidate.index].loadSeconds / 2
        case .unloaded: backends[candidate.index].loadSeconds
        }
    }

    /// For each request that runs there, the seconds until its end.
    private func releases(_ index: Int, _ basis: PriceBasis) -> [Double] {
        let jobs = backends[index].jobs
        let ahead = jobs.reduce(0) { $0 + $1.prefillLeft(at: basis.now) }
        let slowdown = 1 + EngineFigures.slowdownPerStream * Double(max(0, jobs.count - 1))
        return jobs.map { job in
            let tokenTime = tokenTime(index, job.served, basis) * slowdown
            let left = job.answerLeft(at: basis.now, tokenTime: tokenTime) * tokenTime
            return (job.isPrefilling(at: basis.now) ? ahead : ahead / 2) + left
        }
    }
}

extension Router {
    /// The request runs where it is cheapest, or waits for that server.
    func placement(
        _ best: Offer, _ offers: [Offer], of request: PendingRequest, _ list: CandidateList, _ now: Moment
    ) -> Placement {
        let choice = Choice(
            position: best.position, instance: best.instance, reason: .cheapest, session: home(of: request, best, list, now),
            capacity: backends[list.candidates[best.position].index].sessionsPerInstance(
                of: list.candidates[best.position].instances.count))
        var explanation = Explanation(list: list, choice: best.isBusy ? nil : choice)
        explanation.findings = list.candidates.prefix(Explanation.explainedServers).enumerated().map { position, candidate in
            let offer = offers.first { $0.position == position }
            let code: Finding.Code =
                if position == best.position {
                    best.isBusy ? .held : .chosen(.cheapest)
                } else if let reason = ineligibility(of: candidate.index, for: request, at: now), offer == nil {
                    .ineligible(reason)
                } else {
                    offer == nil ? .laterInOrder : .dearer
                }
            var finding = finding(code, candidate.index)
            finding.price = offer?.price
            return finding
        }
        guard best.isBusy else { return .run(choice, explanation) }
        return .hold(best, until: now.adding(seconds: best.price.wait), explanation)
    }

    /// The client's session, if it is where the request goes.
    private func home(of request: PendingRequest, _ best: Offer, _ list: CandidateList, _ now: Moment) -> SessionTable.Handle? {
        guard let model = list.model,
            let session = sessions.handle(
                of: .init(client: request.traits.client, model: model), ttl: fleet.policy.stickyTTL, at: now)
        else { return nil }
        let place = sessions.place(in: session)
        let candidate = list.candidates[best.position]
        let isHere =
            place.backend == backends[candidate.index].id && best.instance.map { candidate.instances[$0] } == place.instance
        return isHere ? session : nil
    }
}
