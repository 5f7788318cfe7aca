import NIOCore
import Routing

/// What one event loop owns: its clients, its exchanges, its pools, its counters. Never touched by another loop.
final class LoopContext {
    let eventLoop: any EventLoop
    let router: SharedRouter
    let localEndpoints: any LocalEndpoints
    /// Our name in `Via`, different for every process: a request that comes back with it has gone round in a circle.
    let viaName: String

    private(set) var settings = ProxySettings()
    private var clock = LoopClock()
    private var events = LoopEvents()
    var clients: LoopClients
    private var exchanges: TicketTable<ExchangeRunner>
    /// What the router has decided about requests of this loop and has not been carried out.
    var inbox = Inbox()
    var memory = RequestMemory()
    var buffers = WriteBuffers()
    private var pools: UpstreamPools
    var counters = Counters()
    private var requestLog: RequestLog

    /// - Parameter index: its number among the router's owners.
    init(
        index: Int, eventLoop: any EventLoop, router: SharedRouter, localEndpoints: any LocalEndpoints,
        observer: (any RequestObserver)?, accessLog: (any AccessLogSink)?, dialer: any UpstreamDialer, viaName: String
    ) {
        self.viaName = viaName
        self.eventLoop = eventLoop
        self.router = router
        self.localEndpoints = localEndpoints
        exchanges = TicketTable(owner: index)
        clients = LoopClients(eventLoop: eventLoop)
        pools = UpstreamPools(loop: eventLoop, dialer: dialer)
        requestLog = RequestLog(observer: observer, sink: accessLog)
    }

    /// Its number among the router's owners.
    var index: Int { exchanges.owner }

    /// A callback from outside begins.
    func readClock() { clock.read() }

    /// The steady clock, as read at the beginning of the callback.
    var now: Moment { clock.now }

    /// Milliseconds since 1970, for people and logs only.
    var wallMilliseconds: Int { clock.wallMilliseconds }

    // MARK: Events

    /// Handles an event now, or after the one at hand: never two at a time, whatever the socket does inside a call. So an action runs
    /// to its end before anything else happens.
    func handle(_ event: consuming LoopEvent) {
        guard events.begin() else { return events.wait(event) }
        readClock()
        event.perform()
        handleWhatFollowed()
    }

    /// What the router has decided meanwhile, and what else has happened.
    private func handleWhatFollowed() {
        while true {
            if let effect = inbox.next() {
                perform(effect)
            } else if let event = events.next() {
                event.perform()
            } else {
                return events.end()
            }
        }
    }

    // MARK: Requests

    /// Names an exchange's request, for the router to answer.
    func ticket(for runner: ExchangeRunner) -> Ticket { exchanges.insert(runner) }

    func forget(_ ticket: Ticket) { exchanges.remove(ticket) }

    /// The model's route, found before the router's lock is taken.
    func match(_ model: String) -> RouteMatch { memory.match(model, for: router) }

    /// Carries out what the router has decided, in that order: now, or behind the event at hand.
    func deliver() {
        if events.begin() { handleWhatFollowed() }
    }

    /// Carries the router's word to the exchange that it concerns.
    private func perform(_ effect: consuming Effect) {
        switch consume effect {
        case .grant(let ticket, let grant): exchanges[ticket]?.handle(.granted(ticket, grant))
        case .refuse(let ticket, let refusal): exchanges[ticket]?.handle(.refused(ticket, refusal))
        case .keepAnswer(let ticket): exchanges[ticket]?.handle(.failureKept(ticket))
        case .serverLost(let ticket): exchanges[ticket]?.handle(.serverLost(ticket))
        case .probeNow, .wakeMe: break  // SharedRouter's own business
        }
    }

    /// An administrator ends a request.
    func cancel(_ ticket: Ticket) {
        if let runner = exchanges[ticket] { handle(.exchange(runner, .cancelled(ticket))) }
    }

    func pool(of backend: BackendID) -> UpstreamPool? { pools[backend] }

    /// A request is over: for the access log and the statistics.
    func log(_ record: borrowing RequestRecord) { requestLog.add(record) }

    // MARK: Settings and life

    func apply(_ new: ProxySettings) {
        memory.apply(new, insteadOf: settings)
        settings = new
        for pool in pools.replace(new.endpoints, idleLimit: new.limits.idleUpstream) { pool.retire() }
    }

    /// Runs a few times a second: time limits, idle connections, the log.
    func tick() {
        clock.readBoth()
        for pool in pools.all { pool.closeExpired(at: now) }
        for client in Array(clients.connected.values) { handle(.client(client, .ticked)) }
        for runner in Array(clients.detached.values) { handle(.exchange(runner, .ticked)) }
        requestLog.flush()
    }

    var isDraining: Bool { clients.isDraining }

    /// No new requests on kept connections; those idle are closed.
    func drain() {
        clients.isDraining = true
        for client in Array(clients.connected.values) { handle(.client(client, .draining)) }
    }

    /// Closes the client that has been idle for longest, for another one. False when there is none, or when none of those that were
    /// looked at may be closed.
    func closeLongestIdle() -> Bool {
        readClock()
        // Only a few at a time; the next call looks at others.
        for client in clients.idle.longest(8) {
            if client.closeForAnother() { return true }
            client.becameBusy()
            client.becameIdle()
        }
        return false
    }

    func closeAll() {
        for client in Array(clients.connected.values) { client.closeNow() }
        for pool in pools.all { pool.retire() }
        requestLog.flush()
    }

    func currentCounters() -> Counters {
        var current = counters
        current.connects = pools.dialled
        current.clientConnections = clients.connected.count
        current.detachedStreams = clients.detached.count
        return current
    }
}
