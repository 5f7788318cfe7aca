// The life of a request: it arrives, is placed, and ends.

extension Router {
    mutating func arrived(_ ticket: Ticket, _ traits: RequestTraits, _ now: Moment, _ effects: inout [Effect]) {
        var request = PendingRequest(ticket: ticket, traits: traits, arrivedAt: now)
        guard let list = candidates(for: traits) else { return refuse(request, nothingFor(traits), nil, now, &effects) }
        if let excess = reserve(ticket, traits, at: now) { return refuse(request, .keyLimit(excess), nil, now, &effects) }
        retryBudget.requestArrived(at: now)
        let share = fleet.keyShares.isEmpty ? nil : traits.key.flatMap { fleet.keyShares[$0] }
        request.weight = share?.weight ?? 1
        request.priority = (share?.priority ?? list.priority).lowered(to: traits.priority)
        if traits.counts { meet(&request, among: list, at: now) }
        place(request, among: list, now, &effects)
    }

    /// Runs the request, adds it to the waiting line, or refuses it.
    mutating func place(_ request: consuming PendingRequest, among list: CandidateList, _ now: Moment, _ effects: inout [Effect])
    {
        if line.count > 0, isPriced(list, request.traits), line.count < fleet.policy.maxWaiting {
            return joinLine(request, now, &effects)
        }
        request.mayHold = line.count < fleet.policy.maxWaiting
        let placement = placement(of: request, among: list, at: now)
        noteMissed(request, placement, at: now)
        if case .hold(let offer, _, _) = placement { request.predict(offer.price.firstToken, at: now) }
        switch placement {
        case .run(let choice, let explanation): grant(request, choice, explanation, now, &effects)
        case .hold(let offer, let until, let explanation):
            if let refusal = refusal(of: request, waiting: offer.price.wait) {
                return refuse(request, refusal, explanation, now, &effects)
            }
            wait(request, explanation, now, &effects)
            wakeForHold(until, now, &effects)
        case .wait(let explanation):
            guard line.count < fleet.policy.maxWaiting || request.history.attempts > 0 else {
                let refusal = Refusal.queueFull(waiting: line.count, retryAfterSeconds: retryAfterSeconds)
                return refuse(request, refusal, explanation, now, &effects)
            }
            if let refusal = refusal(of: request, among: list, at: now) {
                return refuse(request, refusal, explanation, now, &effects)
            }
            wait(request, explanation, now, &effects)
        case .nobody(let lastResort, let explanation): resort(to: lastResort, request, explanation, now, &effects)
        }
    }

    /// Adds the request to the waiting line.
    mutating func wait(
        _ request: consuming PendingRequest, _ explanation: Explanation, _ now: Moment, _ effects: inout [Effect]
    ) {
        note(.waits, on: request, explanation, at: now)
        // The deadline counts from now: the time of a failed attempt does not count as waiting.
        let deadline = now + fleet.policy.maxWait
        request.waitingSince = now
        let urgency = urgency(of: request, among: explanation.list, at: now)
        line.add(request, deadline: deadline, urgency: urgency)
        wake(at: min(deadline, nextChance(after: now) ?? deadline), &effects)
    }

    /// No server is up: the first candidate in order is tried once, then the request is refused.
    mutating func resort(
        to choice: Choice?, _ request: PendingRequest, _ explanation: Explanation, _ now: Moment, _ effects: inout [Effect]
    ) {
        if let choice, request.history.attempts == 0 {
            var explanation = explanation
            explanation.choice = choice
            return grant(request, choice, explanation, now, &effects)
        }
        let refusal: Refusal
        if let failure = request.history.failures.last?.text {
            refusal = .upstreamFailed(detail: failure)
        } else {
            let model = request.traits.model
            let trial = explanation.list.candidates.compactMap { backends[$0.index].circuits[model].opensForTrialAt }.min()
            let pause = trial.map { Int((max(0, $0.milliseconds(since: now)) / 1000).rounded(.up)) } ?? 0
            refusal = .noServerAvailable(
                detail: healthSummary(of: explanation.list, for: model), retryAfterSeconds: max(pause, retryAfterSeconds))
        }
        refuse(request, refusal, explanation, now, &effects)
    }

    mutating func grant(
        _ request: consuming PendingRequest, _ choice: Choice, _ explanation: consuming Explanation, _ now: Moment,
        _ effects: inout [Effect]
    ) {
        let (ticket, traits, index) = (request.ticket, request.traits, explanation.list.backend(of: choice))
        let instance = explanation.list.instance(of: choice)
        let id = backends[index].id
        let isTrial = backends[index].circuits.began(ticket, traits.model, at: now)
        backends[index].started(instance: instance, counts: traits.counts)
        let sessionModel = takesPlace(traits, among: explanation.list) ? explanation.list.model : nil
        let session = beginSession(traits, sessionModel, choice, at: id, instance, now)
        let waited = request.waitingSince.map { now.milliseconds(since: $0) }
        request.waitingSince = nil
        request.history.attempts += 1
        if let conversation = traits.conversation, traits.counts, !traits.namesServer {
            streamOwners.record(conversation, at: id)
        }
        let cache = beginJob(&request, choice, among: explanation.list, at: now)
        effects.append(
            .grant(
                ticket,
                Grant(
                    backend: id, serverName: backends[index].server.name, model: explanation.list.replacement(of: choice),
                    attempt: request.history.attempts, waitedMilliseconds: waited, isTrial: isTrial,
                    resumesStreams: backends[index].health.lastReport?.resumesStreams ?? false,
                    cache: cache, priority: request.priority, standing: standing(of: traits.key, at: now))))
        rememberForComparison(traits, explanation.list, id)
        totals.granted(cache, waitedMilliseconds: waited)
        let decision = note(.granted(attempt: request.history.attempts), on: request, explanation, at: now)
        running[ticket] = RunningRequest(
            request: request, backend: id, instance: instance, grantedAt: now, isLastResort: choice.reason == .lastResort,
            session: session, sessionModel: sessionModel, capacity: choice.capacity,
            decision: decision)
    }

