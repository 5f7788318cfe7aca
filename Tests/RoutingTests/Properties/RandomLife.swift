@testable import Routing

/// A random life of a router: makes events that could happen, and lets a `World` judge what the router makes of them.
struct RandomLife: ~Copyable {
    private(set) var router = Router()
    /// Gets the same events: must give the same effects.
    private var twin = Router()
    private(set) var world = World()
    /// Everything that happened, and what came of it.
    private(set) var recording = Recording(limit: 1_000_000)
    private(set) var effects: [[Effect]] = []
    /// Finds routes before the router is asked, as the proxy does; sometimes for a fleet that is gone.
    private var matcher = ModelMatcher(Router().patterns)
    private var random: SplitMix64
    private var now = Moment(nanoseconds: 1)
    private var nextTicket: UInt64 = 0
    private var nextServer = 1
    private var history: [String] = []
    /// What went wrong first, with the last events.
    private(set) var failure: String?

    private static let models = ["m", "n", "unlisted"]

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        happens(.fleetChanged(randomFleet()))
    }

    mutating func live(events: Int) {
        for _ in 0..<events where failure == nil { step() }
    }

    /// Ends everything that runs, heals every server and lets the time to wait run out.
    mutating func end() {
        for id in world.present {
            happens(.undrain(id))
            happens(.probed(id, BackendReport(isBusy: false, slots: .init(total: 2, busy: 0))))
        }
        // The pauses of servers that answered 429 end.
        now = now + world.fleet.policy.longestThrottle
        if world.wakes.contains(where: { $0 <= now }) { happens(.clockAdvanced) }
        while let ticket = world.running.first, failure == nil { finish(ticket) }
        now = now + world.fleet.policy.maxWait
        happens(.clockAdvanced)
        guard failure == nil else { return }
        let snapshot = router.snapshot(at: now)
        let isEmpty =
            snapshot.runningCount == 0 && snapshot.waitingCount == 0
            && snapshot.servers.allSatisfy { $0.inFlight == 0 && $0.passing == 0 && $0.inFlightByInstance.isEmpty }
        if !isEmpty { fail("something is left at the end: \(snapshot)") }
        if snapshot.servers.contains(where: \.isRemoved) { fail("a removed server is left at the end") }
        if !world.requests.isEmpty { fail("\(world.requests.count) requests have no answer at the end") }
    }

    // MARK: - Events

    private mutating func step() {
        now = now + .milliseconds(Int64(random.below(400)))
        if let due = world.wakes.min(), due <= now { happens(.clockAdvanced) }
        switch random.below(1000) {
        case 0..<400: arrive()
        case 400..<600: if let ticket = pick(world.running) { finish(ticket) }
        case 600..<605: if let ticket = pick(world.running) { happens(.stalled(ticket)) }
        case 605..<607: if let ticket = pick(world.trials) { happens(.answerBegan(ticket)) }
        case 607..<610: if let ticket = pick(world.running) { happens(.answerBegan(ticket)) }
        case 610..<650: if let ticket = pick(world.running + world.waiting) { happens(.requestCancelled(ticket)) }
        case 650..<760: if let ticket = pick(world.running) { happens(.attemptFailed(ticket, randomFailure(ticket))) }
        case 760..<860: if let id = anyServer() { happens(.probed(id, randomReport())) }
        case 860..<930:
            guard let id = anyServer() else { break }
            happens(.probeFailed(id, reason: "no answer", engineListens: random.below(3) == 0))
        case 930..<950: if let id = anyServer() { happens(.modelsListed(id, randomList())) }
        case 950..<965: if let id = anyServer() { happens(.drain(id)) }
        case 965..<985: if let id = anyServer() { happens(.undrain(id)) }
        case 985..<990: happens(.fleetChanged(randomFleet()))
        // Things that come too late, or twice.
        case 990..<993: happens(.clockAdvanced)
        case 993..<994: happens(.answerBegan(Ticket(owner: 1, sequence: 1)))
        case 994..<996: happens(.finished(Ticket(owner: 1, sequence: 1), Outcome(.complete)))
        default: happens(.attemptFailed(Ticket(owner: 1, sequence: 2), .serverLost))
        }
    }

    private mutating func arrive() {
        nextTicket += 1
        let destination: RequestTraits.Destination =
            switch random.below(20) {
            case 0...2: .fallback
            case 3: .server("server-\(1 + random.below(nextServer))")
            default: .model(random.pick(Self.models))
            }
        if random.chance(percent: 20) { matcher = ModelMatcher(router.patterns) }
        var match: RouteMatch?
        if case .model(let model) = destination, random.chance(percent: 80) { match = matcher.match(model) }
        let traits = RequestTraits(
            destination: destination, client: "client-\(random.below(6))", key: random.pick([nil, "limited", "free"]),
            counts: random.below(10) > 0,
            requestID: "r\(nextTicket)", follows: random.below(10) == 0 ? .made("made-\(random.below(3))") : nil,
            prompt: random.below(4) == 0 ? nil : randomPrompt(), isStream: random.below(3) > 0, match: match)
        happens(.requestArrived(Ticket(owner: 0, sequence: nextTicket), traits))
    }

    /// One of a few conversations, up to one of its messages.
    private mutating func randomPrompt() -> PromptChain {
        let (conversation, turns) = (random.below(6), 1 + random.below(8))
        let links = (1...turns).map { turn in
            PromptChain.Link(hash: UInt64(turn < 3 ? turn : turn + 100 * conversation), end: UInt32(turn * 4_000))
        }
        return PromptChain(
            links: random.below(20) == 0 ? [] : links, length: turns * 4_000, lastMessageStart: (turns - 1) * 4_000)
    }

    private mutating func finish(_ ticket: Ticket) {
        let timings = Timings(
            cachedTokens: random.pick([nil, 0, random.below(8_000)]), promptTokens: random.below(3000),
            promptMilliseconds: Double(random.below(1000)),
            predictedTokens: random.below(100), predictedMilliseconds: Double(random.below(1000)))
        let created = random.below(20) == 0 ? "made-\(random.below(3))" : nil
        happens(.finished(ticket, Outcome(randomEnding(), timings: timings, created: created)))
    }

    private mutating func happens(_ event: Event) {
        guard failure == nil else { return }
        history.append("\(now.nanoseconds / 1_000_000) ms: \(event)")
        if history.count > 12 { history.removeFirst() }
        world.happens(event, at: now)
        recording.record(event, at: now)
        let effects = router.handle(event, at: now)
        self.effects.append(effects)
        history[history.count - 1] += "\n      → \(effects)"
        world.carryOut(effects, at: now)
        world.check(router, at: now)
        if let problem = world.failure { fail(problem) }
        if twin.handle(event, at: now) != effects { fail("the same events gave other effects") }
        if nextTicket % 50 == 0 { checkSnapshot() }
    }

    private mutating func checkSnapshot() {
        let snapshot = router.snapshot(at: now)
        let requests = router.requests()
        if requests.count != snapshot.runningCount + snapshot.waitingCount { fail("the requests are not all listed") }
        if requests.compactMap(\.ahead) != Array(0..<snapshot.waitingCount) { fail("the line is not numbered in order") }
        let inFlight = snapshot.servers.reduce(0) { $0 + $1.inFlight + $1.passing }
        if inFlight != snapshot.runningCount { fail("\(inFlight) in flight on servers, \(snapshot.runningCount) run") }
        if snapshot.sessions.count != min(snapshot.sessionCount, 1000) { fail("the sessions are not all listed") }
        let holders = Dictionary(grouping: snapshot.sessions) { "\($0.backend) \($0.instance)" }
        for (place, sessions) in holders where sessions.count > world.mostSlots[sessions[0].backend, default: 1] {
            fail("\(place) has \(sessions.count) holders")
        }
        let known = Set(snapshot.servers.map(\.id))
        if !snapshot.sessions.allSatisfy({ known.contains($0.backend) }) { fail("a session on a server that is gone") }
    }

    private mutating func fail(_ problem: String) {
        if failure == nil { failure = problem + "\n    " + history.joined(separator: "\n    ") }
    }

    // MARK: - Random things

    private mutating func pick(_ tickets: [Ticket]) -> Ticket? { tickets.isEmpty ? nil : random.pick(tickets) }

    private mutating func anyServer() -> BackendID? {
        let ids = world.servers.keys.sorted { $0.rawValue < $1.rawValue }
        return ids.isEmpty ? nil : random.pick(ids)
    }

    private mutating func randomFailure(_ ticket: Ticket) -> AttemptFailure {
        switch random.below(9) {
        case 7: .promptTooLong
        case 0: .connect("refused")
        case 1: .beforeAnswer("reset")
        case 2: .answered(status: 503)
        case 3: .answered(status: 500)
        case 4: .answered(status: 429)
        case 6: .answered(status: world.requests[ticket]?.traits.isSearch == true ? 404 : 503)
        case 5: .answered(status: 429, retryAfter: random.below(100))
        default: .serverLost
        }
    }

    private mutating func randomEnding() -> Outcome.Ending {
        switch random.below(20) {
        case 0: .abandoned
        case 1...3: .broken("reset")
        default: .complete
        }
    }

    private mutating func randomReport() -> BackendReport {
        let slots = random.chance(percent: 40) ? BackendReport.Slots(total: 1 + random.below(3), busy: 0) : nil
        var report = BackendReport(isBusy: random.chance(percent: 30), slots: slots)
        report.mostLoadedModels = random.pick([nil, 1, 2, .max])
        return report
    }

    private mutating func randomList() -> [ListedModel] {
        let names = random.chance(percent: 50) ? ["m", "m-2"] : ["m", "m-2", "n"]
        return names.filter { _ in random.chance(percent: 60) }.map {
            ListedModel($0, residency: random.pick([nil, .loaded, .loading, .unloaded]))
        }
    }

    /// Most servers stay; some go, some come, limits change.
    private mutating func randomFleet() -> Fleet {
        var servers = world.fleet.servers.filter { _ in random.chance(percent: 75) }
        for index in servers.indices where random.chance(percent: 30) { servers[index].requestMax = randomLimit() }
        while servers.count < 2 || servers.count < 4 && random.chance(percent: 40) {
            servers.append(.init(id: .init(rawValue: nextServer), name: "server-\(nextServer)", requestMax: randomLimit()))
            nextServer += 1
        }
        let ids = servers.map(\.id)
        var routes: [Fleet.Route]?
        if random.chance(percent: 50) {
            let rule = random.pick(PickingRule.allCases)
            routes = [.init(pattern: ModelPattern("m"), servers: ids.shuffled(using: &random), rule: rule)]
            if random.chance(percent: 50) { routes?.append(.init(pattern: ModelPattern(".*"), servers: [random.pick(ids)])) }
        }
        var policy = RoutingPolicy()
        policy.maxWaiting = random.pick([0, 3, 20])
        policy.maxWait = .seconds(random.pick([2, 5, 30]))
        policy.stickyTTL = .seconds(random.pick([1, 5]))
        policy.stickyLimit = random.pick([2, 100])
        policy.keptDecisions = 10
        policy.failuresUntilOpen = random.pick([1, 2, 5])
        policy.circuitPause = .milliseconds(random.pick([100, 1000]))
        policy.freeRetries = random.pick([0, 3, 1000])
        let fallback = random.chance(percent: 60) ? random.pick(ids) : nil
        var fleet = Fleet(servers: servers, routes: routes, fallback: fallback, policy: policy)
        fleet.rule = random.pick(PickingRule.allCases)
        fleet.keyLimits = [
            "free": KeyLimits(),
            "limited": KeyLimits(
                requestMax: random.pick([nil, 1, 4]), requestsPerMinute: random.pick([nil, 60]),
                tokensPerMinute: random.pick([nil, 20_000, 200_000]), tokensPerDay: random.pick([nil, 1_000_000])),
        ]
        return fleet
    }

    private mutating func randomLimit() -> Int? { random.pick([nil, 1, 1, 2, 3]) }
}
