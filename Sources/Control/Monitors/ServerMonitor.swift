import NIOCore
package import Routing
import Proxy
import Wire

/// What a monitor needs to know about its server.
package struct MonitoredServer: Sendable, Equatable {
    package var id: BackendID
    package var name: String
    package var engine: ProbeTarget
    /// The target of the original's health protocol; nil: the engine itself is probed.
    package var llmhealth: ProbeTarget?
    /// The configured engine; nil: detect it.
    package var kind: EngineKind?
    /// `m-2`, `m-3` … beside `m` are instances of it.
    package var hasInstances: Bool

    package init(
        id: BackendID, name: String, engine: ProbeTarget, llmhealth: ProbeTarget? = nil, kind: EngineKind? = nil,
        hasInstances: Bool = true
    ) {
        self.id = id
        self.name = name
        self.engine = engine
        self.llmhealth = llmhealth
        self.kind = kind
        self.hasInstances = hasInstances
    }
}

/// The program on the health port did not answer properly, while the engine listens.
struct HealthPortFailure: Error, CustomStringConvertible {
    var description: String
}

/// Probes one server while it is configured. Runs on one event loop and never waits for another server.
final class ServerMonitor {
    /// The delay between a first failure and the probe that confirms it.
    private static let confirmDelay = Duration.milliseconds(250)

    let server: MonitoredServer
    let client: ProbeClient
    let loop: any EventLoop
    let timing: HealthMonitor.Timing
    let report: @Sendable (Event) -> Void
    let learned: @Sendable (BackendID, EngineKind?, [EngineReports.Model]?) -> Void
    /// The balancer's own requests in flight on the server.
    let inFlight: @Sendable (BackendID) -> Int
    var findings: EngineFindings
    private var next: Scheduled<Void>?
    private var isProbing = false
    private(set) var isStopped = false
    private var consecutiveFailures = 0
    private var answeredAt = Moment.zero

    init(
        server: MonitoredServer, client: ProbeClient, loop: any EventLoop, timing: HealthMonitor.Timing,
        report: @escaping @Sendable (Event) -> Void,
        learned: @escaping @Sendable (BackendID, EngineKind?, [EngineReports.Model]?) -> Void,
        inFlight: @escaping @Sendable (BackendID) -> Int
    ) {
        self.server = server
        self.client = client
        self.loop = loop
        self.timing = timing
        self.report = report
        self.learned = learned
        self.inFlight = inFlight
        findings = EngineFindings(kind: server.kind)
    }

    func stop() {
        isStopped = true
        next?.cancel()
    }

    /// Probes the server now, unless a probe is in progress.
    func probeNow() {
        guard !isProbing, !isStopped else { return }
        next?.cancel()
        isProbing = true
        let startedAt = Clock.now
        // Probes after a failure have a shorter timeout, so that a server that drops all packets is down within 5 s.
        let timeout = consecutiveFailures > 0 ? min(timing.timeout, .milliseconds(1500)) : timing.timeout
        let isComputing = inFlight(server.id) > 0
        let bound = NIOLoopBound(self, eventLoop: loop)
        probe(timeout: timeout).hop(to: loop).whenComplete { result in
            bound.value.ended(result, startedAt: startedAt, wasComputing: isComputing)
        }
    }

    private func ended(_ result: Result<BackendReport, any Error>, startedAt: Moment, wasComputing: Bool) {
        isProbing = false
        guard !isStopped else { return }
        let delay: Duration
        switch result {
        case .success(let backendReport):
            if consecutiveFailures > 0 { findings.modelsAskedAt = nil }
            consecutiveFailures = 0
            answeredAt = Clock.now
            findings.answered(whileComputing: wasComputing && inFlight(server.id) > 0)
            report(.probed(server.id, backendReport))
            delay = timing.interval
        case .failure(let error as ProbeClient.Failure) where error.isShortage:
            // The server was not probed, so its state does not change.
            delay = timing.interval
        case .failure(let error as ProbeClient.Failure) where error.isSilence && wasComputing && mayBeComputing:
            findings.wasSilent()
            delay = pauseAfterSilence
        case .failure(let error):
            consecutiveFailures += 1
            findings.engineFailed()
            let engineListens = error is HealthPortFailure
            report(.probeFailed(server.id, reason: String(describing: error), engineListens: engineListens))
            delay = consecutiveFailures == 1 ? min(timing.interval, Self.confirmDelay) : timing.interval
        }
        let elapsed = Int64(Clock.now.nanoseconds - startedAt.nanoseconds)
        let pause = Interval(delay).nanoseconds
        let wait = consecutiveFailures == 1 ? pause : max(0, pause - elapsed)
        let bound = NIOLoopBound(self, eventLoop: loop)
        next = loop.scheduleTask(in: .nanoseconds(wait)) { bound.value.probeNow() }
        if case .success = result { refreshModels() }
    }

    /// An engine with one thread accepts few connections while it computes, and each probe takes one of them. Five probes last
    /// for ten minutes.
    private var pauseAfterSilence: Duration {
        let factor = [5, 15, 45, 135, 405][min(max(0, findings.silences - 1), 4)]
        return timing.interval * factor
    }

    /// The engine may be silent because it computes: it accepted the connection, and it has never answered a probe while it
    /// computed.
    private var mayBeComputing: Bool {
        !findings.answersWhileComputing && inFlight(server.id) > 0 && answeredAt + Interval(timing.busyTimeout) > Clock.now
    }
}
