// The default rule: the server where the answer is expected to be done soonest, all things considered (docs/routing.md). If that is a
// busy one, the request waits for it, although another one is free.

/// Slots that requests ahead in the line wait for.
struct Reservations {
    /// A server's slots, or those of one of its models.
    struct Slots: Hashable {
        var index: Int
        var served: Int?
    }

    /// Where there is such a slot: seconds until each of the slots is free, in ascending order.
    private var ends: [Slots: [Double]] = [:]

    /// Seconds until a slot is free that nobody waits for; nil when nobody waits for any of them.
    func nextEnd(_ slots: Slots) -> Double? { ends.isEmpty ? nil : ends[slots]?.first }

    /// Servers on which a request ahead in the line has waited for long to have its model loaded.
    private(set) var swapping: Set<Int> = []

    mutating func willSwap(_ index: Int) { swapping.insert(index) }

    /// A request takes the next one of the slots for that many seconds. `known`: the ends of the requests that run there.
    mutating func take(_ slots: Slots, seconds: Double, known: [Double]) {
        var taken = ends[slots] ?? known.sorted()
        guard !taken.isEmpty else { return }
        let end = taken.removeFirst() + seconds
        taken.insert(end, at: taken.firstIndex { $0 > end } ?? taken.count)
        ends[slots] = taken
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
}

/// The offers that may be equal to the cheapest one, while offers are compared.
struct NearTies {
    private(set) var offers: [Offer] = []
    /// The lowest price.
    private(set) var least = Double.infinity

    /// - Parameter count: about as many offers will be added.
    init(_ offer: Offer?, count: Int) {
        offers.reserveCapacity(count)
        guard let offer else { return }
        offers.append(offer)
        least = offer.price.total
    }

    /// - Parameter limit: a higher price is not equal to the lowest one so far.
    mutating func add(_ offer: Offer, upTo limit: Double) {
        guard offer.price.total <= limit else { return }
        least = min(least, offer.price.total)
        offers.append(offer)
    }
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
        if list.candidates.count == 1, ineligibility(at: 0, in: list, for: request, at: now) == nil,
            list.candidates[0].served.count == 1,
            !isClosed(list.candidates[0].index, list.candidates[0].served[0], for: request, reservations),
            rest(0, list.candidates[0].served[0], for: request, in: list, at: now.seconds) == 0
        {
            let choice = choice(0, list.candidates[0].instances.isEmpty ? nil : 0, session, in: list)
            return .run(choice, Explanation(list: list, choice: choice))
        }
        let basis = basis(of: request, among: list, at: now)
        let room = roomForOthers(request, among: list, at: basis.now)
        var explanation = Explanation(list: list)
        explanation.findings.reserveCapacity(min(Explanation.explainedServers, list.candidates.count))
        let outstanding = outstandingOffer(among: list, group, for: request, session, basis, room, reservations)
        var ties = NearTies(outstanding, count: min(4, list.candidates.count))
        for position in list.candidates.indices {
            let isExplained = position < Explanation.explainedServers
            if !isExplained {
                if outstanding != nil { break }
                let isHopeless =
                    leastPrefill(position, list, basis) > ties.least + tieMargin(ties.least)
                    && !isAtHome(request, position, session, in: list)
                guard group.contains(position), !isHopeless else { continue }
            }
            let index = list.candidates[position].index
            let reason = ineligibility(at: position, in: list, for: request, at: now)
            guard group.contains(position), isUsable(reason, for: request),
                let offer = offer(
                    position, list, request, session, basis, room, isBusy: reason != nil,
                    limit: isExplained ? .infinity : ties.least + tieMargin(ties.least), reservations)
            else {
                if isExplained { explanation.findings.append(finding(reason.map { .ineligible($0) } ?? .laterInOrder, index)) }
                continue
            }
            if isExplained {
                explanation.findings.append(finding(.dearer, index, price: offer.price))
                if outstanding != nil { continue }
            }
            ties.add(offer, upTo: ties.least + tieMargin(ties.least))
        }
        guard let best = first(of: ties, session, in: list) else { return nil }
        var choice = choice(best.position, best.instance, session, in: list)
        choice.work = best.work
        if best.position < explanation.findings.count {
            explanation.findings[best.position].code = best.isBusy ? .held : .chosen(.cheapest)
        }
        guard best.isBusy else {
            explanation.choice = choice
            return .run(choice, consume explanation)
        }
        return .hold(best, until: now.adding(seconds: best.price.wait), consume explanation)
    }

