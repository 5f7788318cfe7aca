/// How long an engine takes to load a model: the median of the last few times, so that one odd load does not count and an old one is
/// soon forgotten.
struct LoadTime: Sendable, Equatable {
    /// While nothing is known of any model of the server.
    static let assumedSeconds = 10.0
    private static let kept = 5
    /// A shorter time is not distinguished from a prediction's error; a longer one is something else than loading.
    private static let plausibleSeconds = leastSeconds...900.0
    /// What a shorter load counts as.
    static let leastSeconds = 0.2

    /// In seconds, the oldest first.
    private var samples: [Double] = []
    /// As lists of models showed it, which are requested every few seconds only. Counts while nothing better is known.
    private var seen: Double?

    /// Nil while unknown.
    var seconds: Double? { samples.isEmpty ? seen : Self.median(samples) }

    /// A load was timed.
    mutating func learn(_ seconds: Double) {
        guard Self.plausibleSeconds.contains(seconds) else { return }
        if samples.count == Self.kept { samples.removeFirst() }
        samples.append(seconds)
    }

    /// A load began and ended between two lists of models.
    mutating func saw(_ seconds: Double) {
        if Self.plausibleSeconds.contains(seconds) { seen = seconds }
    }

    /// Of one number or more; 0 for none.
    static func median(_ numbers: [Double]) -> Double {
        guard !numbers.isEmpty else { return 0 }
        let sorted = numbers.sorted()
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}

extension ServedModel {
    /// The server listed its models; `new`: nil when it does not say what is in its memory.
    mutating func wasListed(_ new: ListedModel.Residency?, at now: Double) {
        defer { residency = new }
        switch (residency, new) {
        // A model that was loaded before sleeps, and may do so for hours.
        case (.unloaded, .loading): loadingSeenAt = now
        case (.loading, .loading): break
        case (_, .loaded):
            if let since = loadingSeenAt { load.saw(now - since) }
            loadingSeenAt = nil
        default: loadingSeenAt = nil
        }
    }
}

extension Router {
    /// Seconds that the server takes to load the model.
    ///
    /// - Parameter usual: what counts while that is not known (`usualLoadSeconds`).
    func loadSeconds(_ index: Int, _ served: Int, usual: @autoclosure () -> Double) -> Double {
        backends[index].served[served].load.seconds ?? usual()
    }

    /// The time that servers take to load the list's model, as far as it is known; else the time for any model.
    func usualLoadSeconds(among list: CandidateList) -> Double {
        var same: [Double] = []
        for position in list.candidates.indices {
            let (index, served) = (list.candidates[position].index, list.candidates[position].served[0])
            if let seconds = backends[index].served[served].load.seconds { same.append(seconds) }
        }
        guard same.isEmpty else { return LoadTime.median(same) }
        let all = backends.flatMap { $0.served.compactMap(\.load.seconds) }
        return all.isEmpty ? LoadTime.assumedSeconds : LoadTime.median(all)
    }

    /// Seconds until the model is in memory. A request that was sent for it has begun to load it.
    func loadTime(_ index: Int, _ served: Int, usual: @autoclosure () -> Double, at now: Double) -> Double {
        guard backends[index].memory.isTold else { return 0 }
        let residency = backends[index].residency(of: served)
        guard residency != .loaded else { return 0 }
        let seconds = loadSeconds(index, served, usual: usual())
        let sent = backends[index].jobs.first { $0.served == served }?.sentAt
        // What is overdue will not take much longer.
        if let sent { return max(seconds - (now - sent), 0.1 * seconds) }
        return residency == .loading ? seconds / 2 : seconds
    }

    /// A request has been answered, whose model was not in memory when it was sent.
    ///
    /// The time that it took beside its prompt is that of the load, if the engine says how long the prompt took. Otherwise it is what is
    /// left of the time to the first token without what was expected for the prompt.
    mutating func learnLoad(_ job: Job, _ timings: Timings?, _ index: Int, at now: Double) {
        if let told = timings?.loadMilliseconds, job.beginsLoad || told >= 1000 && job.isAlone {
            return backends[index].served[job.served].load.learn(told / 1000)
        }
        guard job.beginsLoad else { return }
        let answer = timings.flatMap { $0.predictedMilliseconds > 0 ? $0.predictedMilliseconds / 1000 : nil }
        guard let first = job.firstByteAt ?? answer.map({ now - $0 }) else { return }
        let passed = first - job.sentAt
        if let timings, timings.promptMilliseconds > 0, !timings.isTimedHere {
            let seconds = max(LoadTime.leastSeconds, passed - timings.promptMilliseconds / 1000)
            return backends[index].served[job.served].load.learn(seconds)
        }
        // A small difference may be an error of what was expected.
        guard passed > 1.5 * job.expectedSeconds else { return }
        backends[index].served[job.served].load.learn(passed - job.expectedSeconds)
    }
}
