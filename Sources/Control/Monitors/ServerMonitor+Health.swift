import NIOCore
import Proxy
import Routing

/// Health checks, in the way of each kind of engine. None of them loads a model or wakes a sleeping one.
extension ServerMonitor {
    /// How often to request `/props` of an idle llama-server, and `/slots` at first (`EngineFindings.SlotFindings`).
    static let slotsInterval = Interval.seconds(5)

    func probe(timeout: Duration) -> EventLoopFuture<BackendReport> {
        guard let llmhealth = server.llmhealth else { return probeEngine(timeout) }
        let load = load(from: llmhealth, timeout)
        return probeEngine(timeout).flatMap { engine in
            load.map { load in
                var report = engine
                report.isBusy = load.isBusy
                report.gpuUtilisation = load.gpuUtilisation
                return report
            }
        }
    }

    private func probeEngine(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        switch findings.kind {
        case .llamaServer: probeLlamaServer(timeout)
        case .vllm, .llamaSwap: probeHealth("/health", timeout)
        case .sglang: probeSGLang(timeout)
        case .ollama: probeHealth("/api/version", timeout)
        case .lmStudio: probeHealth("/api/v0/models", timeout)
        // Generic `/health` endpoints are not used: LiteLLM's runs a request on every model.
        case nil, .openai: server.llmhealth == nil ? probeModelList(timeout) : probeConnection(timeout)
        }
    }

    /// The health port reports that the machine works; the engine only has to accept connections. Its models are requested in
    /// addition.
    private func probeConnection(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        let report = healthy()
        return client.connect(to: server.engine, timeout: timeout, on: loop).map { report }
    }

    /// The report of an engine that works.
    private func healthy(slots: BackendReport.Slots? = nil) -> BackendReport {
        var report = BackendReport(
            isBusy: false, slots: slots, warning: findings.refusal,
            resumesStreams: findings.kind == .llamaServer && !findings.isOldLlamaServer,
            contextTokens: findings.contextTokens, sees: findings.sees)
        if let routerMode = findings.routerMode {
            report.mostLoadedModels = routerMode.mostLoadedModels
            report.loadsModelsItself = routerMode.loadsModelsItself
        }
        return report
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

    /// Requests the health check of the engine's kind. When the engine does not have it, requests the model list instead, and
    /// detects the engine again.
    private func probeHealth(_ path: String, _ timeout: Duration) -> EventLoopFuture<BackendReport> {
        if findings.lacksHealthCheck { return probeModelList(timeout) }
        let bound = NIOLoopBound(self, eventLoop: loop)
        return client.get(path, from: server.engine, timeout: timeout, on: loop).flatMap { response in
            let monitor = bound.value
            switch response.status {
            case 200..<300: return monitor.loop.makeSucceededFuture(monitor.healthy())
            case 500...:
                let failure = ProbeClient.Failure(description: "its \(path) answered \(response.status)")
                return monitor.loop.makeFailedFuture(failure)
            default:
                monitor.noteMissingHealthCheck()
                return monitor.probeModelList(timeout)
            }
        }
    }

    /// The engine may have become another one, so its signs are looked for again.
    private func noteMissingHealthCheck() {
        findings.kindWithoutHealthCheck = findings.kind
        findings.hasAskedForSigns = false
    }

    /// SGLang computes a token for each request of `/health`, and answers it after a second or later. It is requested rarely, beside
    /// the probes, and only its 503 counts.
    private func probeSGLang(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        let now = Clock.now
        if findings.rareHealthAskedAt + Interval(timing.interval * 10) <= now {
            findings.rareHealthAskedAt = now
            let bound = NIOLoopBound(self, eventLoop: loop)
            client.get("/health", from: server.engine, timeout: .seconds(20), on: loop).whenSuccess { response in
                bound.value.findings.illness = response.status == 503 ? "its /health answered 503" : nil
            }
        }
        if let illness = findings.illness { return loop.makeFailedFuture(ProbeClient.Failure(description: illness)) }
        return probeModelList(timeout)
    }

    /// For engines without a health check of their own: requests the model list.
    private func probeModelList(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        return client.get("/v1/models", from: server.engine, timeout: timeout, on: loop).flatMapThrowing { response in
            guard response.status < 500 else {
                throw ProbeClient.Failure(description: "/v1/models answered \(response.status)")
            }
            bound.value.note(response)
            return bound.value.healthy()
        }
    }

    // MARK: llama-server

    /// Requests `/health` every time. Requests the slots rarely, and not while this balancer's requests are in flight or have
    /// just ended: `/slots` goes through llama-server's task queue, and each call delays by one second the check whether the
    /// client of a silent request has disconnected.
    private func probeLlamaServer(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        if findings.lacksHealthCheck { return probeModelList(timeout) }
        let bound = NIOLoopBound(self, eventLoop: loop)
        return probeWithSlots(timeout).flatMapError { error in
            guard error is MissingHealthCheck else { return bound.value.loop.makeFailedFuture(error) }
            bound.value.noteMissingHealthCheck()
            return bound.value.probeModelList(timeout)
        }
    }

    private func probeWithSlots(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let alive = client.get("/health", from: server.engine, timeout: timeout, on: loop).flatMapThrowing { response in
            guard response.status != 200 else {
                bound.value.findings.isOldLlamaServer = EngineReports.isOldLlamaServer(response.body)
                return
            }
            if response.status == 404 { throw MissingHealthCheck() }
            throw ProbeClient.Failure(
                description: response.status == 503 ? "loading its model" : "/health answered \(response.status)")
        }
        let running = inFlight(server.id)
        let now = Clock.now
        if running > 0 { findings.slots.used(at: now) }
        let (slots, interval) = (findings.slots, Self.slotsInterval)
        let isDue = slots.areStale || (slots.quietSince + interval <= now && slots.askedAt + interval <= now)
        guard running > 0 || !isDue else {
            findings.slots.askedAt = now
            return alive.flatMap { bound.value.askForSlots(timeout) }
        }
        var known = slots.last
        if let total = known?.total, total > 0, running > 0 || slots.quietSince > slots.askedAt {
            known = .init(total: total, busy: min(running, total))
        }
        guard slots.areStale || findings.isSleeping && running > 0 else {
            let old = known
            return alive.map { bound.value.healthy(slots: old) }
        }
        let old = known
        return alive.flatMap { bound.value.countSlots(running: running, else: old, timeout) }
    }

    /// `/props` does not go through the task queue, so it can be requested at any time.
    private func countSlots(
        running: Int, else known: BackendReport.Slots?, _ timeout: Duration
    ) -> EventLoopFuture<BackendReport> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        return client.get("/props", from: server.engine, timeout: timeout, on: loop).map { response in
            let props = response.status == 200 ? EngineReports.props(response.body) : nil
            if let props { bound.value.note(props) }
            let total = props?.totalSlots
            return bound.value.learned(slots: total.map { .init(total: $0, busy: min(running, $0)) } ?? known)
        }
    }

