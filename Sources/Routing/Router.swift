/// The whole fleet and everyone waiting: every decision is made here, through `handle`.
///
/// It reads no clock, draws no randomness and does no I/O, so a sequence of events can be replayed.
package struct Router: Sendable {
    static let rememberedRoutes = 4096
    /// So many sessions are dropped in one event at most; those left are not found any more, but count where they were.
    private static let expiredAtOnce = 256

    package let rule: PickingRule
    var fleet: Fleet
    var backends: [Backend] = []
    var indexOfBackend: [BackendID: Int] = [:]
    /// Answers of `route(to:)`, cleared whenever they could change.
    var routesByModel: [String: ModelRoute?] = [:]
    var running: [Ticket: RunningRequest] = [:]
    var line = WaitingLine()
    var sessions = SessionTable()
    var decisions = DecisionLog()
    var retryBudget = RetryBudget()
    var conversations = ConversationTable()
    /// How long a granted request takes, in seconds: for `Retry-After`.
    private var serviceTime = DecayingAverage(halfLife: 20)
    /// When `clockAdvanced` has been asked for; nil: not at all.
    private var wakeAt: Moment?

    package init(rule: PickingRule = .sticky) {
        self.rule = rule
        fleet = Fleet(servers: [], routes: nil, fallback: nil)
    }

    /// Takes in what has happened and appends what is to be done.
    package mutating func handle(_ event: Event, at now: Moment, effects: inout [Effect]) {
        sessions.expire(ttl: fleet.policy.stickyTTL, at: now, limit: Self.expiredAtOnce)
        switch event {
        case .requestArrived(let ticket, let traits): arrived(ticket, traits, now, &effects)
        case .requestCancelled(let ticket):
            if line.remove(ticket) == nil { ended(ticket, Outcome(.abandoned), now, &effects) }
        case .finished(let ticket, let outcome): ended(ticket, outcome, now, &effects)
        case .attemptFailed(let ticket, let failure): attemptFailed(ticket, failure, now, &effects)
        case .answerBegan(let ticket): answerBegan(ticket, now, &effects)
        case .stalled(let ticket): stalled(ticket, &effects)
        case .probed(let id, let report): probed(id, report, now, &effects)
        case .probeFailed(let id, let reason): probeFailed(id, reason, now, &effects)
        case .modelsListed(let id, let models):
            guard let index = indexOfBackend[id], backends[index].models != models else { return }
            backends[index].models = models
            routesByModel.removeAll()
            serveWaiting(now, &effects)
        case .fleetChanged(let fleet): changeFleet(fleet, now, &effects)
        case .drain(let id):
            if let index = indexOfBackend[id] { backends[index].isDraining = true }
        case .undrain(let id):
            guard let index = indexOfBackend[id] else { return }
            backends[index].isDraining = false
            serveWaiting(now, &effects)
        case .clockAdvanced: clockAdvanced(now, &effects)
        }
    }

    /// The same for tests and replays.
    package mutating func handle(_ event: Event, at now: Moment) -> [Effect] {
        var effects: [Effect] = []
        handle(event, at: now, effects: &effects)
        return effects
    }
}

/// A request that has been granted a server.
struct RunningRequest: Sendable {
    var backend: BackendID
    var instance: String?
    var traits: RequestTraits
    var history: AttemptHistory
    var arrivedAt: Moment
    var grantedAt: Moment
    var isLastResort: Bool
    /// The client's session that was noted when the request started, and how many the instance can hold.
    var session: SessionTable.Handle?
    var capacity: Int
    /// Its attempt has failed already (a 503 that is passed on): its end is no success.
    var hasFailed = false
}

// MARK: - Requests

extension Router {
    private mutating func arrived(
        _ ticket: Ticket, _ traits: RequestTraits, _ now: Moment, _ effects: inout [Effect]
    ) {
        guard let route = route(to: traits.destination) else {
            return refuse(ticket, traits, nothingFor(traits), now, &effects)
        }
        retryBudget.requestArrived(at: now)
        place(ticket, traits, route, AttemptHistory(), arrivedAt: now, now, &effects)
    }

