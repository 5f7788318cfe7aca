import NIOCore
import Proxy
import Routing

/// Model lists, and what they show about the engine.
extension ServerMonitor {
    /// Requests the model list when it is due, in addition to the probes.
    func refreshModels() {
        let now = Clock.now
        guard findings.listIsDue(at: now), server.llmhealth != nil || findings.kind?.hasHealthCheck == true,
            !findings.lacksHealthCheck
        else { return }
        findings.modelsAskedAt = now
        let bound = NIOLoopBound(self, eventLoop: loop)
        get("/v1/models").whenSuccess { bound.value.note($0) }
    }

    /// Handles an answer to `/v1/models`.
    func note(_ response: ProbeClient.Response) {
        guard !isStopped else { return }
        let models = response.status == 200 ? EngineReports.models(response.body) : nil
        findings.refusal = refusal(response.status)
        detect(server: response.server, models)
        complete(models)
    }

    private func refusal(_ status: Int) -> String? {
        let hasKey = server.engine.headers.contains { $0.name.lowercased() == "authorization" }
        let key = (hasKey ? "check the value of" : "set") + " servers.\(server.name).api-key"
        return switch status {
        case 401: "answers 401 to /v1/models, so its models are unknown; \(key)"
        case 403:
            "answers 403 to /v1/models, so its models are unknown; \(key), or let the engine accept requests for "
                + server.engine.address.authority
        default: nil
        }
    }

    func note(_ props: EngineReports.Properties) {
        (findings.contextTokens, findings.sees) = (props.contextTokens, props.sees)
        if props.routerMode != nil, findings.routerMode == nil { findings.modelsAskedAt = nil }
        findings.routerMode = props.routerMode
        note(isSleeping: props.isSleeping)
    }

    private func note(isSleeping: Bool) {
        guard isSleeping != findings.isSleeping else { return }
        findings.isSleeping = isSleeping
        findings.modelsAskedAt = nil
    }

    private func get(_ path: String) -> EventLoopFuture<ProbeClient.Response> {
        client.get(path, from: server.engine, timeout: timing.timeout, on: loop)
    }

    // MARK: Which engine it is

    private func detect(server name: String?, _ models: [EngineReports.Model]?) {
        guard server.kind == nil else { return }
        let found = EngineReports.kind(server: name, models: models)
        let isCertain = !EngineReports.ownerIsNamespace(server: name, models)
        if let found, found != .openai, isCertain { return became(found) }
        guard models != nil, !findings.hasAskedForSigns else { return }
        findings.hasAskedForSigns = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        askForSigns(EngineReports.signs[...], else: found ?? .openai).whenComplete { result in
            // A sign that could not be asked for is asked for again.
            if let kind = try? result.get() { bound.value.became(kind) } else { bound.value.findings.hasAskedForSigns = false }
        }
    }

    /// The kind of the first sign that the engine shows, else the other one.
    private func askForSigns(
        _ signs: ArraySlice<EngineReports.Sign>, else other: EngineKind
    ) -> EventLoopFuture<EngineKind> {
        guard let sign = signs.first else { return loop.makeSucceededFuture(other) }
        let bound = NIOLoopBound(self, eventLoop: loop)
        return get(sign.path).flatMap { response in
            if response.status == 200, sign.isShown(response.body) { return bound.value.loop.makeSucceededFuture(sign.kind) }
            return bound.value.askForSigns(signs.dropFirst(), else: other)
        }
    }

    private func became(_ kind: EngineKind) {
        guard kind != findings.kind, !isStopped else { return }
        findings.kind = kind
        findings.routerMode = nil
        (findings.cacheTokens, findings.hasToldCache) = (nil, false)
        findings.modelsAskedAt = nil
        // Get the slots and the states of models at once, not with the next scheduled probe.
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute { bound.value.probeNow() }
    }

    // MARK: Which models are loaded

