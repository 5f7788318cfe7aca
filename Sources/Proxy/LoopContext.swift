import NIOCore
import Routing
import Wire

/// What one event loop owns: its clients, its exchanges, its pools, its counters. Never touched by another loop.
final class LoopContext {
    /// Its number among the router's owners.
    let index: Int
    let eventLoop: any EventLoop
    let router: SharedRouter
    let localEndpoints: any LocalEndpoints
    let observer: (any RequestObserver)?
    private let accessLog: (any AccessLogSink)?

    private(set) var settings = ProxySettings()
    private(set) var usernames: UsernameFinder?
    var modelRules = ModelRuleSet([])
    var requestLines = RequestLines()
    var requestIDs = RequestIDs(seed: UInt64.random(in: .min ... .max))
    /// The steady clock, read once at the beginning of every callback rather than wherever it is needed.
    private(set) var now = Clock.now
    /// What to add to the steady clock for milliseconds since 1970; looked at a few times a second.
    private var wallOffset = 0
    /// What the router has decided about requests of this loop and has not been carried out.
    var inbox = Inbox()
    private var matcher = ModelMatcher(Router().patterns)
    var counters = Counters()
    /// Used for every head that this loop writes.
    var headWriter = ByteWriter()
    /// What goes to a server next; empty between requests, kept for its memory.
    private var outbound = ByteBuffer()
    var clients: [ObjectIdentifier: ClientHandler] = [:]
    /// Those of them that have nothing to do.
    var idleClients = IdleConnections<ClientHandler>()
    /// Exchanges that go on although their clients left.
    var detached: [ObjectIdentifier: ExchangeRunner] = [:]
    /// Stands in for every client that has left.
    let goneClient: GoneClient
    private var exchanges: TicketTable<ExchangeRunner>
    private var isHandling = false
    /// What happened while another event was being handled.
    private var pending: [LoopEvent] = []
    private var pools: [BackendID: UpstreamPool] = [:]
    private var retiredDials = 0
    private let dialer: any UpstreamDialer
    /// Our name in `Via`, different for every process: a request that comes back with it has gone round in a circle.
    let viaName: String
    private var logLines = ByteWriter()
    private var logClock = ClockText()
    private(set) var isDraining = false

    init(
        index: Int, eventLoop: any EventLoop, router: SharedRouter, localEndpoints: any LocalEndpoints,
        observer: (any RequestObserver)?, accessLog: (any AccessLogSink)?, dialer: any UpstreamDialer, viaName: String
    ) {
        self.index = index
        self.viaName = viaName
        exchanges = TicketTable(owner: index)
        goneClient = GoneClient(eventLoop: eventLoop)
        self.eventLoop = eventLoop
        self.router = router
        self.localEndpoints = localEndpoints
        self.observer = observer
        self.accessLog = accessLog
        self.dialer = dialer
        readWallClock()
    }

    /// A callback from outside begins.
    func readClock() { now = Clock.now }

    /// Milliseconds since 1970, for people and logs only.
    var wallMilliseconds: Int { Int(now.nanoseconds / 1_000_000) + wallOffset }

    private func readWallClock() { wallOffset = Clock.wallMilliseconds - Int(now.nanoseconds / 1_000_000) }

    // MARK: Events

    /// Handles an event now, or after the one at hand: never two at a time, whatever the socket does inside a call. So an action runs
    /// to its end before anything else happens.
    func handle(_ event: LoopEvent) {
        guard !isHandling else { return pending.append(event) }
        isHandling = true
        readClock()
        event.perform()
        if !pending.isEmpty { handlePending() }
        isHandling = false
    }

    private func handlePending() {
        var index = 0
        while index < pending.count {
            let event = pending[index]
            index += 1
            event.perform()
        }
        pending.removeAll(keepingCapacity: true)
    }

    // MARK: Requests

    /// Names an exchange's request, for the router to answer.
    func ticket(for runner: ExchangeRunner) -> Ticket { exchanges.insert(runner) }

    func forget(_ ticket: Ticket) { exchanges.remove(ticket) }

    /// The model's route, found before the router's lock is taken.
    func match(_ model: String) -> RouteMatch {
        router.update(&matcher)
        return matcher.match(model)
    }