    /// Runs the request, puts it into the line, or refuses it.
    mutating func place(
        _ ticket: Ticket, _ traits: RequestTraits, _ route: ModelRoute, _ history: AttemptHistory, arrivedAt: Moment,
        _ now: Moment, _ effects: inout [Effect]
    ) {
        switch pick(route, for: traits, history: history, at: now) {
        case .run(let choice):
            grant(ticket, traits, route, choice, history, arrivedAt: arrivedAt, waitingSince: nil, now, &effects)
        case .wait:
            guard line.count < fleet.policy.maxWaiting || history.attempts > 0 else {
                let refusal = Refusal.queueFull(waiting: line.count, retryAfterSeconds: retryAfterSeconds)
                return refuse(ticket, traits, refusal, now, &effects)
            }
            // Counted from now: the time of an attempt that failed is no waiting.
            let deadline = now + fleet.policy.maxWait
            line.add(ticket, traits, arrivedAt: arrivedAt, joinedAt: now, deadline: deadline, history: history)
            wake(at: min(deadline, nextTrial(after: now) ?? deadline), &effects)
        case .nobody(let lastResort):
            resort(
                to: lastResort, ticket, traits, route, history, arrivedAt: arrivedAt, waitingSince: nil, now, &effects)
        }
    }

    /// Asks for `clockAdvanced`, unless it comes by then anyway.
    mutating func wake(at deadline: Moment, _ effects: inout [Effect]) {
        if let wakeAt, wakeAt <= deadline { return }
        wakeAt = deadline
        effects.append(.wakeMe(at: deadline))
    }

    /// Nobody is up: the first in order is tried once, then the truth is told.
    mutating func resort(
        to candidate: ModelRoute.Candidate?, _ ticket: Ticket, _ traits: RequestTraits, _ route: ModelRoute,
        _ history: AttemptHistory, arrivedAt: Moment, waitingSince: Moment?, _ now: Moment, _ effects: inout [Effect]
    ) {
        if let candidate, history.attempts == 0 {
            let choice = Choice(index: candidate.index, instance: candidate.instances.first, reason: .lastResort)
            return grant(
                ticket, traits, route, choice, history, arrivedAt: arrivedAt, waitingSince: waitingSince, now, &effects)
        }
        let refusal: Refusal
        if let failure = history.lastFailure {
            refusal = .upstreamFailed(detail: failure)
        } else {
            let trial = route.candidates.compactMap { backends[$0.index].circuits[traits.model].opensForTrialAt }.min()
            let pause = trial.map { Int((max(0, $0.milliseconds(since: now)) / 1000).rounded(.up)) } ?? 0
            refusal = .noServerAvailable(
                detail: healthSummary(of: route, for: traits.model), retryAfterSeconds: max(pause, retryAfterSeconds))
        }
        refuse(ticket, traits, refusal, now, &effects)
    }

    mutating func grant(
        _ ticket: Ticket, _ traits: RequestTraits, _ route: ModelRoute, _ choice: Choice, _ history: AttemptHistory,
        arrivedAt: Moment, waitingSince: Moment?, _ now: Moment, _ effects: inout [Effect]
    ) {
        decisions.record(
            DecisionRecord(
                ticket: ticket, traits: traits, at: now, verdict: .granted(attempt: history.attempts + 1),
                pick: (route, choice), ineligibilities: ineligibilities(route, for: traits, history: history, at: now)),
            limit: fleet.policy.keptDecisions)
        var history = history
        history.attempts += 1
        let id = backends[choice.index].server.id
        let isTrial = backends[choice.index].circuits.began(ticket, traits.model, at: now)
        backends[choice.index].started(instance: choice.instance, counts: traits.counts)
        var session: SessionTable.Handle?
        if takesPlace(traits, route), let model = traits.model, let instance = choice.instance {
            if let known = choice.session {
                sessions.began(known, now: now)
                session = known
            } else {
                session = sessions.record(
                    .init(client: traits.client, model: model), at: .init(backend: id, instance: instance),
                    capacity: choice.capacity, address: traits.address, now: now, limit: fleet.policy.stickyLimit)
            }
        }
        running[ticket] = RunningRequest(
            backend: id, instance: choice.instance, traits: traits, history: history, arrivedAt: arrivedAt,
            grantedAt: now, isLastResort: choice.reason == .lastResort, session: session, capacity: choice.capacity)
        if let conversation = traits.conversation, traits.model != nil { conversations.record(conversation, at: id) }
        effects.append(
            .grant(
                ticket,
                Grant(
                    backend: id, serverName: backends[choice.index].server.name,
                    model: choice.instance == traits.model ? nil : choice.instance, attempt: history.attempts,
                    waitedMilliseconds: waitingSince.map { now.milliseconds(since: $0) }, isTrial: isTrial)))
    }

    mutating func refuse(
        _ ticket: Ticket, _ traits: RequestTraits, _ refusal: Refusal, _ now: Moment, _ effects: inout [Effect]
    ) {
        decisions.record(
            DecisionRecord(ticket: ticket, traits: traits, at: now, verdict: .refused(refusal)),
            limit: fleet.policy.keptDecisions)
        effects.append(.refuse(ticket, refusal))
    }

