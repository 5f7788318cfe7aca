import NIOCore
import Routing

/// The state that one event loop owns: its clients, exchanges, pools and counters. No other loop accesses it.
final class LoopContext {
    let eventLoop: any EventLoop
    let router: SharedRouter
    let localEndpoints: any LocalEndpoints
    /// The balancer's name in `Via`, unique to this process. A request that comes back with it has gone through a loop of
    /// proxies.
    let viaName: String

    private(set) var settings = ProxySettings()
    private var clock = LoopClock()
    private var events = LoopEvents()
    var clients: LoopClients
    private var exchanges: TicketTable<ExchangeRunner>
    /// Effects that the router has decided for requests of this loop, not yet carried out.
    var inbox = Inbox()
    var memory = RequestMemory()
    var buffers = WriteBuffers()
    private var pools: UpstreamPools
    var counters = Counters()
    private var requestLog: RequestLog

    /// - Parameter index: the loop's owner number in the router.
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

    /// The loop's owner number in the router.
    var index: Int { exchanges.owner }

    /// Called at the beginning of a callback from outside.
    func readClock() { clock.read() }

    /// The monotonic clock, as read at the beginning of the callback.
    var now: Moment { clock.now }

    /// Milliseconds since 1970, for people and logs only.
    var wallMilliseconds: Int { clock.wallMilliseconds }

    // MARK: Events

    /// Handles an event now, or after the current event. Two events are never handled at the same time, whatever the socket
    /// does inside a call, so each action is complete before the next event is handled.
    func handle(_ event: consuming LoopEvent) {
        guard events.begin() else { return events.wait(event) }
        readClock()
        event.perform()
        handleWhatFollowed()
    }

    /// The same for the many events of one tick, which reads the clock once.
    private func handleInTick(_ event: consuming LoopEvent) {
        guard events.begin() else { return events.wait(event) }
        event.perform()
        handleWhatFollowed()
    }

    /// Handles the effects and events that arrived in the meantime.
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

    /// Creates the ticket under which the router answers an exchange's request.
    func ticket(for runner: ExchangeRunner) -> Ticket { exchanges.insert(runner) }

    func forget(_ ticket: Ticket) { exchanges.remove(ticket) }

    /// The model's route, found before the router's lock is taken.
    func match(_ model: String) -> RouteMatch { memory.match(model, for: router) }

    /// Carries out the router's effects in order: now, or after the current event.
    func deliver() {
        if events.begin() { handleWhatFollowed() }
    }

    /// Passes an effect to the exchange that it concerns.
    private func perform(_ effect: consuming Effect) {
        switch consume effect {
        case .grant(let ticket, let grant): exchanges[ticket]?.handle(.granted(ticket, grant))
        case .refuse(let ticket, let refusal): exchanges[ticket]?.handle(.refused(ticket, refusal))
        case .keepAnswer(let ticket): exchanges[ticket]?.handle(.failureKept(ticket))
        case .requeued(let ticket): exchanges[ticket]?.handle(.requeued(ticket))
        case .serverLost(let ticket): exchanges[ticket]?.handle(.serverLost(ticket))
        case .probeNow, .serverNews, .wakeMe: break  // handled by SharedRouter
        }
    }

    /// An administrator cancels a request.
    func cancel(_ ticket: Ticket) {
        if let runner = exchanges[ticket] { handle(.exchange(runner, .cancelled(ticket))) }
    }

    func pool(of backend: BackendID) -> UpstreamPool? { pools[backend] }

    /// A request has ended: records it in the access log and the statistics.
    func log(_ record: borrowing RequestRecord) { requestLog.add(record) }

    // MARK: Settings and lifetime

    func apply(_ new: ProxySettings) {
        memory.apply(new, insteadOf: settings)
        settings = new
        for client in clients.connected.values { client.runner.knownKey = nil }
        for pool in pools.replace(new.endpoints, idleLimit: new.limits.idleUpstream) { pool.retire() }
    }

    /// Runs a few times a second: checks time limits, idle connections and the log.
    func tick() {
        clock.readBoth()
        for pool in pools.all { pool.closeExpired(at: now) }
        for client in clients.nextToWatch() { handleInTick(.client(client, .ticked)) }
        for runner in Array(clients.detached.values) { handleInTick(.exchange(runner, .ticked)) }
        requestLog.flush()
    }

    var isDraining: Bool { clients.isDraining }

    /// Kept connections take no new requests, and idle connections are closed.
    func drain() {
        clients.isDraining = true
        for client in Array(clients.connected.values) { handle(.client(client, .draining)) }
    }

    /// Closes the longest idle client to make room for another one. False when there is none, or when none of the checked
    /// clients may be closed.
    func closeLongestIdle() -> Bool {
        readClock()
        // Checks only a few clients at a time; the next call checks others.
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