    /// Carries out what the router has decided, in that order.
    func deliver() {
        while let effect = inbox.next() { deliver(effect) }
    }

    /// Carries the router's word to the exchange that it concerns.
    private func deliver(_ effect: Effect) {
        switch effect {
        case .grant(let ticket, let grant): send(.granted(ticket, grant), to: ticket)
        case .refuse(let ticket, let refusal): send(.refused(ticket, refusal), to: ticket)
        case .keepAnswer(let ticket): send(.failureKept(ticket), to: ticket)
        case .serverLost(let ticket): send(.serverLost(ticket), to: ticket)
        case .probeNow, .wakeMe: break  // SharedRouter's own business
        }
    }

    private func send(_ event: ExchangeRunner.Event, to ticket: Ticket) {
        if let runner = exchanges[ticket] { handle(.exchange(runner, event)) }
    }

    /// An administrator ends a request.
    func cancel(_ ticket: Ticket) { send(.cancelled(ticket), to: ticket) }

    /// The buffer for what goes to a server next, empty. Whoever takes it gives it back.
    func takeOutbound() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &outbound)
        return taken
    }

    func giveBackOutbound(_ bytes: consuming ByteBuffer) {
        bytes.clear()
        outbound = bytes
    }

    func pool(of backend: BackendID) -> UpstreamPool? { pools[backend] }

    // MARK: Settings and life

    func apply(_ new: ProxySettings) {
        if settings.usernamePattern != new.usernamePattern || usernames == nil {
            usernames = UsernameFinder(pattern: new.usernamePattern)
        }
        if settings.modelRules != new.modelRules { modelRules = ModelRuleSet(new.modelRules) }
        settings = new
        var old = pools
        pools = [:]
        for endpoint in new.endpoints {
            if let known = old[endpoint.id], known.endpoint == endpoint {
                pools[endpoint.id] = known
                old[endpoint.id] = nil
            } else {
                pools[endpoint.id] = UpstreamPool(
                    endpoint: endpoint, idleLimit: new.maxIdleUpstream, loop: eventLoop, dialer: dialer)
            }
        }
        for pool in old.values {
            retiredDials += pool.dialled
            pool.retire()
        }
    }

    /// Runs a few times a second: time limits, idle connections, the log.
    func tick() {
        readClock()
        readWallClock()
        for pool in pools.values { pool.closeExpired(at: now) }
        for client in Array(clients.values) { handle(.client(client, .ticked)) }
        for runner in Array(detached.values) { handle(.exchange(runner, .ticked)) }
        flushLog()
    }

    /// No new requests on kept connections; those idle are closed.
    func drain() {
        isDraining = true
        for client in Array(clients.values) { handle(.client(client, .draining)) }
    }

    /// Closes the client that has been idle for longest, for another one. False when there is none, or when none of those that were
    /// looked at may be closed.
    func closeLongestIdle() -> Bool {
        readClock()
        // Only a few at a time; the next call looks at others.
        for client in idleClients.longest(8) {
            if client.closeForAnother() { return true }
            client.becameBusy()
            client.becameIdle()
        }
        return false
    }

    func closeAll() {
        for client in Array(clients.values) { client.closeNow() }
        for pool in pools.values { pool.retire() }
        flushLog()
    }

    func currentCounters() -> Counters {
        var current = counters
        current.connects = pools.values.reduce(retiredDials) { $0 + $1.dialled }
        current.clientConnections = clients.count
        current.detachedStreams = detached.count
        return current
    }

    // MARK: Log

    func log(_ record: borrowing RequestRecord) {
        observer?.requestEnded(record)
        guard accessLog != nil else { return }
        record.write(into: &logLines, &logClock)
        if logLines.count > 64 << 10 { flushLog() }
    }

    func flushLog() {
        guard let accessLog, logLines.count > 0 else { return }
        accessLog.write(logLines.bytes)
        logLines.reset()
    }
}

/// Something that has happened to one of a loop's connections or exchanges.
enum LoopEvent {
    case client(ClientHandler, ClientHandler.Event)
    case exchange(ExchangeRunner, ExchangeRunner.Event)

    func perform() {
        switch self {
        case .client(let handler, let event): handler.handle(event)
        case .exchange(let runner, let event): runner.handle(event)
        }
    }
}
