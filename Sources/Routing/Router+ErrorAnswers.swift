// Answers with a status that attracts load: a server that refuses or fails at once is always idle.

extension Router {
    /// The server answered 429: it is full. The request goes elsewhere, or waits. When it has met full servers too often, the
    /// client gets the answer.
    mutating func answeredFull(
        _ running: RunningRequest, _ index: Int, retryAfter: Int?, _ now: Moment, _ effects: inout [Effect]
    ) {
        let ticket = running.request.ticket
        let pause = retryAfter.map { Interval.seconds(Int64(max(0, min($0, 1_000_000)))) }
        if running.traits.counts {
            backends[index].throttle.refused(
                inFlight: backends[index].inFlight, retryAfter: pause, longestPause: fleet.policy.longestThrottle, at: now)
            wake(at: backends[index].throttle.until, &effects)
        }
        backends[index].circuits.abandoned(ticket, running.traits.model, at: now)
        var request = running.request
        request.history.timesFull += 1
        guard running.traits.mayWait, request.history.timesFull <= fleet.policy.maxTimesFull,
            let list = candidates(for: request.traits)
        else { return keepAnswer(ticket, now, &effects) }
        switch placement(of: request, among: list, at: now) {
        case .run(let choice, let explanation): move(running, request, from: index, choice, explanation, now, &effects)
        // A pause that is longer than the balancer's own is the client's to wait.
        case .wait(let explanation) where fleet.policy.maxWaiting > 0 && pause ?? .seconds(0) <= fleet.policy.longestThrottle:
            requeue(running, request, from: index, explanation, now, &effects)
        case .wait, .hold, .nobody: keepAnswer(ticket, now, &effects)
        }
    }

    /// The server answered 500, 507 or 529, perhaps because of the request. It is tried once elsewhere; if the other server
    /// answers it, the failure counts against this one.
    mutating func answeredError(
        _ running: RunningRequest, _ index: Int, _ failure: String, _ now: Moment, _ effects: inout [Effect]
    ) {
        let ticket = running.request.ticket
        // A trial is for a server that is known to fail, so its failure counts at once.
        if backends[index].circuits[running.traits.model].isTrial(ticket) {
            blame(index, ticket, running.traits.model, failure, now, &effects)
        }
        var request = running.request
        let isFirst = !request.history.failures.contains(where: \.isSuspicion)
        request.history.failures.append(
            .init(backend: running.backend, text: "\(backends[index].server.name) \(failure)", isSuspicion: true))
        guard isFirst, mayBeTriedAgain(request), let list = candidates(for: request.traits),
            case .run(let choice, let explanation) = placement(of: request, among: list, at: now),
            !isFailedLoad(ticket, index) || !pushesOut(choice, in: list), retryBudget.spend(policy: fleet.policy, at: now)
        else { return keepAnswer(ticket, now, &effects) }
        move(running, request, from: index, choice, explanation, now, &effects)
    }

    /// The model was not in memory when the request was sent: probably the engine could not load it.
    private func isFailedLoad(_ ticket: Ticket, _ index: Int) -> Bool {
        backends[index].jobs.contains { $0.ticket == ticket && $0.waitsForLoad && $0.firstByteAt == nil }
    }

    /// Another model would have to leave that server's memory, and it may be that this one cannot be loaded anywhere.
    private func pushesOut(_ choice: Choice, in list: CandidateList) -> Bool {
        backends[list.backend(of: choice)].displaced(by: list.served(of: choice)) != nil
    }
}

extension Router {
    /// The server does not have what is searched for: the next one is asked.
    mutating func answeredMissing(
        _ running: RunningRequest, _ index: Int, _ failure: String, _ now: Moment, _ effects: inout [Effect]
    ) {
        let ticket = running.request.ticket
        _ = backends[index].circuits.succeeded(ticket, running.traits.model)
        var request = running.request
        request.history.timesUnable += 1
        request.history.failures.append(
            .init(backend: running.backend, text: "\(backends[index].server.name) \(failure)"))
        guard let list = candidates(for: request.traits),
            case .run(let choice, let explanation) = placement(of: request, among: list, at: now)
        else { return keepAnswer(ticket, now, &effects) }
        move(running, request, from: index, choice, explanation, now, &effects)
    }
}

extension Router {
    /// The prompt is longer than the server's context. A server with a longer one, or an unknown one, is asked, or waited for.
    mutating func answeredTooLong(_ running: RunningRequest, _ index: Int, _ now: Moment, _ effects: inout [Effect]) {
        let ticket = running.request.ticket
        _ = backends[index].circuits.succeeded(ticket, running.traits.model)
        var request = running.request
        request.history.timesUnable += 1
        request.history.tooShort.append(running.backend)
        guard let list = candidates(for: request.traits) else { return keepAnswer(ticket, now, &effects) }
        if let context = list.candidates.first(where: { $0.index == index })?.contextTokens {
            for candidate in list.candidates where candidate.contextTokens.map({ $0 <= context }) ?? false {
                request.history.tooShort.append(backends[candidate.index].id)
            }
        }
        switch placement(of: request, among: list, at: now) {
        case .run(let choice, let explanation): move(running, request, from: index, choice, explanation, now, &effects)
        case .wait(let explanation) where fleet.policy.maxWaiting > 0 && running.traits.mayWait:
            requeue(running, request, from: index, explanation, now, &effects)
        case .wait, .hold, .nobody: keepAnswer(ticket, now, &effects)
        }
    }

    /// The held answer is dropped, and the request runs on another server.
    mutating func move(
        _ running: RunningRequest, _ request: PendingRequest, from index: Int, _ choice: Choice, _ explanation: Explanation,
        _ now: Moment, _ effects: inout [Effect]
    ) {
        leave(running, index, now, &effects)
        grant(request, choice, explanation, now, &effects)
        serveWaiting(now, &effects)
    }

    /// The held answer is dropped, and the request waits for another server.
    private mutating func requeue(
        _ running: RunningRequest, _ request: PendingRequest, from index: Int, _ explanation: Explanation, _ now: Moment,
        _ effects: inout [Effect]
    ) {
        leave(running, index, now, &effects)
        effects.append(.requeued(request.ticket))
        wait(request, explanation, now, &effects)
        serveWaiting(now, &effects)
    }
}

extension RequestTraits {
    /// False for requests that wait for no server: those that name theirs, and light ones.
    fileprivate var mayWait: Bool {
        if case .server = destination { false } else { counts }
    }
}