    /// A full server may be worth waiting for, unless the request was tried already.
    private func isUsable(_ reason: Ineligibility?, for request: PendingRequest) -> Bool {
        reason == nil || reason == .full && request.mayHold && request.history.attempts == 0
    }

    /// The offer of the candidate where least of the prompt is to be computed, if it costs less than that alone costs everywhere else.
    /// Among hundreds of servers, only the one with the conversation needs to be priced; nil when it is not so simple.
    private func outstandingOffer(
        among list: CandidateList, _ group: Range<Int>, for request: PendingRequest, _ session: SessionTable.Handle?,
        _ basis: PriceBasis, _ room: RoomForOthers?, _ reservations: Reservations
    ) -> Offer? {
        guard list.candidates.count > Explanation.explainedServers else { return nil }
        var (first, least, next) = (group.lowerBound, Double.infinity, Double.infinity)
        for position in group {
            let seconds = leastPrefill(position, list, basis)
            guard seconds < next else { continue }
            if seconds < least { (first, least, next) = (position, seconds, least) } else { next = seconds }
        }
        let reason = ineligibility(at: first, in: list, for: request, at: basis.moment)
        guard isUsable(reason, for: request),
            let offer = offer(
                first, list, request, session, basis, room, isBusy: reason != nil, limit: .infinity, reservations),
            offer.price.total + tieMargin(offer.price.total) < next
        else { return nil }
        return offer
    }

    /// Of the equal offers the one that comes first: the lowest rank, and the configured order.
    private func first(of ties: NearTies, _ session: SessionTable.Handle?, in list: CandidateList) -> Offer? {
        let limit = ties.least + tieMargin(ties.least)
        var first: Offer?
        var lowest = (Int.max, 0, 0.0)
        // Ranks are looked up for near ties only: there are few among hundreds of servers.
        for offer in ties.offers where offer.price.total <= limit {
            guard ties.offers.count > 1 else { return offer }
            let rank = tieRank(offer.position, session, in: list)
            if first == nil || rank < lowest { (first, lowest) = (offer, rank) }
        }
        return first
    }

    private func tieMargin(_ total: Double) -> Double {
        Self.nearTie * total + fleet.policy.conversationTime * PriceWeights.nearTie
    }

    /// Decides between equal prices, the lower one first: the server with the client's session, then the one that holds the fewest
    /// sessions, then the least busy one, then the one that has been without a new request for longest; after that, the configured order.
    private func tieRank(
        _ position: Int, _ session: SessionTable.Handle?, in list: CandidateList
    ) -> (Int, Int, Double) {
        if isSession(session, at: position, in: list) { return (-1, 0, 0) }
        let index = list.candidates[position].index
        return (sessions.count(on: backends[index].id), backends[index].inFlight, backends[index].grantedAt)
    }

    /// Nothing is known of the prompt's content, and the client's session is on this server.
    private func isAtHome(
        _ request: PendingRequest, _ position: Int, _ session: SessionTable.Handle?, in list: CandidateList
    ) -> Bool {
        (request.traits.prompt?.links.isEmpty ?? true) && isSession(session, at: position, in: list)
    }

