// What happens to the request and to the server after a failed attempt.

extension Router {
    mutating func attemptFailed(
        _ ticket: Ticket, _ failure: AttemptFailure, _ now: Moment, _ effects: inout [Effect]
    ) {
        guard let running = running[ticket], let index = indexOfBackend[running.backend] else { return }
        // Its answer is being forwarded.
        if failure.holdsAnswer, running.hasFailed { return keepAnswer(ticket, now, &effects) }
        if failure == .promptTooLong { return answeredTooLong(running, index, now, &effects) }
        if case .answered(let status, let retryAfter) = failure {
            switch RetryableStatus(status, isSearch: running.traits.isSearch) {
            case .full: return answeredFull(running, index, retryAfter: retryAfter, now, &effects)
            case .failed: return answeredError(running, index, failure.message, now, &effects)
            case .missing: return answeredMissing(running, index, failure.message, now, &effects)
            case nil: return keepAnswer(ticket, now, &effects)
            case .unavailable: break
            }
        }
        var request = running.request
        request.history.failures.append(
            .init(backend: running.backend, text: "\(backends[index].server.name) \(failure.message)"))
        if running.hasFailed {
            // The server's circuit has already counted its 503. If the rest of that answer breaks, that is the same failure.
        } else if failure == .serverLost {
            backends[index].circuits.abandoned(ticket, request.traits.model, at: now)
        } else {
            blame(index, ticket, request.traits.model, failure.message, now, &effects)
        }
        let mayRetry =
            mayBeTriedAgain(request) && failure.isRepeatable
            && (isMove(running, failure, index) || retryBudget.spend(policy: fleet.policy, at: now))

        if case .answered = failure {
            guard mayRetry, let list = candidates(for: request.traits),
                case .run(let choice, let explanation) = placement(of: request, among: list, at: now)
            else {
                return keepAnswer(ticket, now, &effects)
            }
            return move(running, request, from: index, choice, explanation, now, &effects)
        }

        if failure != .serverLost, backends[index].health.trafficFailed(reason: failure.message) {
            effects.append(.probeNow(running.backend))
        }
        leave(running, index, now, &effects)
        let detail = request.history.failures.last?.text ?? ""
        if running.isLastResort {
            let refusal = Refusal.noServerAvailable(detail: detail, retryAfterSeconds: retryAfterSeconds)
            refuse(request, refusal, nil, now, &effects)
        } else if mayRetry, let list = candidates(for: request.traits) {
            place(request, among: list, now, &effects)
        } else {
            refuse(request, .upstreamFailed(detail: detail), nil, now, &effects)
        }
        serveWaiting(now, &effects)
    }

    /// Attempts that met a full server, or one that cannot answer the request, do not count.
    func mayBeTriedAgain(_ request: PendingRequest) -> Bool {
        request.history.attempts - request.history.timesFull - request.history.timesUnable < fleet.policy.maxAttempts
    }

    /// The client gets the attempt's own answer.
    mutating func keepAnswer(_ ticket: Ticket, _ now: Moment, _ effects: inout [Effect]) {
        running[ticket]?.hasFailed = true
        effects.append(.keepAnswer(ticket))
        // If this was a trial, requests that waited for its result may have nothing left to wait for.
        serveWaiting(now, &effects)
    }

    /// Removes the request from its server. Afterwards `index` may refer to another server.
    mutating func leave(_ request: RunningRequest, _ index: Int, _ now: Moment, _ effects: inout [Effect]) {
        running[request.request.ticket] = nil
        endJob(request, index, .failed, at: now.seconds)
        askForList(of: index, &effects)
        if let session = request.session { sessions.left(session) }
        release(request, index)
    }

    /// A request that was on its server when the server began to fail is moved, not retried. This happens only once, for any
    /// number of requests.
    private func isMove(_ request: RunningRequest, _ failure: AttemptFailure, _ index: Int) -> Bool {
        guard failure != .serverLost else { return true }
        return backends[index].circuits[request.traits.model].failingSince.map { request.grantedAt <= $0 } ?? false
    }

    /// Counts a failed request against its server.
    mutating func blame(
        _ index: Int, _ ticket: Ticket, _ model: String?, _ reason: String, _ now: Moment, _ effects: inout [Effect]
    ) {
        let trial = backends[index].circuits.failed(ticket, model, reason: reason, policy: fleet.policy, at: now)
        if let trial { wake(at: trial, &effects) }
    }

    /// Updates the server's circuit and health according to how a request ended.
    mutating func judge(
        _ ticket: Ticket, _ request: RunningRequest, _ ending: Outcome.Ending, _ index: Int, _ now: Moment,
        _ effects: inout [Effect]
    ) {
        guard !request.hasFailed else { return }
        let model = request.traits.model
        switch ending {
        case .complete:
            _ = backends[index].circuits.succeeded(ticket, model)
            if request.traits.counts { backends[index].throttle.succeeded() }
            for suspicion in request.request.history.failures where suspicion.isSuspicion {
                guard let index = indexOfBackend[suspicion.backend] else { continue }
                blame(index, ticket, model, suspicion.text, now, &effects)
            }
        case .abandoned: backends[index].circuits.abandoned(ticket, model, at: now)
        case .broken(let reason):
            blame(index, ticket, model, reason, now, &effects)
            if backends[index].health.trafficFailed(reason: reason) { effects.append(.probeNow(request.backend)) }
        }
    }

    /// The answer has begun. After a trial, the server works again, however long the answer takes.
    mutating func answerBegan(_ ticket: Ticket, _ now: Moment, _ effects: inout [Effect]) {
        // Read in place, because it is large.
        guard let place = running.index(forKey: ticket), let index = indexOfBackend[running.values[place].backend] else { return }
        noteFirstByte(ticket, place, index, at: now.seconds)
        askForList(of: index, &effects)
        // A stream that was sent before the circuit opened says nothing about the server.
        if backends[index].circuits.hasAny {
            let model = running.values[place].traits.model
            if backends[index].circuits[model].isTrial(ticket) { _ = backends[index].circuits.succeeded(ticket, model) }
        }
        serveWaiting(now, &effects)
    }

    /// A stream has become silent, so its server is probed. Only a failed probe ends the stream.
    mutating func stalled(_ ticket: Ticket, _ effects: inout [Effect]) {
        guard let request = running[ticket], let index = indexOfBackend[request.backend],
            backends[index].health.trafficFailed(reason: "fell silent in the middle of a stream")
        else { return }
        effects.append(.probeNow(request.backend))
    }
}
