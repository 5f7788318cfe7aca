import NIOCore
import NIOSSL
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
    var knownTargets = KnownTargets()
    /// What a connection asked for the first time, last.
    var knownLine = KnownLine()
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
    var outbound = ByteBuffer()
    var clients: [ObjectIdentifier: ClientHandler] = [:]
    private var exchanges: TicketTable<ClientHandler>
    private var pools: [BackendID: UpstreamPool] = [:]
    private var retiredDials = 0
    private let tls: NIOSSLContext?
    private var logLines = ByteWriter()
    private var logClock = ClockText()
    private(set) var isDraining = false

    init(
        index: Int, eventLoop: any EventLoop, router: SharedRouter, localEndpoints: any LocalEndpoints,
        observer: (any RequestObserver)?, accessLog: (any AccessLogSink)?, tls: NIOSSLContext?
    ) {
        self.index = index
        exchanges = TicketTable(owner: index)
        self.eventLoop = eventLoop
        self.router = router
        self.localEndpoints = localEndpoints
        self.observer = observer
        self.accessLog = accessLog
        self.tls = tls
        readWallClock()
    }

    /// A callback from outside begins.
    func readClock() { now = Clock.now }

    /// Milliseconds since 1970, for people and logs only.
    var wallMilliseconds: Int { Int(now.nanoseconds / 1_000_000) + wallOffset }

    private func readWallClock() { wallOffset = Clock.wallMilliseconds - Int(now.nanoseconds / 1_000_000) }

    // MARK: Requests

    /// Names a client's request, for the router to answer through `granted` and the like.
    func ticket(for client: ClientHandler) -> Ticket {
        exchanges.insert(client)
    }

    func forget(_ ticket: Ticket) { exchanges.remove(ticket) }

    /// The model's route, found before the router's lock is taken.
    func match(_ model: String) -> RouteMatch {
        router.update(&matcher)
        return matcher.match(model)
    }

    /// Carries out what the router has decided, in that order. An effect may send the next event: that call then carries out
    /// what is left, and the effects of its own event after that.
    func deliver() {
        while let effect = inbox.next() { deliver(effect) }
    }

    private func deliver(_ effect: Effect) {
        switch effect {
        case .grant(let ticket, let grant): exchanges[ticket]?.granted(grant, ticket)
        case .refuse(let ticket, let refusal): exchanges[ticket]?.refused(refusal, ticket)
        case .keepAnswer(let ticket): exchanges[ticket]?.keepAnswer(ticket)
        case .serverLost(let ticket): exchanges[ticket]?.serverLost(ticket)
        case .probeNow, .wakeMe: break  // SharedRouter's own business
        }
    }

    /// An administrator ends a request.
    func cancel(_ ticket: Ticket) { exchanges[ticket]?.cancelledByAdministrator() }

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
                pools[endpoint.id] = UpstreamPool(endpoint: endpoint, loop: eventLoop, tls: tls)
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
        for client in Array(clients.values) {
            if client.hasExpired(at: now) { client.deadlinePassed() }
            client.watchForStall(now)
            if let interval = settings.keepAliveInterval { client.keepAlive(every: interval, now) }
        }
        flushLog()
    }

    /// No new requests on kept connections; those idle are closed.
    func drain() {
        isDraining = true
        for client in Array(clients.values) { client.closeIfIdle() }
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
