/// Whether a server is up and whether its machine is busy, according to probes and real traffic.
package struct HealthState: Sendable, Equatable {
    package enum Phase: Sendable, Equatable {
        /// No probe has returned yet. Entered at start; left with the first probe. Gets requests, but only after idle
        /// servers.
        case unknown
        case up
        /// A request or a probe failed. Still gets requests. Left with the next successful probe, or when enough probes in a
        /// row have failed.
        case suspect(reason: String)
        /// Gets no new requests. Left with the first successful probe.
        case down(reason: String)
    }

    /// What a failed probe changes.
    package struct Change: OptionSet, Sendable {
        package let rawValue: Int

        package init(rawValue: Int) { self.rawValue = rawValue }

        /// The server gets no new requests from now on.
        package static let takenDown = Change(rawValue: 1)
        /// The engine is dead: requests that run there are lost.
        package static let engineLost = Change(rawValue: 2)
    }

    private(set) var phase = Phase.unknown {
        didSet { if case .down = phase { isDown = true } else { isDown = false } }
    }
    /// Read for each candidate of each request: without a look at the phase, which has a text.
    private(set) var isDown = false
    private(set) var lastReport: BackendReport?
    /// The slots of the last report; 0 when the engine has none, or does not tell them. Read several times for each request.
    private(set) var slots = 0
    /// When the last probe ended, well or not.
    private(set) var lastProbeAt: Moment?
    private var consecutiveFailures = 0
    /// Failures in a row in which the engine did not listen either.
    private var engineFailures = 0
    /// One bit for each sample, set when busy. The newest sample is the lowest bit.
    private var busySamples: UInt64 = 0
    private var sampleCount = 0

    init() {}

    /// True when any of the last `window` samples was busy, or when there is no sample yet (the safe assumption, as in the
    /// original).
    func isBusy(window: Int) -> Bool {
        guard sampleCount > 0 else { return true }
        let mask = window >= 64 ? UInt64.max : (UInt64(1) << UInt64(max(1, window))) - 1
        return busySamples & mask != 0
    }

    mutating func probed(_ report: BackendReport, at now: Moment) {
        phase = .up
        consecutiveFailures = 0
        engineFailures = 0
        lastReport = report
        slots = max(0, report.slots?.total ?? 0)
        lastProbeAt = now
        busySamples = busySamples << 1 | (report.isBusy ? 1 : 0)
        sampleCount = min(sampleCount + 1, 64)
    }

    /// `engineListens`: the engine accepts connections, so requests that run there may go on.
    mutating func probeFailed(
        reason: String, engineListens: Bool = false, failuresUntilDown: Int, at now: Moment
    ) -> Change {
        lastProbeAt = now
        let (wasDown, wasLost) = (isDown, engineFailures >= failuresUntilDown)
        consecutiveFailures += 1
        engineFailures = engineListens ? 0 : engineFailures + 1
        let isDown = wasDown || consecutiveFailures >= failuresUntilDown
        phase = isDown ? .down(reason: reason) : .suspect(reason: reason)
        var change = Change()
        if isDown, !wasDown { change.insert(.takenDown) }
        if engineFailures >= failuresUntilDown, !wasLost { change.insert(.engineLost) }
        return change
    }

    /// A request failed. True when the server should be probed at once.
    mutating func trafficFailed(reason: String) -> Bool {
        switch phase {
        case .unknown, .up:
            phase = .suspect(reason: reason)
            return true
        case .suspect, .down: return false
        }
    }
}
