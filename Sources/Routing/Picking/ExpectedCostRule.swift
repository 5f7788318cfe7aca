// The default rule: the server where the answer is expected to be done soonest, all things considered (docs/routing.md). If that is a
// busy one, the request waits for it, although another one is free.

/// Slots that requests ahead in the line wait for.
struct Reservations {
    /// For servers with such a slot: seconds until each of their slots is free, in ascending order.
    private var ends: [Int: [Double]] = [:]

    /// Seconds until a slot is free that nobody waits for; nil when nobody waits for any of the server's.
    func nextEnd(_ index: Int) -> Double? { ends.isEmpty ? nil : ends[index]?.first }

    /// Servers on which a request ahead in the line has waited for long to have its model loaded.
    private(set) var swapping: Set<Int> = []

    mutating func willSwap(_ index: Int) { swapping.insert(index) }

    /// A request takes the next slot of the server for that many seconds. `known`: the ends of the requests that run there.
    mutating func take(_ index: Int, seconds: Double, known: [Double]) {
        var taken = ends[index] ?? known.sorted()
        guard !taken.isEmpty else { return }
        let end = taken.removeFirst() + seconds
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
    /// Another model has to leave the server's memory first.
    var swaps = false
    var work: Work
    /// Of a busy server, the seconds until each request ends that runs there.
    var releases: [Double] = []
}

extension Router {
    /// Prices are equal that differ by less than this part and `PriceWeights.nearTie` together.
    private static let nearTie = 0.1

    /// Whether requests of this list are priced, and may wait for a busy server while another one is free.
    func isPriced(_ list: CandidateList, _ traits: RequestTraits) -> Bool { list.rule == .expectedCost && traits.counts }

    /// The placement with the best price among the candidates of a group; nil when none is usable.
    func cheapest(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, at now: Moment,
        _ reservations: Reservations
    ) -> Placement? {
        let session = session(of: request, in: list, at: now)
        if list.candidates.count == 1, ineligibility(of: list.candidates[0].index, for: request, at: now) == nil,
            list.candidates[0].served.count == 1
        {
            let choice = choice(0, list.candidates[0].instances.isEmpty ? nil : 0, session, in: list)
            return .run(choice, Explanation(list: list, choice: choice))
        }
        let basis = basis(of: request, among: list, at: now)
        var explanation = Explanation(list: list)
        explanation.findings.reserveCapacity(min(Explanation.explainedServers, list.candidates.count))
        var best: Offer?
        var bestTotal = Double.infinity
        var bestRank = (Int.max, 0, 0.0)
        for position in list.candidates.indices {
            let isExplained = position < Explanation.explainedServers
            // Most of hundreds of servers are dearer already by what they would have to compute.
            guard
                isExplained || group.contains(position) && leastPrefill(position, list, basis) <= bestTotal + tieMargin(bestTotal)
            else { continue }
            let index = list.candidates[position].index
            let reason = ineligibility(of: index, for: request, at: now)
            let isUsable = reason == nil || reason == .full && request.mayHold && request.history.attempts == 0
            let limit = isExplained ? .infinity : bestTotal
            guard group.contains(position), isUsable,
                let offer = offer(position, list, request, session, basis, isBusy: reason != nil, limit: limit, reservations)
            else {
                if isExplained { explanation.findings.append(finding(reason.map { .ineligible($0) } ?? .laterInOrder, index)) }
                continue
            }
            if isExplained {
                explanation.findings.append(finding(.dearer, index))
                explanation.findings[position].price = offer.price
            }
            let total = offer.price.total
            let margin = best == nil ? 0 : tieMargin(min(total, bestTotal))
            // Ranks are looked up for near ties only: there are few among hundreds of servers.
            guard total <= bestTotal + margin else { continue }
            let rank = tieRank(index, session)
            if total < bestTotal - margin || rank < bestRank {
                (best, bestTotal, bestRank) = (offer, total, rank)
            }
        }
        guard var best else { return nil }
        var choice = choice(best.position, best.instance, session, in: list)
        choice.work = best.work
        if best.position < explanation.findings.count {
            explanation.findings[best.position].code = best.isBusy ? .held : .chosen(.cheapest)
        }
        guard best.isBusy else {
            explanation.choice = choice
            return .run(choice, explanation)
        }
        best.releases = releases(list.candidates[best.position].index, basis)
        return .hold(best, until: now.adding(seconds: best.price.wait), explanation)
    }

    private func tieMargin(_ total: Double) -> Double {
        Self.nearTie * total + fleet.policy.conversationTime * PriceWeights.nearTie
    }

    /// Decides between equal prices, the lower one first: the server with the client's session, then the one that holds the fewest
    /// sessions, then the least busy one, then the one
    /// that has been without a new request for longest; after that, the configured order.
    private func tieRank(_ index: Int, _ session: SessionTable.Handle?) -> (Int, Int, Double) {
        if let session, sessions.place(in: session).backend == backends[index].id { return (-1, 0, 0) }
        return (sessions.count(on: backends[index].id), backends[index].inFlight, backends[index].grantedAt)
    }

    private func session(of request: PendingRequest, in list: CandidateList, at now: Moment) -> SessionTable.Handle? {
        list.model.flatMap {
            sessions.handle(of: .init(client: request.traits.client, model: $0), ttl: fleet.policy.stickyTTL, at: now)
        }
    }

