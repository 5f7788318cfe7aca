/// Whether a server is alive and whether its machine is busy, as learnt from probes and from real traffic.
package struct HealthState: Sendable, Equatable {
    package enum Phase: Sendable, Equatable {
        /// No probe has come back yet. Entered at start; left by the first probe. Gets work, but behind idle servers.
        case unknown
        case up
        /// One sign of failure. Still gets work; left by the next probe either way.
        case suspect(reason: String)
        /// Gets no work. Left by the first probe that succeeds.
        case down(reason: String)
    }

    private(set) var phase = Phase.unknown
    private(set) var lastReport: BackendReport?
    private(set) var lastReportAt: Moment?
    private var consecutiveFailures = 0
    /// The newest sample is the lowest bit; set when busy.
    private var busySamples: UInt64 = 0
    private var sampleCount = 0

    init() {}

    var isDown: Bool {
        if case .down = phase { true } else { false }
    }

    /// Busy when any of the last `window` samples was, or when none has come yet (the original's safe side).
    func isBusy(window: Int) -> Bool {
        guard sampleCount > 0 else { return true }
        let mask = window >= 64 ? UInt64.max : (UInt64(1) << UInt64(max(1, window))) - 1
        return busySamples & mask != 0
    }

    mutating func probed(_ report: BackendReport, at now: Moment) {
        phase = .up
        consecutiveFailures = 0
        lastReport = report
        lastReportAt = now
        busySamples = busySamples << 1 | (report.isBusy ? 1 : 0)
        sampleCount = min(sampleCount + 1, 64)
    }

    /// True when this failure is the one that takes the server down.
    mutating func probeFailed(reason: String, failuresUntilDown: Int) -> Bool {
        consecutiveFailures += 1
        let wasDown = isDown
        let isDown = wasDown || consecutiveFailures >= failuresUntilDown
        phase = isDown ? .down(reason: reason) : .suspect(reason: reason)
        return isDown && !wasDown
    }

    /// Real traffic failed. True when the server should be probed at once.
    mutating func trafficFailed(reason: String) -> Bool {
        switch phase {
        case .unknown, .up:
            phase = .suspect(reason: reason)
            return true
        case .suspect, .down: return false
        }
    }
}