    private func askForSlots(_ timeout: Duration) -> EventLoopFuture<BackendReport> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        // `/props` first, because `/slots` is not requested while the model is sleeping.
        return client.get("/props", from: server.engine, timeout: timeout, on: loop).flatMap { response in
            let monitor = bound.value
            guard response.status == 200, let props = EngineReports.props(response.body) else {
                return monitor.loop.makeSucceededFuture(monitor.learned(slots: nil))
            }
            monitor.note(props)
            let total = props.totalSlots.map { BackendReport.Slots(total: $0, busy: 0) }
            // Only its processes have slots, which are asked for with the list of models.
            if props.routerMode != nil {
                return monitor.loop.makeSucceededFuture(monitor.learned(slots: monitor.findings.slots.last))
            }
            if props.isSleeping { return monitor.loop.makeSucceededFuture(monitor.learned(slots: total)) }
            let askedAt = Clock.now
            guard monitor.findings.slots.mayCount(at: askedAt) else {
                return monitor.loop.makeSucceededFuture(monitor.learned(slots: total))
            }
            return monitor.client.get("/slots", from: monitor.server.engine, timeout: timeout, on: monitor.loop).map { response in
                var slots = response.status == 200 ? EngineReports.slots(response.body) : nil
                slots?.countedAt = askedAt
                bound.value.findings.slots.counted(busy: slots?.busy ?? 0, at: askedAt)
                return bound.value.learned(slots: slots ?? total)
            }
        }
    }

    private func learned(slots: BackendReport.Slots?) -> BackendReport {
        findings.slots.last = slots
        findings.slots.areStale = false
        return healthy(slots: slots)
    }
}

/// llama-server's `/health` answered 404.
private struct MissingHealthCheck: Error {}
