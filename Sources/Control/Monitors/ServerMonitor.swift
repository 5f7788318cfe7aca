import NIOCore
package import Routing
import Proxy
import Wire

/// What a monitor has to know of its server.
package struct MonitoredServer: Sendable, Equatable {
    package var id: BackendID
    package var name: String
    package var engine: ProbeTarget
    /// Where the original's health protocol is spoken; nil: the engine itself is asked.
    package var llmhealth: ProbeTarget?
    /// As configured; nil: find out.
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

/// Probes one server for as long as it is configured. Lives on one event loop; never waits for another server.
final class ServerMonitor {
    /// Model lists of engines that have a cheaper sign of life are asked for this often.
    private static let modelListInterval = Interval.seconds(10)
    /// `/slots` of an idle llama-server is asked for this often.
    private static let slotsInterval = Interval.seconds(5)
    /// After a first failure the second look comes so soon.
    private static let confirmDelay = Duration.milliseconds(250)

    private let server: MonitoredServer
    private let client: ProbeClient
    private let loop: any EventLoop
    private let timing: HealthMonitor.Timing
    private let report: @Sendable (Event) -> Void
    private let learned: @Sendable (BackendID, EngineKind?, [EngineReports.Model]?) -> Void
    /// Our own requests in flight there.
    private let inFlight: @Sendable (BackendID) -> Int
    private var kind: EngineKind?
    private var next: Scheduled<Void>?
    private var isProbing = false
    private var isStopped = false
    private var consecutiveFailures = 0
    private var modelsAskedAt: Moment?
    /// As llama-server told last, and when it was asked.
    private var slots: BackendReport.Slots?
    private var slotsAskedAt = Moment.zero
    /// How many slots there are has to be asked anew, whatever runs there.
    private var slotsAreStale = true
    /// Since when nothing of ours runs there.
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

    /// Now, unless a probe is under way.
    func probeNow() {
        guard !isProbing, !isStopped else { return }
        next?.cancel()
        isProbing = true
        let startedAt = Clock.now
        // The second look at a server that has just failed is quicker, so that a black hole is out within 5 s.
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
            // The server was not asked: what is known of it stays.
            delay = timing.interval
        case .failure(let error):
            consecutiveFailures += 1
            // It may come back as another one. Until it has told, the old number is better than no limit.
            slotsAreStale = true
            report(.probeFailed(server.id, reason: String(describing: error)))
            delay = consecutiveFailures == 1 ? min(timing.interval, Self.confirmDelay) : timing.interval
        }
        let elapsed = Int64(Clock.now.nanoseconds - startedAt.nanoseconds)
        let pause = Interval(delay).nanoseconds
        let wait = consecutiveFailures == 1 ? pause : max(0, pause - elapsed)
        let bound = NIOLoopBound(self, eventLoop: loop)
        next = loop.scheduleTask(in: .nanoseconds(wait)) { bound.value.probeNow() }
        if case .success = result { refreshModels() }
    }

    // MARK: Signs of life

    private func probe(timeout: Duration) -> EventLoopFuture<BackendReport> {
        if let llmhealth = server.llmhealth { return probeLLMHealth(llmhealth, timeout) }
        switch kind {
        case .llamaServer: return probeLlamaServer(timeout)
        case nil, .ollama, .vllm, .sglang, .openai: return probeModelList(timeout)
        }
    }

    /// The original's protocol, and whether the engine beside it listens at all.
    private func probeLLMHealth(_ llmhealth: ProbeTarget, _ timeout: Duration) -> EventLoopFuture<BackendReport> {
        let listens = client.connect(to: server.engine, timeout: timeout, on: loop)
        return client.get("/llmhealth", from: llmhealth, timeout: timeout, on: loop).flatMapThrowing { response in
            guard response.status == 200 else {
                throw ProbeClient.Failure(description: "/llmhealth answered \(response.status)")
            }
            guard let report = EngineReports.llmhealth(response.body) else {
                throw ProbeClient.Failure(description: "/llmhealth answered neither JSON with a status nor idle or busy")
            }
            return report
        }.and(listens).map(\.0)
    }

    /// `/health` every time, slots rarely and not while something of ours runs there or has just left: `/slots` goes
    /// through llama-server's task queue, and every call puts off by a second the moment at which it looks whether the
    /// client of a silent request has gone.
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
            // `/props` does not go through the task queue: it may be asked at any time.
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
            // `/props` first: `/slots` is not asked of a sleeping model.
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

    /// Another engine has taken the place of the one that was found out: look again.
    private func forgetKind() { kind = server.kind }

    /// Engines without a health endpoint of their own: their model list is the sign of life.
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

    /// Asks for the model list when it is time, beside the probes.
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
                // Learn its slots at once, not at the next round.
                if found == .llamaServer, server.llmhealth == nil {
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
