@testable import Routing

/// What must be true of the router, told a second time and much more simply: who waits, who runs where, what each
/// server is and holds. Every effect and every state of the router is compared with it.
struct World {
    struct Server {
        var requestMax: Int?
        var slots: Int?
        var failures = 0
        /// Failures in a row in which the engine did not listen either.
        var engineFailures = 0
        var isDown = false
        var isDraining = false
        var isRemoved = false
        var models: [String]?
        var inFlight = 0
        var passing = 0
        /// What is known of failures, by the model that was asked for.
        var circuits: [String?: Circuit] = [:]
        /// It answered 429: no request before that moment, and no more than this many from then on.
        var pausedUntil = Moment.zero
        var learnedLimit: Int?
        var answersSinceLearned = 0
        var nextPause = Interval.seconds(1)

        var limit: Int? { [requestMax, slots, learnedLimit].compactMap { $0 }.min() }

        func isFull(at now: Moment) -> Bool { pausedUntil > now || limit.map { inFlight >= $0 } ?? false }
    }

    /// Failures in a row; from a number of them on, nobody may come before `until`, and then one at a time.
    struct Circuit {
        var failures = 0
        var until: Moment?
        var pause = Interval.seconds(0)
        var trial: Ticket?

        func admits(at now: Moment) -> Bool { trial == nil && until.map { $0 <= now } ?? true }
    }

    enum Place: Equatable {
        case waiting
        case running(BackendID)
    }

    struct Request {
        var traits: RequestTraits
        var number: Int
        var place = Place.waiting
        var attempts = 0
        var failed: Set<BackendID> = []
        var timesFull = 0
        /// A server that answered 500: it is to blame if another server answers.
        var suspect: BackendID?
        var deadline: Moment
        var hasFailed = false

        var isForced: Bool { if case .server = traits.destination { true } else { false } }
    }

    private(set) var servers: [BackendID: Server] = [:]
    /// Those that have arrived and have no final answer yet.
    private(set) var requests: [Ticket: Request] = [:]
    private(set) var fleet = Fleet(servers: [], routes: nil, fallback: nil)
    /// The most slots that a server has ever told of.
    private(set) var mostSlots: [BackendID: Int] = [:]
    private(set) var wakes: [Moment] = []
    /// The first thing that was not as it must be.
    private(set) var failure: String?
    private var arrivals = 0
    /// The request whose answer may be kept: the event at hand said that it was answered.
    private var answered: Ticket?
    /// The server that answered it with 500.
    private var suspected: BackendID?

    var present: [BackendID] { fleet.servers.map(\.id) }
    var running: [Ticket] { tickets { $0.place != .waiting } }
    var trials: [Ticket] { running.filter { isTrial($0) } }
    var waiting: [Ticket] { tickets { $0.place == .waiting } }

    private func tickets(where isWanted: (Request) -> Bool) -> [Ticket] {
        requests.filter { isWanted($0.value) }.map(\.key).sorted { $0.rawValue < $1.rawValue }
    }

