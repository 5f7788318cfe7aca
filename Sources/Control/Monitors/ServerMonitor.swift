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

    package init(
        id: BackendID, name: String, engine: ProbeTarget, llmhealth: ProbeTarget? = nil, kind: EngineKind? = nil
    ) {
        self.id = id
        self.name = name
        self.engine = engine
        self.llmhealth = llmhealth
        self.kind = kind
    }
}

/// The program on the health port did not answer properly, while the engine listens.
private struct HealthPortFailure: Error, CustomStringConvertible {
    var description: String
}

/// Probes one server while it is configured. Runs on one event loop and never waits for another server.
final class ServerMonitor {
    /// How often to request the model list of an engine that has a cheaper health check.
    private static let modelListInterval = Interval.seconds(10)
    /// How often to request `/slots` of an idle llama-server.
    private static let slotsInterval = Interval.seconds(5)
    /// The delay between a first failure and the probe that confirms it.
    private static let confirmDelay = Duration.milliseconds(250)

    private let server: MonitoredServer
    private let client: ProbeClient
    private let loop: any EventLoop
    private let timing: HealthMonitor.Timing
    private let report: @Sendable (Event) -> Void
    private let learned: @Sendable (BackendID, EngineKind?, [EngineReports.Model]?) -> Void
    /// The balancer's own requests in flight on the server.
    private let inFlight: @Sendable (BackendID) -> Int
    private var kind: EngineKind?
    private var next: Scheduled<Void>?
    private var isProbing = false
    private var isStopped = false
    private var consecutiveFailures = 0
    private var modelsAskedAt: Moment?
    /// The slots that llama-server last reported, and when `/slots` was last requested.
    private var slots: BackendReport.Slots?
    private var slotsAskedAt = Moment.zero
    /// The number of slots must be requested again, even while requests are in flight.
    private var slotsAreStale = true
    /// The last time at which a request of this balancer was in flight on the server.
    private var quietSince = Moment.zero

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
        kind = server.kind
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
        let bound = NIOLoopBound(self, eventLoop: loop)
        probe(timeout: timeout).hop(to: loop).whenComplete { result in
            bound.value.ended(result, startedAt: startedAt)
        }
    }

    private func ended(_ result: Result<BackendReport, any Error>, startedAt: Moment) {
        isProbing = false
        guard !isStopped else { return }
        let delay: Duration
        switch result {
        case .success(let backendReport):
            if consecutiveFailures > 0 { modelsAskedAt = nil }
            consecutiveFailures = 0
            report(.probed(server.id, backendReport))
            delay = timing.interval
        case .failure(let error as ProbeClient.Failure) where error.isShortage:
            // The server was not probed, so its state does not change.
            delay = timing.interval
        case .failure(let error):
            consecutiveFailures += 1
            // The server may come back with another configuration. Until it has reported its slots, the old number is better
            // than no limit.
            slotsAreStale = true
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

    // MARK: Health probes

    private func probe(timeout: Duration) -> EventLoopFuture<BackendReport> {
        guard let llmhealth = server.llmhealth else { return probeEngine(timeout) }
        let load = load(from: llmhealth, timeout)
        return probeEngine(timeout).flatMap { engine in
            load.map { load in BackendReport(isBusy: load.isBusy, gpuUtilisation: load.gpuUtilisation, slots: engine.slots) }
        }
    }

    private func probeEngine(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        switch kind {
        case .llamaServer: return probeLlamaServer(timeout)
        case nil, .ollama, .vllm, .sglang, .openai:
            if server.llmhealth == nil { return probeModelList(timeout) }
            // The health port reports that the machine works; the engine only has to accept connections. Its models are requested
            // in addition.
            return client.connect(to: server.engine, timeout: timeout, on: loop).map { BackendReport(isBusy: false) }
        }
    }

    /// The machine's load by the original's health protocol. Fails with `HealthPortFailure`.
    private func load(from llmhealth: ProbeTarget, _ timeout: Duration) -> EventLoopFuture<BackendReport> {
        client.get("/llmhealth", from: llmhealth, timeout: timeout, on: loop).flatMapThrowing { response in
            guard response.status == 200 else {
                throw ProbeClient.Failure(description: "/llmhealth answered \(response.status)")
            }
            guard let report = EngineReports.llmhealth(response.body) else {
                throw ProbeClient.Failure(description: "/llmhealth answered neither JSON with a status nor idle or busy")
            }
            return report
        }.flatMapErrorThrowing { error in
            if let failure = error as? ProbeClient.Failure, failure.isShortage { throw failure }
            throw HealthPortFailure(description: "health-port \(llmhealth.address.port): \(error)")
        }
    }

    /// Requests `/health` every time. Requests the slots rarely, and not while this balancer's requests are in flight or have
    /// just ended: `/slots` goes through llama-server's task queue, and each call delays by one second the check whether the
    /// client of a silent request has disconnected.
    private func probeLlamaServer(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        let (client, engine, loop) = (client, server.engine, loop)
        let bound = NIOLoopBound(self, eventLoop: loop)
        let alive = client.get("/health", from: engine, timeout: timeout, on: loop).flatMapThrowing { response in
            guard response.status == 200 else {
                if response.status == 404 { bound.value.forgetKind() }
                throw ProbeClient.Failure(
                    description: response.status == 503 ? "loading its model" : "/health answered \(response.status)")
            }
        }
        let running = inFlight(server.id)
        let now = Clock.now
        if running > 0 { quietSince = now }
        let isDue = slotsAreStale || (quietSince + Self.slotsInterval <= now && slotsAskedAt + Self.slotsInterval <= now)
        if running > 0 || !isDue {
            var known = slots
            if let total = known?.total, running > 0 || quietSince > slotsAskedAt { known?.busy = min(running, total) }
            guard slotsAreStale else {
                let report = BackendReport(isBusy: false, slots: known)
                return alive.map { report }
            }
            // `/props` does not go through the task queue, so it can be requested at any time.
            let old = known
            return alive.flatMap { client.get("/props", from: engine, timeout: timeout, on: loop) }.map { response in
                let total = response.status == 200 ? EngineReports.props(response.body)?.totalSlots : nil
                let slots = total.map { BackendReport.Slots(total: $0, busy: min(running, $0)) } ?? old
                bound.value.slots = slots
                bound.value.slotsAreStale = false
                return BackendReport(isBusy: false, slots: slots)
            }
        }
        slotsAskedAt = now
        return alive.flatMap {
            // `/props` first, because `/slots` is not requested while the model is sleeping.
            client.get("/props", from: engine, timeout: timeout, on: loop)
        }.flatMap { response -> EventLoopFuture<BackendReport.Slots?> in
            guard response.status == 200, let props = EngineReports.props(response.body) else {
                return loop.makeSucceededFuture(nil)
            }
            let total = props.totalSlots.map { BackendReport.Slots(total: $0, busy: 0) }
            if props.isSleeping { return loop.makeSucceededFuture(total) }
            return client.get("/slots", from: engine, timeout: timeout, on: loop).map { response in
                (response.status == 200 ? EngineReports.slots(response.body) : nil) ?? total
            }
        }.map { slots in
            bound.value.slots = slots
            bound.value.slotsAreStale = false
            return BackendReport(isBusy: false, slots: slots)
        }
    }

    /// Another engine has replaced the detected one, so the engine is detected again.
    private func forgetKind() { kind = server.kind }

    /// For engines without a health endpoint of their own: requests the model list as the health check.
    private func probeModelList(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        return client.get("/v1/models", from: server.engine, timeout: timeout, on: loop).flatMapThrowing { response in
            guard response.status < 500 else {
                throw ProbeClient.Failure(description: "/v1/models answered \(response.status)")
            }
            bound.value.note(response)
            return BackendReport(isBusy: false)
        }
    }

    // MARK: Model lists

    /// Requests the model list when it is due, in addition to the probes.
    private func refreshModels() {
        let now = Clock.now
        let isDue = modelsAskedAt.map { $0 + Self.modelListInterval <= now } ?? true
        guard isDue, server.llmhealth != nil || kind == .llamaServer else { return }
        modelsAskedAt = now
        let bound = NIOLoopBound(self, eventLoop: loop)
        client.get("/v1/models", from: server.engine, timeout: timing.timeout, on: loop).whenSuccess { response in
            bound.value.note(response)
        }
    }

    private func note(_ response: ProbeClient.Response) {
        guard !isStopped else { return }
        let models = response.status == 200 ? EngineReports.models(response.body) : nil
        if server.kind == nil {
            let found = EngineReports.kind(server: response.server, models: models)
            if let found, found != kind {
                kind = found
                // Get the slots at once, not with the next scheduled probe.
                if found == .llamaServer {
                    modelsAskedAt = Clock.now
                    let bound = NIOLoopBound(self, eventLoop: loop)
                    loop.execute { bound.value.probeNow() }
                }
            }
        }
        learned(server.id, kind, models)
        if let models { report(.modelsListed(server.id, models.map(\.id))) }
    }
}
