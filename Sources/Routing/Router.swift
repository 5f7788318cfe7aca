/// The whole fleet and everyone waiting: every decision is made here, through `handle`.
///
/// It reads no clock, draws no randomness and does no I/O, so a sequence of events can be replayed.
package struct Router: Sendable {
    static let rememberedRoutes = 4096

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
        switch event {
        case .requestArrived(let ticket, let traits): arrived(ticket, traits, now, &effects)
        case .requestCancelled(let ticket):
            if line.remove(ticket) == nil { ended(ticket, Outcome(isComplete: false), now, &effects) }
        case .finished(let ticket, let outcome): ended(ticket, outcome, now, &effects)
        case .attemptFailed(let ticket, let failure): attemptFailed(ticket, failure, now, &effects)
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
    /// The client's session was noted at this place when the request started.
    var holdsSession: Bool
}

// MARK: - Requests

extension Router {
    private mutating func arrived(
        _ ticket: Ticket, _ traits: RequestTraits, _ now: Moment, _ effects: inout [Effect]
    ) {
        guard let route = route(to: traits.destination) else {
            return refuse(ticket, traits, nothingFor(traits), now, &effects)
        }
        place(ticket, traits, route, AttemptHistory(), arrivedAt: now, now, &effects)
    }

    /// Runs the request, puts it into the line, or refuses it.
    private mutating func place(
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
            wake(at: deadline, &effects)
        case .nobody(let lastResort):
            resort(
                to: lastResort, ticket, traits, route, history, arrivedAt: arrivedAt, waitingSince: nil, now, &effects)
        }
    }

    /// Asks for `clockAdvanced`, unless it comes by then anyway.
    private mutating func wake(at deadline: Moment, _ effects: inout [Effect]) {
        if let wakeAt, wakeAt <= deadline { return }
        wakeAt = deadline
        effects.append(.wakeMe(at: deadline))
    }

    /// Nobody is up: the first in order is tried once, then the truth is told.
    private mutating func resort(
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
            refusal = .noServerAvailable(detail: healthSummary(of: route), retryAfterSeconds: retryAfterSeconds)
        }
        refuse(ticket, traits, refusal, now, &effects)
    }

    private mutating func grant(
        _ ticket: Ticket, _ traits: RequestTraits, _ route: ModelRoute, _ choice: Choice, _ history: AttemptHistory,
        arrivedAt: Moment, waitingSince: Moment?, _ now: Moment, _ effects: inout [Effect]
    ) {
        decisions.record(
            DecisionRecord(
                ticket: ticket, traits: traits, at: now, verdict: .granted(attempt: history.attempts + 1),
                candidates: explain(route, choice, counts: traits.counts, history: history)),
            limit: fleet.policy.keptDecisions)
        var history = history
        history.attempts += 1
        let id = backends[choice.index].id
        backends[choice.index].started(instance: choice.instance, counts: traits.counts)
        let holdsSession = traits.counts && !route.isFallback
        running[ticket] = RunningRequest(
            backend: id, instance: choice.instance, traits: traits, history: history, arrivedAt: arrivedAt,
            grantedAt: now, isLastResort: choice.reason == .lastResort, holdsSession: holdsSession)
        if holdsSession, let model = traits.model, let instance = choice.instance {
            sessions.expire(ttl: fleet.policy.stickyTTL, at: now)
            sessions.record(
                .init(client: traits.client, model: model), at: .init(backend: id, instance: instance),
                address: traits.address, now: now, limit: fleet.policy.stickyLimit)
        }
        effects.append(
            .grant(
                ticket,
                Grant(
                    backend: id, serverName: backends[choice.index].server.name,
                    model: choice.instance == traits.model ? nil : choice.instance, attempt: history.attempts,
                    waitedMilliseconds: waitingSince.map { now.milliseconds(since: $0) })))
    }

    private mutating func refuse(
        _ ticket: Ticket, _ traits: RequestTraits, _ refusal: Refusal, _ now: Moment, _ effects: inout [Effect]
    ) {
        decisions.record(
            DecisionRecord(ticket: ticket, traits: traits, at: now, verdict: .refused(refusal), candidates: []),
            limit: fleet.policy.keptDecisions)
        effects.append(.refuse(ticket, refusal))
    }

    private mutating func ended(_ ticket: Ticket, _ outcome: Outcome, _ now: Moment, _ effects: inout [Effect]) {
        guard let request = running.removeValue(forKey: ticket) else { return }
        refreshSession(of: request, now)
        release(request)
        if let timings = outcome.timings, let index = indexOfBackend[request.backend] {
            backends[index].learn(from: timings)
        }
        if outcome.isComplete, request.traits.counts {
            serviceTime.add(now.milliseconds(since: request.grantedAt) / 1000)
        }
        serveWaiting(now, &effects)
    }

    /// The session's time runs from the end of its last request, however long that took.
    private mutating func refreshSession(of request: RunningRequest, _ now: Moment) {
        guard request.holdsSession, let model = request.traits.model, let instance = request.instance,
            let index = indexOfBackend[request.backend], !backends[index].isRemoved
        else { return }
        sessions.refresh(
            .init(client: request.traits.client, model: model),
            at: .init(backend: request.backend, instance: instance),
            address: request.traits.address, now: now, limit: fleet.policy.stickyLimit)
    }

    /// Gives the request's place on its server back.
    private mutating func release(_ request: RunningRequest) {
        guard let index = indexOfBackend[request.backend] else { return }
        backends[index].ended(instance: request.instance, counts: request.traits.counts)
        if backends[index].isRemoved, backends[index].isIdleOfRequests { rebuildBackends(fleet) }
    }

    private mutating func attemptFailed(
        _ ticket: Ticket, _ failure: AttemptFailure, _ now: Moment, _ effects: inout [Effect]
    ) {
        guard let request = running[ticket], let index = indexOfBackend[request.backend] else { return }
        var history = request.history
        history.failed.append(request.backend)
        history.lastFailure = "\(backends[index].server.name) \(failure.message)"

        if case .answered = failure {
            guard history.attempts < fleet.policy.maxAttempts, let route = route(to: request.traits.destination),
                case .run(let choice) = pick(route, for: request.traits, history: history, at: now)
            else {
                effects.append(.keepAnswer(ticket))
                return
            }
            running[ticket] = nil
            release(request)
            grant(
                ticket, request.traits, route, choice, history, arrivedAt: request.arrivedAt, waitingSince: nil, now,
                &effects)
            return serveWaiting(now, &effects)
        }

        running[ticket] = nil
        let detail = history.lastFailure ?? ""
        if failure != .serverLost, backends[index].health.trafficFailed(reason: failure.message) {
            effects.append(.probeNow(request.backend))
        }
        release(request)
        let route = route(to: request.traits.destination)
        if request.isLastResort {
            let refusal = Refusal.noServerAvailable(detail: detail, retryAfterSeconds: retryAfterSeconds)
            refuse(ticket, request.traits, refusal, now, &effects)
        } else if let route, history.attempts < fleet.policy.maxAttempts {
            place(ticket, request.traits, route, history, arrivedAt: request.arrivedAt, now, &effects)
        } else {
            refuse(ticket, request.traits, .upstreamFailed(detail: detail), now, &effects)
        }
        serveWaiting(now, &effects)
    }

    /// Gives free places to those who wait, in the line's order.
    private mutating func serveWaiting(_ now: Moment, _ effects: inout [Effect]) {
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
        if let next = line.nextDeadline { wake(at: next, &effects) }
    }

    private func nothingFor(_ traits: RequestTraits) -> Refusal {
        switch traits.destination {
        case .model(let model): .modelNotFound(model)
        case .fallback: .modelNotFound("")
        case .server(let name): .noSuchServer(name)
        }
    }

    /// When it may be worth asking again: the line's length times what a request takes, shared by the servers' places.
    private var retryAfterSeconds: Int {
        let places = backends.reduce(0.0) { $0 + Double($1.limit ?? 1) }
        let seconds = (serviceTime.value ?? 1) * Double(line.count + 1) / max(1, places)
        return max(1, min(600, Int(seconds.rounded(.up))))
    }

    private func healthSummary(of route: ModelRoute) -> String {
        route.candidates.map { candidate in
            let backend = backends[candidate.index]
            return switch backend.health.phase {
            case .down(let reason): "\(backend.server.name) is down: \(reason)"
            case .suspect(let reason): "\(backend.server.name) is suspect: \(reason)"
            case .unknown, .up: "\(backend.server.name) is draining"
            }
        }.joined(separator: "; ")
    }
}

