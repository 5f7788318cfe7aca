// A client with much work leaves room for those with little. Its jobs would take every slot the moment it is free, and keep all machines
// reading long prompts, behind which a short one has to wait.

/// For a request that leaves room for others: where they find it now.
struct RoomForOthers: Sendable {
    /// Two of the servers that would compute a short prompt soon; fewer when there are not as many.
    var open: [Int] = []
    /// There are so many servers that one of them can be kept open.
    var keepsOneOpen: Bool
}

extension Router {
    /// With fewer servers, keeping one of them open costs too much: with two, 11 % of what they get done.
    private static let leastKeptOpen = 4

    /// Nil for a request that need not leave room: it is of a client with little work, or nobody with little work has asked lately.
    func roomForOthers(_ request: PendingRequest, among list: CandidateList, at now: Double) -> RoomForOthers? {
        guard request.history.attempts == 0, yields(request, at: now) else { return nil }
        var room = RoomForOthers(keepsOneOpen: list.candidates.count >= Self.leastKeptOpen)
        for candidate in list.candidates where room.open.count < 2 {
            let index = candidate.index
            let served = candidate.served[0]
            guard backends[index].limit(of: served).map({ backends[index].competing(for: served) < $0 }) ?? true else { continue }
            if candidate.served.contains(where: { isOpen(index, $0, without: nil, at: now) }) { room.open.append(index) }
        }
        return room
    }

    /// The delay of this request counts little, because its client has much work, or says that nobody waits for it.
    func yields(_ request: PendingRequest, at now: Double) -> Bool {
        habits.isCrowdingOut(
            request.client, isBulk: request.priority == .bulk, arrival: request.arrivedAt.seconds, at: now,
            within: fleet.policy.conversationTime * PriceWeights.lifetime)
    }

    /// Seconds for which a server with a free slot stays closed to a request that leaves room for others; nil when it is open to it.
    ///
    /// - Parameters:
    ///   - own: seconds of its prompt there.
    ///   - seat: the slot that it would take.
    func closure(
        of index: Int, _ served: Int, to room: RoomForOthers, own: Double, seat: Int?, _ basis: PriceBasis
    ) -> Double? {
        // The last slot.
        if let limit = backends[index].limit(of: served), limit > 1, backends[index].competing(for: served) >= limit - 1 {
            return releases(index, served, basis).min()
        }
        guard own > fleet.policy.conversationTime * PriceWeights.longPrompt else { return nil }
        // A second long prompt would only wait inside the engine, in a slot that somebody else could use.
        let left = prefillLeft(index, at: basis.now)
        if left > shortWait { return left }
        // Behind a long prompt, a short one waits for many seconds. One server has to be without, or have a slot before it.
        guard room.keepsOneOpen else { return nil }
        if room.open.contains(where: { $0 != index }) || isOpen(index, served, without: seat, at: basis.now) { return nil }
        return backends.indices.map { prefillLeft($0, at: basis.now) }.filter { $0 > 0 }.min()
    }

    private var shortWait: Double { fleet.policy.conversationTime * PriceWeights.shortWait }

    private func prefillLeft(_ index: Int, at now: Double) -> Double {
        backends[index].jobs.reduce(0) { $0 + $1.prefillLeft(at: now) }
    }

    /// Whether the server would compute a new short prompt soon: the slot that it would take comes before those with a long prompt.
    ///
    /// - Parameter seat: a slot that a long prompt takes first.
    func isOpen(_ index: Int, _ served: Int, without seat: Int?, at now: Double) -> Bool {
        let cache = backends[index].served[served].cache
        guard cache.hasSeats else { return seat == nil && prefillLeft(index, at: now) <= shortWait }
        guard let next = cache.idlestSeat(except: seat) else { return false }
        if let seat, seat < next { return false }
        return !backends[index].jobs.contains { ($0.seat ?? 0) < next && $0.prefillLeft(at: now) > shortWait }
    }
}
