import Routing

/// Nanoseconds of a decision and of the request's end together, by how much the router has to know.
struct DecisionTimes {
    var servers: [(count: Int, nanoseconds: Double)] = []
    var sessions: [(count: Int, nanoseconds: Double)] = []

    var json: String {
        func object(_ times: [(count: Int, nanoseconds: Double)]) -> String {
            times.map { "\"\($0.count)\": \($0.nanoseconds.rounded())" }.joined(separator: ", ")
        }
        return "{\"servers\": {\(object(servers))}, \"sessions\": {\(object(sessions))}}\n"
    }
}

/// A router with servers that are up and idle and take any model.
struct World: ~Copyable {
    var router = Router()
    private var now = Moment(nanoseconds: 1_000_000_000)
    private var lastTicket: UInt64 = 0
    private var effects: [Effect] = []

    init(
        servers count: Int, isBusy: Bool = false, slots: Int? = nil, rule: PickingRule = .sticky,
        stickyTTL: Interval = .seconds(1_000_000)
    ) {
        let servers = (1...count).map { Fleet.Server(id: BackendID(rawValue: $0), name: "server-\($0)", requestMax: nil) }
        var policy = RoutingPolicy()
        policy.stickyLimit = 2_000_000
        policy.stickyTTL = stickyTTL
        let fleet = Fleet(
            servers: servers, routes: [.init(pattern: ModelPattern("bench-.*"), servers: servers.map(\.id), rule: rule)],
            fallback: nil,
            policy: policy)
        router.handle(.fleetChanged(fleet), at: now, effects: &effects)
        for server in servers {
            let slots = slots.map { BackendReport.Slots(total: $0, busy: 0) }
            router.handle(.probed(server.id, BackendReport(isBusy: isBusy, slots: slots)), at: now, effects: &effects)
            router.handle(.modelsListed(server.id, [ListedModel("bench-model")]), at: now, effects: &effects)
        }
    }

    mutating func arrive(client: String, model: String, prompt: PromptChain? = nil) -> Ticket {
        lastTicket += 1
        now = now + Interval(nanoseconds: 1000)
        let ticket = Ticket(owner: 0, sequence: lastTicket)
        effects.removeAll(keepingCapacity: true)
        let traits = RequestTraits(
            destination: .model(model), client: client, address: client, requestID: "0123456789abcd",
            prompt: prompt, isStream: prompt != nil)
        router.handle(.requestArrived(ticket, traits), at: now, effects: &effects)
        guard case .grant = effects.first else { fail("parts: a request was not granted") }
        return ticket
    }

    mutating func finish(_ ticket: Ticket) {
        router.handle(.finished(ticket, Outcome(.complete)), at: now, effects: &effects)
    }

    /// As an engine answers a stream. `seconds`: until then; fewer than it says when others ask meanwhile.
    mutating func finish(_ ticket: Ticket, _ prompt: PromptChain, seconds: Double = 2) {
        let part = Interval(nanoseconds: Int64(seconds / 2 * 1e9))
        now = now + part
        router.handle(.answerBegan(ticket), at: now, effects: &effects)
        now = now + part
        let timings = Timings(
            cachedTokens: prompt.length / 4 - 500, promptTokens: 500, promptMilliseconds: 200, predictedTokens: 150,
            predictedMilliseconds: 2_000)
        router.handle(.finished(ticket, Outcome(.complete, timings: timings)), at: now, effects: &effects)
    }
}

func measureDecisions() -> DecisionTimes {
    var times = DecisionTimes()
    for count in [1, 8, 64, 512] {
        var world = World(servers: count)
        let time = nanoseconds(calls: 2_000) { world.finish(world.arrive(client: "10.0.0.1", model: "bench-model")) }
        report("decision and end, \(count) servers", time, "ns")
        times.servers.append((count, time))
    }
    var busy = World(servers: 512, isBusy: true)
    var stranger = 0
    let worst = nanoseconds(calls: 500) {
        stranger += 1
        busy.finish(busy.arrive(client: "stranger-\(stranger)", model: "bench-model"))
    }
    report("decision and end for a client without a server, 512 servers, all of them busy", worst, "ns")
    for count in [10, 10_000, 1_000_000] { times.sessions.append((count, decisionTime(sessions: count))) }
    return times
}

/// With eight servers, each of which is held by a client for every model: so there are as many models as an eighth of the sessions.
private func decisionTime(sessions count: Int) -> Double {
    var world = World(servers: 8)
    func name(_ session: Int) -> (client: String, model: String) { ("client-\(session % 8)", "bench-\(session / 8)") }
    var running: [Ticket] = []
    for session in 0..<count {
        // Together, so that they hold a server each.
        running.append(world.arrive(client: name(session).client, model: name(session).model))
        if running.count == 8 || session == count - 1 {
            for ticket in running { world.finish(ticket) }
            running.removeAll(keepingCapacity: true)
        }
    }
    var session = 0
    let time = nanoseconds(rounds: 10, calls: 20_000) {
        let (client, model) = name(session)
        world.finish(world.arrive(client: client, model: model))
        session = (session + 1) % count
    }
    let known = world.router.snapshot(at: Moment(nanoseconds: 2_000_000_000), sessionLimit: 1).sessionCount
    report("decision and end, \(known) sessions", time, "ns")
    return time
}
