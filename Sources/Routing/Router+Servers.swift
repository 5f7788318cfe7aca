// Changes of servers: probe results and a new configuration.

extension Router {
    mutating func probed(
        _ id: BackendID, _ report: BackendReport, _ now: Moment, _ effects: inout [Effect]
    ) {
        guard let index = indexOfBackend[id] else { return }
        let (old, oldLimit) = (backends[index].health, backends[index].limit)
        let wasDown = old.isDown
        var report = report
        // Slots that serve this balancer's own requests do not make the machine busy: the limit already accounts for them.
        if let slots = report.slots, slots.total > 0, slots.busy - backends[index].inFlight >= slots.total {
            report.isBusy = true
        }
        if old.lastReport?.contextTokens != report.contextTokens || old.lastReport?.sees != report.sees
            || old.lastReport?.loadsModelsItself != report.loadsModelsItself
        {
            forgetCandidates()
        }
        backends[index].health.probed(report, at: now)
        backends[index].memory.stated = report.mostLoadedModels
        if let slots = report.slots { backends[index].count(slots) }
        tell(of: index, wasUp: !wasDown && old.phase != .unknown, oldWarning: old.lastReport?.warning, &effects)
        if wasDown {
            forgetCandidates()
            backends[index].circuits.removeAll()
        }
        if wasDown || backends[index].limit != oldLimit { serveWaiting(now, &effects) }
    }

    mutating func listed(_ id: BackendID, _ models: [ListedModel], _ now: Moment, _ effects: inout [Effect]) {
        guard let index = indexOfBackend[id] else { return }
        let isNew = backends[index].models?.models != models
        if isNew {
            noteFailedLoads(index, models, now, &effects)
            backends[index].list(models, at: now.seconds)
        }
        // The same list may correct what was believed since the last one.
        guard isNew || backends[index].memory.isTold else { return }
        backends[index].remember(models, conversationTime: fleet.policy.conversationTime, at: now.seconds)
        forgetUnloaded(index)
        if isNew { forgetCandidates() }
        serveWaiting(now, &effects)
    }

    /// Loading a model pushes out others, also if it fails again. So after the engine has said that it failed, only trials are made.
    private mutating func noteFailedLoads(
        _ index: Int, _ models: [ListedModel], _ now: Moment, _ effects: inout [Effect]
    ) {
        for model in models {
            let hadFailed = backends[index].models?.residency(of: model.name) == .failed
            for name in [model.name, ModelName.withoutLatest(model.name)] + model.aliases {
                if model.residency == .failed, !hadFailed {
                    let trial = backends[index].circuits.opened(
                        name, for: fleet.policy.longestCircuitPause, reason: "the engine could not load the model", at: now)
                    if let trial { wake(at: trial, &effects) }
                } else if model.residency == .loaded, hadFailed {
                    backends[index].circuits.closed(name)
                }
            }
        }
    }

    private func tell(of index: Int, wasUp: Bool, oldWarning: String?, _ effects: inout [Effect]) {
        let backend = backends[index]
        guard !backend.isRemoved else { return }
        if !wasUp { effects.append(.serverNews(server: backend.server.name, .up)) }
        if let warning = backend.health.lastReport?.warning, warning != oldWarning {
            effects.append(.serverNews(server: backend.server.name, .warning(warning)))
        }
    }

    mutating func probeFailed(
        _ id: BackendID, _ reason: String, _ engineListens: Bool, _ now: Moment, _ effects: inout [Effect]
    ) {
        guard let index = indexOfBackend[id] else { return }
        let change = backends[index].health.probeFailed(
            reason: reason, engineListens: engineListens, failuresUntilDown: fleet.policy.failuresUntilDown, at: now)
        if change.contains(.engineLost) {
            forgetCaches(index)
            // Sorted, because a dictionary has no fixed order and a replay must give the same effects.
            let lost = running.filter { $0.value.backend == id }.map(\.key)
            for ticket in lost.sorted(by: { $0.rawValue < $1.rawValue }) { effects.append(.serverLost(ticket)) }
        }
        guard change.contains(.takenDown) else { return }
        if !backends[index].isRemoved {
            effects.append(.serverNews(server: backends[index].server.name, .down(reason: reason)))
        }
        forgetCandidates()
        // Requests that could only run on this server no longer have a reason to wait.
        serveWaiting(now, &effects)
    }

    mutating func changeFleet(_ new: Fleet, _ now: Moment, _ effects: inout [Effect]) {
        fleetNumber += 1
        let oldTime = fleet.policy.conversationTime
        keys.change(new.keyLimits, at: now.seconds)
        rebuildBackends(new)
        if new.policy.conversationTime != oldTime { setConversationTime(new.policy.conversationTime, at: now.seconds) }
        for backend in backends where backend.isRemoved { sessions.forget(backend.id) }
        for index in backends.indices where backends[index].isRemoved { forgetCaches(index) }
        serveWaiting(now, &effects)
    }

    private mutating func setConversationTime(_ seconds: Double, at now: Double) {
        habits.setConversationTime(seconds, at: now)
        for index in backends.indices {
            for served in backends[index].served.indices {
                backends[index].served[served].cache.setLifetime(seconds * PriceWeights.lifetime, at: now)
                backends[index].served[served].missed.setTimeConstant(seconds, at: now)
            }
        }
    }

    /// Adapts the backends to the fleet. Removed backends with requests in flight stay at the end of the list.
    mutating func rebuildBackends(_ new: Fleet) {
        fleet = new
        let old = backends
        backends = new.servers.map { server in
            guard var known = old.first(where: { $0.id == server.id }) else { return Backend(server: server) }
            known.server = server
            known.isRemoved = false
            return known
        }
        let present = Set(new.servers.map(\.id))
        for var gone in old where !present.contains(gone.id) {
            gone.isRemoved = true
            guard gone.isIdleOfRequests else {
                backends.append(gone)
                continue
            }
            sessions.forget(gone.id)
            for served in gone.served.indices { gone.served[served].cache.forget(in: &sequences) }
        }
        indexOfBackend = BackendTable(backends.indices.map { (backends[$0].id, $0) })
        forgetCandidates()
    }
}