    mutating func refuse(
        _ request: PendingRequest, _ refusal: Refusal, _ explanation: Explanation?, _ now: Moment, _ effects: inout [Effect]
    ) {
        settle(request.ticket, nil, isAnswered: false, at: now)
        note(.refused(refusal), on: request, explanation, at: now)
        effects.append(.refuse(request.ticket, refusal))
    }

    mutating func ended(_ ticket: Ticket, _ outcome: Outcome, _ now: Moment, _ effects: inout [Effect]) {
        guard let request = running.removeValue(forKey: ticket) else { return }
        // Of an answer that was broken off, or whose client left, something was computed; how much, nobody says.
        settle(ticket, outcome.timings, isAnswered: !request.hasFailed, at: now)
        if let created = outcome.created { owners.record(created, at: request.backend) }
        if let index = indexOfBackend[request.backend] {
            if !backends[index].isRemoved { endSession(of: request, at: now) }
            judge(ticket, request, outcome.ending, index, now, &effects)
            let end: JobEnd =
                switch outcome.ending {
                case .complete: .answered(outcome.timings)
                case .abandoned where !request.hasFailed: .abandoned
                case .abandoned, .broken: .failed
                }
            endJob(request, index, end, at: now.seconds)
            askForList(of: index, &effects)
            release(request, index)
        }
        if outcome.ending == .complete, request.traits.counts {
            serviceTime.add(now.milliseconds(since: request.grantedAt) / 1000)
        }
        serveWaiting(now, &effects)
    }

    /// Frees the request's place on its server. Afterwards `index` may refer to another server.
    mutating func release(_ request: RunningRequest, _ index: Int) {
        backends[index].ended(instance: request.instance, counts: request.traits.counts)
        if backends[index].isRemoved, backends[index].isIdleOfRequests { rebuildBackends(fleet) }
    }

    // MARK: Sessions

    private mutating func beginSession(
        _ traits: RequestTraits, _ model: String?, _ choice: Choice, at backend: BackendID, _ instance: String?, _ now: Moment
    ) -> SessionTable.Handle? {
        guard let model, let instance, choice.reason != .overflow else { return nil }
        if let known = choice.session {
            sessions.began(known, now: now)
            return known
        }
        return sessions.record(
            .init(client: traits.client, model: model), at: .init(backend: backend, instance: instance),
            capacity: choice.capacity, address: traits.shownAddress, now: now, limit: fleet.policy.stickyLimit)
    }

    /// A session's time to live starts at the end of its last request, however long the request took.
    private mutating func endSession(of request: RunningRequest, at now: Moment) {
        guard let session = request.session, let model = request.sessionModel, let instance = request.instance else { return }
        sessions.ended(
            .init(client: request.traits.client, model: model), at: .init(backend: request.backend, instance: instance),
            session, capacity: request.capacity, address: request.traits.shownAddress, now: now,
            limit: fleet.policy.stickyLimit)
    }

    // MARK: Details of refusals

    func nothingFor(_ traits: RequestTraits) -> Refusal {
        switch traits.destination {
        case .model(let model): .modelNotFound(model)
        case .fallback: .modelNotFound("")
        case .server(let name): .noSuchServer(name)
        }
    }

    /// An estimate of when the client should retry: the number of waiting requests times the average duration of a request,
    /// divided by the sum of the servers' limits.
    var retryAfterSeconds: Int {
        let places = backends.reduce(0.0) { $0 + Double($1.limit ?? 1) }
        let seconds = (serviceTime.value ?? 1) * Double(line.count + 1) / max(1, places)
        return max(1, min(600, Int(seconds.rounded(.up))))
    }

    private func healthSummary(of list: CandidateList, for model: String?) -> String {
        list.candidates.map { candidate in
            let backend = backends[candidate.index]
            let circuit = backend.circuits[model]
            if case .down(let reason) = backend.health.phase { return "\(backend.server.name) is down: \(reason)" }
            if !circuit.isClosed {
                return "\(backend.server.name) failed several requests in a row, the last one: \(circuit.lastFailure)"
            }
            if case .suspect(let reason) = backend.health.phase { return "\(backend.server.name) is suspect: \(reason)" }
            return "\(backend.server.name) is draining"
        }.joined(separator: "; ")
    }
}
