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
        /// It says how many models it holds. Then one of them may keep its place for a while, although nothing computes there.
        var tellsCapacity = false
        var changedAt = Moment.zero

        func mayRest(at now: Moment) -> Bool { tellsCapacity && now < changedAt + .seconds(10) }

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
        var timesMissing = 0
        /// A server that answered 500: it is to blame if another server answers.
        var suspect: BackendID?
        var deadline: Moment
        var hasFailed = false

        var isForced: Bool { if case .server = traits.destination { true } else { false } }
    }

    var servers: [BackendID: Server] = [:]
    /// Those that have arrived and have no final answer yet.
    var requests: [Ticket: Request] = [:]
    var fleet = Fleet(servers: [], routes: nil, fallback: nil)
    /// The most slots that a server has ever told of.
    var mostSlots: [BackendID: Int] = [:]
    var wakes: [Moment] = []
    /// Of the latest event.
    var now = Moment.zero
    /// Who made what.
    var owners: [String: BackendID] = [:]
    /// The first thing that was not as it must be.
    var failure: String?
    var arrivals = 0
    /// The request whose answer may be kept: the event at hand said that it was answered.
    var answered: Ticket?
    /// The server that answered it with 500.
    var suspected: BackendID?

    var present: [BackendID] { fleet.servers.map(\.id) }
    var running: [Ticket] { tickets { $0.place != .waiting } }
    var trials: [Ticket] { running.filter { isTrial($0) } }
    var waiting: [Ticket] { tickets { $0.place == .waiting } }

    func tickets(where isWanted: (Request) -> Bool) -> [Ticket] {
        requests.filter { isWanted($0.value) }.map(\.key).sorted { $0.rawValue < $1.rawValue }
    }

    mutating func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition, failure == nil { failure = message() }
    }

    // MARK: - Events

    mutating func happens(_ event: Event, at now: Moment) {
        (answered, suspected) = (nil, nil)
        self.now = now
        switch event {
        case .requestArrived(let ticket, let traits):
            arrivals += 1
            requests[ticket] = Request(traits: traits, number: arrivals, deadline: now + fleet.policy.maxWait)
        case .requestCancelled(let ticket):
            judge(ticket, .abandoned, now)
            leave(ticket)
        case .finished(let ticket, let outcome):
            if let created = outcome.created, case .running(let id) = requests[ticket]?.place { owners[created] = id }
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
                case 404 where request.traits.isSearch:
                    cannotAnswer(ticket, server)
                case 500:
                    if isTrial(ticket) { judge(ticket, .broken(""), now) }
                    requests[ticket]?.failed.insert(server)
                    suspected = request.suspect ?? server
                default:
                    judge(ticket, .broken(""), now)
                    requests[ticket]?.failed.insert(server)
                }
                requests[ticket]?.hasFailed = true
            } else if failure == .promptTooLong {
                answered = ticket
                if !request.hasFailed { cannotAnswer(ticket, server) }
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
            if report.mostLoadedModels != nil { servers[id]?.tellsCapacity = true }
            mostSlots[id] = max(mostSlots[id] ?? 1, report.slots?.total ?? 1)
        case .probeFailed(let id, _, let engineListens):
            servers[id]?.failures += 1
            if engineListens { servers[id]?.engineFailures = 0 } else { servers[id]?.engineFailures += 1 }
            if let failures = servers[id]?.failures, failures >= fleet.policy.failuresUntilDown {
                servers[id]?.isDown = true
            }
        case .modelsListed(let id, let models):
            servers[id]?.models = models.map(\.name)
            servers[id]?.changedAt = now
        case .fleetChanged(let new):
            fleet = new
            for id in servers.keys { servers[id]?.isRemoved = true }
            for server in new.servers {
                servers[server.id, default: Server()].requestMax = server.requestMax
                servers[server.id]?.isRemoved = false
            }
            forgetRemoved()
        case .figuresRestored: break
        case .drain(let id): servers[id]?.isDraining = true
        case .undrain(let id): servers[id]?.isDraining = false
        case .clockAdvanced: wakes.removeAll { $0 <= now }
        }
    }

    func isTrial(_ ticket: Ticket) -> Bool {
        guard let request = requests[ticket], case .running(let id) = request.place else { return false }
        return servers[id]?.circuits[request.traits.model]?.trial == ticket
    }

    /// What the end of an attempt says about its server.
    /// The server works, but does not have what is searched for, or its context is too short.
    private mutating func cannotAnswer(_ ticket: Ticket, _ server: BackendID) {
        guard let model = requests[ticket].map(\.traits.model) else { return }
        if isTrial(ticket) || servers[server]?.circuits[model]?.until == nil { servers[server]?.circuits[model] = Circuit() }
        requests[ticket]?.failed.insert(server)
        requests[ticket]?.timesMissing += 1
    }

    mutating func judge(_ ticket: Ticket, _ ending: Outcome.Ending, _ now: Moment) {
        guard let request = requests[ticket], case .running(let id) = request.place, !request.hasFailed else { return }
        if ending == .complete {
            if request.traits.counts { answered(id) }
            if let suspect = request.suspect { judge(suspect, ticket, request, .broken(""), now) }
        }
        judge(id, ticket, request, ending, now)
    }

    mutating func judge(
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
    mutating func pause(_ id: BackendID, _ retryAfter: Int?, _ now: Moment) {
        guard var server = servers[id] else { return }
        let pause = max(.seconds(1), retryAfter.map { Interval.seconds(Int64($0)) } ?? server.nextPause)
        server.pausedUntil = max(server.pausedUntil, now + min(pause, fleet.policy.longestThrottle))
        server.nextPause = min(.init(nanoseconds: server.nextPause.nanoseconds * 2), fleet.policy.longestThrottle)
        server.learnedLimit = max(1, min(server.inFlight, server.learnedLimit ?? server.inFlight) - 1)
        server.answersSinceLearned = 0
        servers[id] = server
    }

    /// The server answered a request: after as many as its limit, it may take one more.
    mutating func answered(_ id: BackendID) {
        guard let limit = servers[id]?.learnedLimit, let answers = servers[id]?.answersSinceLearned else { return }
        servers[id]?.nextPause = .seconds(1)
        servers[id]?.answersSinceLearned = answers + 1 == limit ? 0 : answers + 1
        if answers + 1 == limit { servers[id]?.learnedLimit = limit + 1 }
    }

    mutating func leave(_ ticket: Ticket) {
        release(ticket)
        requests[ticket] = nil
    }

    mutating func release(_ ticket: Ticket) {
        guard let request = requests[ticket], case .running(let id) = request.place else { return }
        if request.traits.counts { servers[id]?.inFlight -= 1 } else { servers[id]?.passing -= 1 }
        servers[id]?.changedAt = now
        forgetRemoved()
    }

    mutating func forgetRemoved() {
        servers = servers.filter { !$0.value.isRemoved || $0.value.inFlight > 0 || $0.value.passing > 0 }
    }
}