    private mutating func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition, failure == nil { failure = message() }
    }

    // MARK: - Events

    mutating func happens(_ event: Event, at now: Moment) {
        (answered, suspected) = (nil, nil)
        switch event {
        case .requestArrived(let ticket, let traits):
            arrivals += 1
            requests[ticket] = Request(traits: traits, number: arrivals, deadline: now + fleet.policy.maxWait)
        case .requestCancelled(let ticket):
            judge(ticket, .abandoned, now)
            leave(ticket)
        case .finished(let ticket, let outcome):
            judge(ticket, outcome.ending, now)
            leave(ticket)
        case .answerBegan(let ticket):
            guard isTrial(ticket), let request = requests[ticket], case .running(let id) = request.place else { return }
            judge(id, ticket, request, .complete, now)
        case .stalled: break
        case .attemptFailed(let ticket, let failure):
            guard let request = requests[ticket], case .running(let server) = request.place else { return }
            if case .answered(let status, let retryAfter) = failure {
                answered = ticket
                switch status {
                case _ where request.hasFailed: break
                case 429:
                    if request.traits.counts { pause(server, retryAfter, now) }
                    requests[ticket]?.timesFull += 1
                    judge(ticket, .abandoned, now)
                case 500:
                    if isTrial(ticket) { judge(ticket, .broken(""), now) }
                    requests[ticket]?.failed.insert(server)
                    suspected = request.suspect ?? server
                default:
                    judge(ticket, .broken(""), now)
                    requests[ticket]?.failed.insert(server)
                }
                requests[ticket]?.hasFailed = true
            } else {
                requests[ticket]?.failed.insert(server)
                judge(ticket, failure == .serverLost ? .abandoned : .broken(""), now)
                release(ticket)
                requests[ticket]?.place = .waiting
                requests[ticket]?.deadline = now + fleet.policy.maxWait
            }
        case .probed(let id, let report):
            servers[id]?.failures = 0
            servers[id]?.engineFailures = 0
            if servers[id]?.isDown == true { servers[id]?.circuits = [:] }
            servers[id]?.isDown = false
            servers[id]?.slots = report.slots.map(\.total)
            mostSlots[id] = max(mostSlots[id] ?? 1, report.slots?.total ?? 1)
        case .probeFailed(let id, _, let engineListens):
            servers[id]?.failures += 1
            if engineListens { servers[id]?.engineFailures = 0 } else { servers[id]?.engineFailures += 1 }
            if let failures = servers[id]?.failures, failures >= fleet.policy.failuresUntilDown {
                servers[id]?.isDown = true
            }
        case .modelsListed(let id, let models): servers[id]?.models = models.map(\.name)
        case .fleetChanged(let new):
            fleet = new
            for id in servers.keys { servers[id]?.isRemoved = true }
            for server in new.servers {
                servers[server.id, default: Server()].requestMax = server.requestMax
                servers[server.id]?.isRemoved = false
            }
            forgetRemoved()
        case .drain(let id): servers[id]?.isDraining = true
        case .undrain(let id): servers[id]?.isDraining = false
        case .clockAdvanced: wakes.removeAll { $0 <= now }
        }
    }

    private func isTrial(_ ticket: Ticket) -> Bool {
        guard let request = requests[ticket], case .running(let id) = request.place else { return false }
        return servers[id]?.circuits[request.traits.model]?.trial == ticket
    }

    /// What the end of an attempt says about its server.
    private mutating func judge(_ ticket: Ticket, _ ending: Outcome.Ending, _ now: Moment) {
        guard let request = requests[ticket], case .running(let id) = request.place, !request.hasFailed else { return }
        if ending == .complete {
            answered(id)
            if let suspect = request.suspect { judge(suspect, ticket, request, .broken(""), now) }
        }
        judge(id, ticket, request, ending, now)
    }

    private mutating func judge(
        _ id: BackendID, _ ticket: Ticket, _ request: Request, _ ending: Outcome.Ending, _ now: Moment
    ) {
        var circuit = servers[id]?.circuits[request.traits.model] ?? Circuit()
        let isTrial = circuit.trial == ticket
        guard isTrial || circuit.until == nil else { return }
        circuit.trial = nil
        switch ending {
        case .complete: circuit = Circuit()
        case .abandoned: if isTrial { circuit.until = now }
        case .broken:
            circuit.failures += 1
            if isTrial {
                circuit.pause = min(.init(nanoseconds: circuit.pause.nanoseconds * 2), fleet.policy.longestCircuitPause)
                circuit.until = now + circuit.pause
            } else if circuit.failures >= fleet.policy.failuresUntilOpen {
                circuit.pause = fleet.policy.circuitPause
                circuit.until = now + circuit.pause
            }
        }
        servers[id]?.circuits[request.traits.model] = circuit
    }

    /// The server answered 429. The refused request is in flight there.
    private mutating func pause(_ id: BackendID, _ retryAfter: Int?, _ now: Moment) {
        guard var server = servers[id] else { return }
        let pause = retryAfter.map { Interval.seconds(Int64($0)) } ?? server.nextPause
        server.pausedUntil = max(server.pausedUntil, now + min(pause, fleet.policy.longestThrottle))
        server.nextPause = min(.init(nanoseconds: server.nextPause.nanoseconds * 2), fleet.policy.longestThrottle)
        server.learnedLimit = max(1, min(server.inFlight, server.learnedLimit ?? server.inFlight) - 1)
        server.answersSinceLearned = 0
        servers[id] = server
    }

    /// The server answered a request: after as many as its limit, it may take one more.
    private mutating func answered(_ id: BackendID) {
        guard let limit = servers[id]?.learnedLimit, let answers = servers[id]?.answersSinceLearned else { return }
        servers[id]?.nextPause = .seconds(1)
        servers[id]?.answersSinceLearned = answers + 1 == limit ? 0 : answers + 1
        if answers + 1 == limit { servers[id]?.learnedLimit = limit + 1 }
    }

    private mutating func leave(_ ticket: Ticket) {
        release(ticket)
        requests[ticket] = nil
    }

    private mutating func release(_ ticket: Ticket) {
        guard let request = requests[ticket], case .running(let id) = request.place else { return }
        if request.traits.counts { servers[id]?.inFlight -= 1 } else { servers[id]?.passing -= 1 }
        forgetRemoved()
    }

    private mutating func forgetRemoved() {
        servers = servers.filter { !$0.value.isRemoved || $0.value.inFlight > 0 || $0.value.passing > 0 }
    }

    // MARK: - Effects

    mutating func carryOut(_ effects: [Effect], at now: Moment) {
        for effect in effects {
            switch effect {
            case .grant(let ticket, let grant): granted(ticket, grant, now)
            case .refuse(let ticket, let refusal): refused(ticket, refusal, now)
            case .requeued(let ticket):
                expect(
                    ticket == answered && requests[ticket]?.timesFull ?? 0 > 0, "\(ticket) is put back, but met no full server")
                answered = nil
                release(ticket)
                requests[ticket]?.place = .waiting
                requests[ticket]?.hasFailed = false
                requests[ticket]?.deadline = now + fleet.policy.maxWait
            case .keepAnswer(let ticket): expect(ticket == answered, "keepAnswer for \(ticket), which was not answered")
            case .serverLost(let ticket):
                guard case .running(let id) = requests[ticket]?.place else {
                    expect(false, "serverLost for \(ticket), which does not run")
                    break
                }
                expect(servers[id]?.isDown == true, "serverLost for \(ticket), but \(id) is not down")
                expect(
                    servers[id]?.engineFailures == fleet.policy.failuresUntilDown,
                    "serverLost for \(ticket), but the engine of \(id) listens, or was lost before")
            case .probeNow: break
            case .wakeMe(let moment): wakes.append(moment)
            }
        }
    }

    private mutating func granted(_ ticket: Ticket, _ grant: Grant, _ now: Moment) {
        guard var request = requests[ticket] else { return expect(false, "grant for \(ticket), which has its answer") }
        if ticket == answered {
            answered = nil
            request.suspect = suspected ?? request.suspect
            release(ticket)
            request.place = .waiting
        }
        expect(request.place == .waiting, "\(ticket) is granted while it runs")
        request.attempts += 1
        expect(grant.attempt == request.attempts, "attempt \(grant.attempt) of \(ticket) is its \(request.attempts).")
        expect(
            request.attempts - request.timesFull <= fleet.policy.maxAttempts && request.timesFull <= fleet.policy.maxTimesFull,
            "\(ticket) is tried \(request.attempts) times")
        guard let server = servers[grant.backend] else { return expect(false, "grant on unknown \(grant.backend)") }
        let candidates = candidates(for: request).servers
        let inTurn = inTurn(for: request, at: now)
        expect(inTurn.contains(grant.backend), "\(grant.backend) is not on the route of \(ticket), or not its turn")
        expect(!request.failed.contains(grant.backend), "\(grant.backend) failed \(ticket) before")
        expect(!server.isRemoved, "grant on removed \(grant.backend)")
        if !request.isForced {
            expect(!request.traits.counts || !server.isFull(at: now), "\(ticket) exceeds the limit of \(grant.backend)")
            // A light request does not wait: it takes a server that is draining or failing when there is no other.
            let isFit =
                isUsable(grant.backend, for: request, at: now) && server.circuits[request.traits.model]?.admits(at: now) ?? true
            let hasChoice = candidates.contains { isUsable($0, for: request, at: now) }
            expect(
                isFit || server.isDown || !request.traits.counts && !hasChoice, "\(ticket) is granted the unfit \(grant.backend)")
            let everybodyIsDown = candidates.allSatisfy { id in
                guard let server = servers[id], !server.isDown, let circuit = server.circuits[request.traits.model] else {
                    return servers[id]?.isDown ?? true
                }
                return circuit.trial == nil && !circuit.admits(at: now) && !server.isDraining
            }
            expect(!server.isDown || everybodyIsDown && request.attempts == 1, "\(ticket) is granted the down \(grant.backend)")
        }
        if let name = grant.model { expect(server.models?.contains(name) ?? false, "\(grant.backend) lists no \(name)") }
        if request.attempts == 1 {
            let overtaken = requests.values.first {
                $0.place == .waiting && $0.attempts == 0 && $0.number < request.number
                    && $0.traits.client == request.traits.client && $0.traits.counts == request.traits.counts
                    && $0.traits.destination == request.traits.destination
            }
            expect(overtaken == nil, "\(ticket) overtakes its own client's request \(overtaken?.number ?? 0)")
        }
        request.place = .running(grant.backend)
        request.hasFailed = false
        requests[ticket] = request
        if let circuit = server.circuits[request.traits.model], circuit.until != nil, circuit.admits(at: now) {
            servers[grant.backend]?.circuits[request.traits.model]?.trial = ticket
        }
        expect(grant.isTrial == isTrial(ticket), "\(ticket) is told whether it is a trial")
        if request.traits.counts { servers[grant.backend]?.inFlight += 1 } else { servers[grant.backend]?.passing += 1 }
    }

    private mutating func refused(_ ticket: Ticket, _ refusal: Refusal, _ now: Moment) {
        guard let request = requests[ticket] else { return expect(false, "refusal of \(ticket), which has its answer") }
        expect(request.place == .waiting, "\(ticket) is refused while it runs")
        let candidates = candidates(for: request).servers
        switch refusal {
        case .modelNotFound, .noSuchServer: expect(candidates.isEmpty, "\(ticket) is told that there is no server")
        case .queueFull(let waiting, _):
            expect(waiting >= fleet.policy.maxWaiting && request.attempts == 0, "\(ticket) is refused by a line of \(waiting)")
        case .queueTimeout: expect(request.deadline <= now, "\(ticket) is refused before its time")
        case .noServerAvailable:
            expect(
                request.attempts - request.timesFull <= 1,
                "\(ticket) was tried more than once before it was told that nobody is up")
        case .upstreamFailed: expect(request.attempts > 0, "\(ticket) is told of failures that were none")
        }
        expect(refusal.retryAfter.map { (1...600).contains($0) } ?? true, "Retry-After of \(ticket) is \(refusal)")
        requests[ticket] = nil
    }

    // MARK: - Routes

    /// The servers that may take a request, whatever their state.
    struct Candidates {
        var servers: [BackendID] = []
        /// Only the first of them that is usable may take it.
        var areInOrder = false
    }

    func candidates(for request: Request) -> Candidates {
        switch request.traits.destination {
        case .server(let name): Candidates(servers: fleet.servers.filter { $0.name == name }.map(\.id))
        case .fallback, .conversation: withoutModel
        case .model(let model):
            servers(of: model) ?? (fleet.routes == nil && fleet.fallback != nil ? withoutModel : fallbackOrder)
        }
    }

    private func servers(of model: String) -> Candidates? {
        if let routes = fleet.routes {
            guard let route = routes.first(where: { $0.pattern.source == model || $0.pattern.source == ".*" }) else { return nil }
            let listing = route.servers.filter { servers[$0]?.models?.contains(model) ?? true }
            return Candidates(servers: listing.isEmpty ? route.servers : listing)
        }
        let listing = present.filter { servers[$0]?.models?.contains(model) == true }
        if !listing.isEmpty { return Candidates(servers: listing) }
        let silent = present.filter { servers[$0].map { $0.models == nil && !$0.isDown } ?? false }
        return silent.isEmpty ? nil : Candidates(servers: silent)
    }

    /// The servers of the only model, if there is one.
    private var withoutModel: Candidates {
        if let only, let found = servers(of: only) { return found }
        return fallbackOrder
    }

    private var fallbackOrder: Candidates {
        guard let fallback = fleet.fallback else { return Candidates() }
        return Candidates(servers: [fallback] + present.filter { $0 != fallback }, areInOrder: true)
    }

    /// The model that is the only one wherever there is one. `m-2` beside `m` is no model of its own.
    private var only: String? {
        let lists = present.compactMap { servers[$0]?.models }
        let models = Set(lists.flatMap { list in list.filter { $0 != "m-2" || !list.contains("m") } })
        return models.count == 1 ? models.first : nil
    }

    /// The candidates whose turn it is.
    private func inTurn(for request: Request, at now: Moment) -> [BackendID] {
        let candidates = candidates(for: request)
        guard candidates.areInOrder, let first = candidates.servers.first(where: { isUsable($0, for: request, at: now) }) else {
            return candidates.servers
        }
        return [first]
    }

    /// Neither down, draining nor failing, and has not failed this request. It may be full, or its trial may be under way, which
    /// is soon over; but a light request does not wait for that.
    private func isUsable(_ id: BackendID, for request: Request, at now: Moment) -> Bool {
        guard let server = servers[id], !request.failed.contains(id) else { return false }
        let circuit = server.circuits[request.traits.model] ?? Circuit()
        let answersSoon = circuit.admits(at: now) || circuit.trial != nil && request.traits.counts
        return !server.isDown && !server.isDraining && !server.isRemoved && answersSoon
    }

    // MARK: - Invariants

    /// Compares the router's state with this one's. To be called after every event.
    mutating func check(_ router: Router, at now: Moment) {
        let (waiting, running, known) = (waiting, running, Set(servers.keys))
        expect(router.line.count == waiting.count, "\(router.line.count) wait, not \(waiting.count)")
        expect(Set(router.running.keys) == Set(running), "\(router.running.count) run, not \(running.count)")
        expect(Set(router.backends.map(\.id)) == known, "servers \(router.backends.map(\.id))")
        for backend in router.backends {
            guard let server = servers[backend.id] else { continue }
            expect(backend.inFlight == server.inFlight, "\(backend.id): \(backend.inFlight) in flight, not \(server.inFlight)")
            expect(backend.passing == server.passing, "\(backend.id): \(backend.passing) passing, not \(server.passing)")
            let named = backend.inFlightByInstance.values
            expect(named.allSatisfy { $0 > 0 } && named.reduce(0, +) <= backend.inFlight, "\(backend.id): \(named)")
            expect(backend.limit == server.limit, "\(backend.id): limit \(backend.limit ?? 0), not \(server.limit ?? 0)")
            expect(backend.throttle.until == server.pausedUntil, "\(backend.id): full until \(backend.throttle.until)")
            expect(backend.health.isDown == server.isDown, "\(backend.id) down: \(backend.health.phase)")
        }
        for ticket in waiting { checkWaiting(ticket, now) }
        let deadlines = router.line.inOrder.map(\.deadline)
        if let next = deadlines.min() {
            expect(wakes.contains { $0 <= next }, "nobody is woken for the deadline \(next)")
        }
    }

    /// Nobody waits while a place is free, nor when there is nothing left to wait for.
    private mutating func checkWaiting(_ ticket: Ticket, _ now: Moment) {
        guard let request = requests[ticket] else { return }
        var hasHope = false
        let inTurn = inTurn(for: request, at: now)
        expect(request.traits.counts || !inTurn.contains { servers[$0]?.isDraining == true }, "the light \(ticket) waits")
        for id in inTurn where !request.failed.contains(id) {
            guard let server = servers[id] else { continue }
            let circuit = server.circuits[request.traits.model] ?? Circuit()
            let hasRoom = (!server.isFull(at: now) || !request.traits.counts) && circuit.admits(at: now)
            expect(
                !hasRoom || server.isDown || server.isDraining || server.isRemoved,
                "\(ticket) waits although \(id) has a free place")
            hasHope = hasHope || server.isDraining || server.inFlight > 0 || circuit.trial != nil || server.pausedUntil > now
        }
        expect(hasHope, "\(ticket) waits for nothing")
    }
}

extension Refusal {
    fileprivate var retryAfter: Int? {
        switch self {
        case .queueFull(_, let seconds), .queueTimeout(_, let seconds), .noServerAvailable(_, let seconds): seconds
        case .modelNotFound, .noSuchServer, .upstreamFailed: nil
        }
    }
}