    private mutating func ended(_ ticket: Ticket, _ outcome: Outcome, _ now: Moment, _ effects: inout [Effect]) {
        guard let request = running.removeValue(forKey: ticket) else { return }
        if let index = indexOfBackend[request.backend] {
            if !backends[index].isRemoved { endSession(of: request, now) }
            judge(ticket, request, outcome.ending, index, now, &effects)
            if let timings = outcome.timings { backends[index].learn(from: timings) }
            release(request, index)
        }
        if outcome.ending == .complete, request.traits.counts {
            serviceTime.add(now.milliseconds(since: request.grantedAt) / 1000)
        }
        serveWaiting(now, &effects)
    }

    /// The session's time runs from the end of its last request, however long that took.
    private mutating func endSession(of request: RunningRequest, _ now: Moment) {
        guard let session = request.session, let model = request.traits.model, let instance = request.instance else { return }
        sessions.ended(
            .init(client: request.traits.client, model: model), at: .init(backend: request.backend, instance: instance),
            session, capacity: request.capacity, address: request.traits.address, now: now, limit: fleet.policy.stickyLimit)
    }

    /// Gives the request's place on its server back. Afterwards `index` may stand for another one.
    mutating func release(_ request: RunningRequest, _ index: Int) {
        backends[index].ended(instance: request.instance, counts: request.traits.counts)
        if backends[index].isRemoved, backends[index].isIdleOfRequests { rebuildBackends(fleet) }
    }

    /// Gives free places to those who wait, in the line's order.
    mutating func serveWaiting(_ now: Moment, _ effects: inout [Effect]) {
        guard line.count > 0 else { return }
        var index = 0
        // Models for which somebody without a history found no place: the others behind need not look again
        // (but those that pass at once need none).
        var blocked: Set<String?> = []
        while index < line.count {
            let entry = line.entries[index]
            let model = entry.traits.model
            let isOrdinary = entry.traits.counts && entry.history.failed.isEmpty
            if isOrdinary, blocked.contains(model) {
                index += 1
                continue
            }
            guard let route = route(to: entry.traits.destination) else {
                _ = line.remove(entry.ticket)
                refuse(entry.ticket, entry.traits, nothingFor(entry.traits), now, &effects)
                continue
            }
            switch pick(route, for: entry.traits, history: entry.history, at: now) {
            case .run(let choice):
                _ = line.serve(at: index)
                grant(
                    entry.ticket, entry.traits, route, choice, entry.history, arrivedAt: entry.arrivedAt,
                    waitingSince: entry.joinedAt, now, &effects)
            case .wait:
                if isOrdinary { blocked.insert(model) }
                index += 1
            case .nobody(let lastResort):
                _ = line.serve(at: index)
                resort(
                    to: lastResort, entry.ticket, entry.traits, route, entry.history, arrivedAt: entry.arrivedAt,
                    waitingSince: entry.joinedAt, now, &effects)
            }
        }
    }

    private mutating func clockAdvanced(_ now: Moment, _ effects: inout [Effect]) {
        if let wakeAt, wakeAt <= now { self.wakeAt = nil }
        for entry in line.removeExpired(at: now) {
            let waited = Int(now.milliseconds(since: entry.joinedAt) / 1000)
            let refusal = Refusal.queueTimeout(waitedSeconds: waited, retryAfterSeconds: retryAfterSeconds)
            refuse(entry.ticket, entry.traits, refusal, now, &effects)
        }
        // The pause of a circuit may be over, and those who wait may try it.
        serveWaiting(now, &effects)
        if let next = line.nextDeadline { wake(at: min(next, nextTrial(after: now) ?? next), &effects) }
    }

    /// When the next pause of a circuit is over, and those who wait may have a chance.
    private func nextTrial(after now: Moment) -> Moment? {
        backends.compactMap { $0.circuits.nextTrial(after: now) }.min()
    }

    private func nothingFor(_ traits: RequestTraits) -> Refusal {
        switch traits.destination {
        case .model(let model): .modelNotFound(model)
        case .fallback, .conversation: .modelNotFound("")
        case .server(let name): .noSuchServer(name)
        }
    }

    /// When it may be worth asking again: the line's length times what a request takes, shared by the servers' places.
    var retryAfterSeconds: Int {
        let places = backends.reduce(0.0) { $0 + Double($1.limit ?? 1) }
        let seconds = (serviceTime.value ?? 1) * Double(line.count + 1) / max(1, places)
        return max(1, min(600, Int(seconds.rounded(.up))))
    }

    private func healthSummary(of route: ModelRoute, for model: String?) -> String {
        route.candidates.map { candidate in
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