// MARK: - Servers

extension Router {
    private mutating func probed(
        _ id: BackendID, _ report: BackendReport, _ now: Moment, _ effects: inout [Effect]
    ) {
        guard let index = indexOfBackend[id] else { return }
        let (wasDown, oldLimit) = (backends[index].health.isDown, backends[index].limit)
        var report = report
        // Slots that work for us are no sign of a busy machine: the limit counts them already.
        if let slots = report.slots, slots.total > 0, slots.busy - backends[index].inFlight >= slots.total {
            report.isBusy = true
        }
        backends[index].health.probed(report, at: now)
        if wasDown { routesByModel.removeAll() }
        if wasDown || backends[index].limit != oldLimit { serveWaiting(now, &effects) }
    }

    private mutating func probeFailed(
        _ id: BackendID, _ reason: String, _ now: Moment, _ effects: inout [Effect]
    ) {
        guard let index = indexOfBackend[id] else { return }
        let isNewlyDown = backends[index].health.probeFailed(
            reason: reason, failuresUntilDown: fleet.policy.failuresUntilDown)
        guard isNewlyDown else { return }
        routesByModel.removeAll()
        // Sorted: a dictionary has no order of its own, and a replay must give the same effects.
        let lost = running.filter { $0.value.backend == id }.map(\.key)
        for ticket in lost.sorted(by: { $0.rawValue < $1.rawValue }) { effects.append(.serverLost(ticket)) }
        // Those who waited for this server alone have nothing to wait for.
        serveWaiting(now, &effects)
    }

    private mutating func changeFleet(_ new: Fleet, _ now: Moment, _ effects: inout [Effect]) {
        rebuildBackends(new)
        for backend in backends where backend.isRemoved { sessions.forget(backend.id) }
        serveWaiting(now, &effects)
    }

    /// Lines the backends up with the fleet; those that went away stay behind the others while they have work.
    private mutating func rebuildBackends(_ new: Fleet) {
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
            if gone.isIdleOfRequests { sessions.forget(gone.id) } else { backends.append(gone) }
        }
        indexOfBackend = Dictionary(
            backends.indices.map { (backends[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
        routesByModel.removeAll()
    }
}