    /// Adds what the engine tells elsewhere about its models, and passes them on.
    private func complete(_ models: [EngineReports.Model]?) {
        guard let models else { return publish(nil) }
        let bound = NIOLoopBound(self, eventLoop: loop)
        switch findings.kind {
        case .ollama:
            body(of: "/api/tags").and(body(of: "/api/ps")).whenSuccess { tags, running in
                bound.value.publish(
                    EngineReports.ollama(models, tags: tags, running: running, last: bound.value.findings.models))
            }
        case .lmStudio:
            body(of: "/api/v0/models").whenSuccess { body in
                bound.value.publish(EngineReports.lmStudio(models, detailed: body, last: bound.value.findings.models))
            }
        case .llamaSwap:
            body(of: "/running").whenSuccess { body in
                bound.value.publish(EngineReports.llamaSwap(models, running: body, last: bound.value.findings.models))
            }
        case .llamaServer where findings.routerMode != nil:
            let known = findings.processes.note(models)
            publish(known)
            askProcesses(of: known)
            countBusySlots()
        case .llamaServer where findings.isSleeping:
            publish(models.map { $0.with(.loading) })
        case .vllm, .sglang:
            publish(models)
            askForPromptCache()
        case nil, .llamaServer, .openai: publish(models)
        }
    }

    /// Asks once how much the engine's prompt cache holds. One that cannot be reached is asked again with the next list.
    private func askForPromptCache() {
        let kind = findings.kind
        guard !findings.hasToldCache, let page = EngineReports.promptCachePage(of: kind) else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        get(page).whenSuccess { response in
            guard kind == bound.value.findings.kind else { return }
            bound.value.findings.hasToldCache = true
            guard response.status == 200 else { return }
            bound.value.findings.cacheTokens = EngineReports.promptCacheTokens(response.body, of: kind)
            bound.value.publish(bound.value.findings.models)
        }
    }

    /// Asks the processes that a router has started since for their slots and contexts. `/props` wakes no model, and can be asked while
    /// the process computes. What they tell is published with the next list, which is soon asked for: this one may be outdated by then.
    private func askProcesses(of models: [EngineReports.Model]) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        for model in findings.processes.unasked(in: models) {
            let arguments = findings.processes.arguments(of: model)
            body(of: ModelProcesses.target("/props", model: model)).whenSuccess { body in
                guard let props = body.flatMap(EngineReports.props) else { return }
                bound.value.findings.processes.learned(props, of: model, arguments: arguments)
                bound.value.findings.modelsAskedAt = nil
            }
        }
    }

    /// Counts the slots that a router's processes use for others. Not while requests of this balancer run there, as of a server with one
    /// model.
    ///
    /// The total is 0: only the processes have a limit, and the router may start another one.
    private func countBusySlots() {
        let askedAt = Clock.now
        guard inFlight(server.id) == 0, findings.slots.quietSince + Self.slotsInterval <= askedAt else { return }
        let answers = findings.processes.sleepless.prefix(ModelProcesses.mostAsked).map { model in
            body(of: ModelProcesses.target("/slots", model: model)).map { $0.flatMap(EngineReports.slots)?.busy ?? 0 }
        }
        let bound = NIOLoopBound(self, eventLoop: loop)
        EventLoopFuture.reduce(0, answers, on: loop, +).whenSuccess { busy in
            bound.value.findings.slots.last = .init(total: 0, busy: busy, countedAt: askedAt)
        }
    }

    /// Nil when there is no good answer.
    private func body(of path: String) -> EventLoopFuture<[UInt8]?> {
        get(path).map { $0.status == 200 ? $0.body : nil }.recover { _ in nil }
    }

    private func publish(_ models: [EngineReports.Model]?) {
        guard !isStopped else { return }
        var models = models
        for index in (models ?? []).indices { models?[index].cacheTokens = findings.cacheTokens }
        if let models { findings.models = models }
        learned(server.id, findings.kind, models)
        if let models { report(.modelsListed(server.id, models.filter(\.isAvailable).map(\.listed))) }
    }
}
