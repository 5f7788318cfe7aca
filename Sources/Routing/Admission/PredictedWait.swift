// How long a request will wait for a server, so that it can be refused at once rather than after the wait.

extension Router {
    /// The refusal of a new request whose class may not wait that long; nil when it may.
    ///
    /// - Parameter seconds: the predicted wait.
    func refusal(of request: PendingRequest, waiting seconds: @autoclosure () -> Double) -> Refusal? {
        // What was sent before has been promised a server.
        guard request.history.attempts == 0, let limit = fleet.policy.longestPrediction[request.priority] else { return nil }
        let seconds = seconds()
        guard seconds > limit.seconds else { return nil }
        return .waitTooLong(predictedSeconds: max(1, Int(min(seconds, 1e6).rounded(.up))), limit: limit)
    }

    mutating func refusal(of request: PendingRequest, among list: CandidateList?, at now: Moment) -> Refusal? {
        guard let list, fleet.policy.longestPrediction[request.priority] != nil else { return nil }
        let seconds = predictedWait(of: request, among: list, at: now)
        return refusal(of: request, waiting: seconds)
    }

    /// How many waiting requests will probably be served by these servers before the request: those for other models, too, by the part of
    /// their servers that are among these.
    private mutating func count(before request: PendingRequest, among list: CandidateList) -> Int {
        let servers = Set(list.candidates.map(\.index))
        var count = 0.0
        for lane in line.lanes(before: request) where lane.count > 0 {
            guard let others = candidates(for: lane.first)?.candidates, !others.isEmpty else { continue }
            count += Double(lane.count * others.count { servers.contains($0.index) }) / Double(others.count)
        }
        return Int(count.rounded())
    }

    /// Seconds until a server has a place for the request: the requests that wait before it take the next places, each for as long as
    /// requests usually take.
    mutating func predictedWait(of request: PendingRequest, among list: CandidateList, at now: Moment) -> Double {
        let basis = basis(of: request, among: list, at: now)
        var ends: [Double] = []
        for position in list.candidates.indices {
            let (index, served) = (list.candidates[position].index, list.candidates[position].served[0])
            switch ineligibility(at: position, in: list, for: request, at: now) {
            case nil, .full: break
            case .failedThisRequest, .down, .draining, .failing: continue
            }
            let pause = max(0, backends[index].throttle.until.seconds - basis.now)
            let running = releases(index, served, basis).map { max(pause, $0) }
            let free = max(0, (backends[index].limit(of: served) ?? running.count + 1) - running.count)
            ends += running + Array(repeating: pause, count: min(free, PriceWeights.assumedSlots))
        }
        guard !ends.isEmpty else { return 0 }
        ends.sort()
        let ahead = count(before: request, among: list)
        return ends[ahead % ends.count] + Double(ahead / ends.count) * (serviceTime.value ?? 1)
    }
}