    /// A session whose model has left the memory has nothing there any more.
    private func isSession(_ session: SessionTable.Handle?, at position: Int, in list: CandidateList) -> Bool {
        guard let session, sessions.place(in: session).backend == backends[list.candidates[position].index].id else {
            return false
        }
        return residency(position, in: list) < .unloaded
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
            capacity: sessionsPerInstance(position, in: list))
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
        _ room: RoomForOthers?, isBusy: Bool, limit: Double, _ reservations: Reservations
    ) -> Offer? {
        let index = list.candidates[position].index
        // A request that has waited for long no longer trusts the prediction.
        let distrust = PriceWeights.ageing * (request.waitingSince.map { basis.now - $0.seconds } ?? 0)
        var best: Offer?
        var bestRank = (Int.max, 0, 0)
        let hasInstances = !list.candidates[position].instances.isEmpty
        for (number, served) in list.candidates[position].served.enumerated() {
            var isBusy = isBusy
            var wait: Double?
            let swaps = backends[index].memory.isTold && backends[index].mustSwap(for: served)
            let rest = rest(position, served, for: request, in: list, at: basis.now)
            if isBusy {
                guard let end = nextSlot(index, served, basis, reservations) else { continue }
                wait = end + distrust
            } else if backends[index].isFull(of: served) {
                // Another instance has room.
                continue
            } else if rest > 0 || isClosed(index, served, for: request, reservations) {
                // A swap has to wait for the end of all that runs there.
                let ends = releases(index, served, basis)
                isBusy = true
                wait =
                    max(rest, reservations.nextEnd(slots(index, served)) ?? 0, (swaps ? ends.max() : ends.min()) ?? 0) + distrust
            }
            var (price, work) = price(index, served, basis, wait: wait, limit: limit)
            // Of a short prompt, which is not hashed, only its client is known.
            if isAtHome(request, position, session, in: list) { price.own *= PriceWeights.unhashed }
            if !isBusy, let room, let end = closure(of: index, served, to: room, own: price.own, seat: work.match.seat, basis) {
                (price, work) = self.price(index, served, basis, wait: end + distrust, limit: limit)
                isBusy = true
            }
            price.load = loadTime(index, served, usual: basis.usualLoad, at: basis.now)
            price.eviction += displacement(index, served, basis)
            price.failures = backends[index].circuits.penalty(of: request.traits.model, at: basis.moment)
            // All seats of this instance are taken, although the server has room.
            if !isBusy, work.match.seat == nil, backends[index].served[served].cache.hasSeats { price.wait += price.decode }
            let margin = best.map { tieMargin(min($0.price.total, price.total)) } ?? 0
            let rank = instanceRank(position, number, session, in: list)
            let bestTotal = best?.price.total ?? .infinity
            guard price.total < bestTotal - margin || price.total <= bestTotal + margin && rank < bestRank else { continue }
            bestRank = rank
            let streams = Double(backends[index].limit(of: served) ?? backends[index].jobs.count + 1)
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
        let capacity = sessionsPerInstance(position, in: list)
        let held = sessions.holders(of: .init(backend: id, instance: name)).count
        return (inFlight < capacity ? 0 : 1, held, inFlight)
    }

    /// Seconds until a slot is free that nobody waits for; nil when that is not known.
    private func nextSlot(_ index: Int, _ served: Int, _ basis: PriceBasis, _ reservations: Reservations) -> Double? {
        let pause = backends[index].throttle.until.seconds - basis.now
        let end = reservations.nextEnd(slots(index, served)) ?? releases(index, served, basis).min()
        return pause > 0 ? max(pause, end ?? 0) : end
    }

    /// The slots for which a request for that model waits: the server's, unless the model's own ones are taken.
    func slots(_ index: Int, _ served: Int) -> Reservations.Slots {
        .init(index: index, served: backends[index].isFull(of: served) ? served : nil)
    }

    /// For each request that runs in those slots, the seconds until its end.
    func releases(_ index: Int, _ served: Int, _ basis: PriceBasis) -> [Double] {
        let jobs = backends[index].jobs
        let own = slots(index, served).served
        let ahead = jobs.reduce(0) { $0 + $1.prefillLeft(at: basis.now) }
        let slowdown = 1 + EngineFigures.slowdownPerStream * Double(max(0, jobs.count - 1))
        return jobs.filter { own == nil || $0.served == own }.map { job in
            let tokenTime = tokenTime(index, job.served, basis) * slowdown
            let left = job.answerLeft(at: basis.now, tokenTime: tokenTime) * tokenTime
            return (job.isPrefilling(at: basis.now) ? ahead : ahead / 2) + left
        }
    }
}