    /// - Parameter session: the client's session, wherever it is.
    private func choice(_ position: Int, _ instance: Int?, _ session: SessionTable.Handle?, in list: CandidateList) -> Choice {
        let candidate = list.candidates[position]
        var choice = Choice(
            position: position, instance: instance, reason: .cheapest,
            capacity: backends[candidate.index].sessionsPerInstance(of: candidate.instances.count))
        if let session {
            let place = sessions.place(in: session)
            let isHere = place.backend == backends[candidate.index].id && place.instance == list.instance(of: choice)
            choice.session = isHere ? session : nil
        }
        return choice
    }

    /// The best instance of a candidate.
    private func offer(
        _ position: Int, _ list: CandidateList, _ request: PendingRequest, _ session: SessionTable.Handle?, _ basis: PriceBasis,
        isBusy: Bool, limit: Double, _ reservations: Reservations
    ) -> Offer? {
        let index = list.candidates[position].index
        var wait: Double?
        var isBusy = isBusy
        var swaps = false
        if !isBusy, request.history.attempts == 0 {
            swaps = mustSwap(position, in: list)
            let isClosed = swaps || reservations.swapping.contains(index) || leavesLastSlot(request, index, at: basis.now)
            isBusy = isClosed && !backends[index].jobs.isEmpty
        }
        if isBusy {
            let pause = backends[index].throttle.until.seconds - basis.now
            let end = reservations.nextEnd(index) ?? releases(index, basis).min()
            guard let next = pause > 0 ? max(pause, end ?? 0) : end else { return nil }
            // A request that has waited for long no longer trusts the prediction.
            let waited = request.waitingSince.map { basis.now - $0.seconds } ?? 0
            wait = next + PriceWeights.ageing * waited
        }
        var best: Offer?
        var bestRank = (Int.max, 0, 0)
        let hasInstances = !list.candidates[position].instances.isEmpty
        for (number, served) in list.candidates[position].served.enumerated() {
            var (price, work) = price(index, served, basis, wait: wait, limit: limit)
            price.load = loadTime(position, in: list, at: basis.now)
            price.failures = backends[index].circuits.penalty(of: request.traits.model, at: basis.moment)
            // All seats of this instance are taken, although the server has room.
            if !isBusy, work.match.seat == nil, backends[index].served[served].cache.hasSeats { price.wait += price.decode }
            let margin = best.map { tieMargin(min($0.price.total, price.total)) } ?? 0
            let rank = instanceRank(position, number, session, in: list)
            let bestTotal = best?.price.total ?? .infinity
            guard price.total < bestTotal - margin || price.total <= bestTotal + margin && rank < bestRank else { continue }
            bestRank = rank
            let streams = Double(backends[index].limit ?? backends[index].jobs.count + 1)
            let tokenTime = tokenTime(index, served, basis) * (1 + EngineFigures.slowdownPerStream * max(0, streams - 1))
            best = Offer(
                position: position, instance: hasInstances ? number : nil, price: price, isBusy: isBusy,
                duration: price.own + basis.outlook.answerTokens * tokenTime, swaps: swaps, work: work)
        }
        return best
    }

    /// Decides between instances of a server with equal prices, as the sticky rule does: the one with the client's session, then a free
    /// one, then the one that holds the fewest sessions.
    private func instanceRank(
        _ position: Int, _ number: Int, _ session: SessionTable.Handle?, in list: CandidateList
    ) -> (Int, Int, Int) {
        let instances = list.candidates[position].instances.count
        guard instances > 1 else { return (0, 0, 0) }
        let index = list.candidates[position].index
        let (id, name) = (backends[index].id, list.candidates[position].instances[number])
        if let session, sessions.place(in: session) == .init(backend: id, instance: name) { return (-1, 0, 0) }
        let inFlight = backends[index].inFlight(on: name)
        let capacity = backends[index].sessionsPerInstance(of: instances)
        let held = sessions.holders(of: .init(backend: id, instance: name)).count
        return (inFlight < capacity ? 0 : 1, held, inFlight)
    }

    /// The model is not in memory, the server has not been seen to hold one more than it holds, and it computes with another one: loading
    /// now would push that one out, or wait for it inside the engine.
    private func mustSwap(_ position: Int, in list: CandidateList) -> Bool {
        guard residency(position, in: list) == .unloaded else { return false }
        let index = list.candidates[position].index
        guard backends[index].loadedModels >= backends[index].mostLoadedModels else { return false }
        return !backends[index].jobs.isEmpty && !isRequested(position, in: list)
    }

    private func isRequested(_ position: Int, in list: CandidateList) -> Bool {
        backends[list.candidates[position].index].jobs.contains { list.candidates[position].served.contains($0.served) }
    }

    /// A client that has several requests running leaves a server's last slot to others, if there are any.
    private func leavesLastSlot(_ request: PendingRequest, _ index: Int, at now: Double) -> Bool {
        guard let limit = backends[index].limit, limit > 1, backends[index].jobs.count == limit - 1 else { return false }
        return habits.isCrowdingOut(request.client, at: now, within: fleet.policy.conversationTime * PriceWeights.lifetime)
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
