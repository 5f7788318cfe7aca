package import Routing

/// What a simulation showed. Times are virtual seconds; the first token counts from the request's arrival.
///
/// Only requests that began after `SimulationSetup.countedFrom` count.
package struct SimulationReport: Sendable, Equatable {
    package var rule: PickingRule
    /// Answered requests; the figures below are theirs.
    package var requests = 0
    /// Without an answer: no server was found for them.
    package var refused = 0
    /// Their answers broke off.
    package var failed = 0
    package var ttftMeanSeconds = 0.0
    package var ttftP50Seconds = 0.0
    package var ttftP90Seconds = 0.0
    package var ttftP99Seconds = 0.0
    /// To the end of the answer.
    package var totalMeanSeconds = 0.0
    package var totalP90Seconds = 0.0
    /// Of requests that nobody waits for (`SimulatedRequest.isJob`); they are not among those above.
    package var jobs = 0
    /// From a job's arrival to its end.
    package var jobMeanSeconds = 0.0
    /// When the last job ended.
    package var jobsMakespanSeconds = 0.0
    /// The new prompt tokens of each conversation, and the answers, jobs' too, for each second from `countedFrom` until the last job ended
    /// (without jobs: the last answer). What was computed again does not count.
    package var tokensPerSecond = 0.0
    package var promptTokens = 0
    package var cachedTokens = 0
    /// When the last answer ended, of all requests.
    package var makespanSeconds = 0.0
    package var requestsPerHour = 0.0
    /// Of the requests that go on with a conversation, the part that ran on another server than the one before it.
    package var movedShare = 0.0

    /// The part of the prompts that the engines found in their caches.
    package var cacheHitRatio: Double { promptTokens > 0 ? Double(cachedTokens) / Double(promptTokens) : 0 }

    /// Prompt tokens that the engines had to read.
    package var recomputedTokens: Int { promptTokens - cachedTokens }
}

/// Collects what the report needs.
struct Tally: Sendable {
    private let setup: SimulationSetup
    private var firsts: [Double] = []
    private var totals: [Double] = []
    private var jobs: [Double] = []
    private var lengths: [UInt64: Int] = [:]
    private var work: [(end: Double, tokens: Int)] = []
    private var serverOfConversation: [UInt64: Int] = [:]
    private var turns = 0
    private var moved = 0
    private var sums: SimulationReport

    init(_ setup: SimulationSetup) {
        self.setup = setup
        sums = SimulationReport(rule: setup.rule)
    }

    mutating func answered(_ played: PlayedRequest, _ timings: EngineTimings, at now: Double) {
        let arrived = played.request.arrivesAt
        let before = serverOfConversation.updateValue(played.server ?? -1, forKey: played.request.conversation)
        sums.makespanSeconds = max(sums.makespanSeconds, now)
        let length = timings.cachedTokens + timings.promptTokens
        let known = lengths.updateValue(length + timings.predictedTokens, forKey: played.request.conversation) ?? 0
        guard counts(played) else { return }
        work.append((now, max(0, length - known) + timings.predictedTokens))
        guard !played.request.isJob else {
            jobs.append(now - arrived)
            return sums.jobsMakespanSeconds = now
        }
        if let before {
            turns += 1
            if before != played.server { moved += 1 }
        }
        firsts.append((played.firstAt ?? now) - arrived)
        totals.append(now - arrived)
        sums.promptTokens += timings.cachedTokens + timings.promptTokens
        sums.cachedTokens += timings.cachedTokens
    }

    mutating func refused(_ played: PlayedRequest) { if counts(played) { sums.refused += 1 } }
    mutating func failed(_ played: PlayedRequest) { if counts(played) { sums.failed += 1 } }

    private func counts(_ played: PlayedRequest) -> Bool { played.request.arrivesAt >= setup.countedFrom }

    var report: SimulationReport {
        var report = sums
        let (firsts, totals) = (firsts.sorted(), totals.sorted())
        report.requests = firsts.count
        report.ttftMeanSeconds = firsts.mean
        report.ttftP50Seconds = firsts.percentile(0.5)
        report.ttftP90Seconds = firsts.percentile(0.9)
        report.ttftP99Seconds = firsts.percentile(0.99)
        report.totalMeanSeconds = totals.mean
        report.totalP90Seconds = totals.percentile(0.9)
        let seconds = (setup.countedUntil ?? sums.makespanSeconds) - setup.countedFrom
        report.requestsPerHour = seconds > 0 ? Double(firsts.count) * 3600 / seconds : 0
        report.jobs = jobs.count
        report.jobMeanSeconds = jobs.mean
        let end = jobs.isEmpty ? sums.makespanSeconds : sums.jobsMakespanSeconds
        let tokens = work.reduce(0) { $0 + ($1.end <= end ? $1.tokens : 0) }
        report.tokensPerSecond = end > setup.countedFrom ? Double(tokens) / (end - setup.countedFrom) : 0
        report.movedShare = turns > 0 ? Double(moved) / Double(turns) : 0
        return report
    }
}

extension [Double] {
    /// 0 when there are none.
    fileprivate var mean: Double { isEmpty ? 0 : reduce(0, +) / Double(count) }

    /// Of sorted numbers: the one that this share of them is below. 0 when there are none.
    fileprivate func percentile(_ share: Double) -> Double {
        isEmpty ? 0 : self[Swift.min(count - 1, Int(Double(count) * share))]
    }
}
