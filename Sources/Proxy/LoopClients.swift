import NIOCore

/// A loop's clients, and the exchanges of clients that have disconnected.
struct LoopClients {
    var connected: [ObjectIdentifier: ClientHandler] = [:]
    /// The idle connections among them.
    var idle = IdleConnections<ClientHandler>()
    /// Exchanges that continue although their clients have disconnected.
    var detached: [ObjectIdentifier: ExchangeRunner] = [:]
    /// The shared replacement for all clients that have disconnected.
    let gone: GoneClient
    /// Kept connections take no new requests, and idle connections are closed.
    var isDraining = false

    var failedKeys = FailedKeys()

    /// Clients that the current round of `nextToWatch` has not reached.
    private var unwatched: [ClientHandler] = []
    private var watchedAtOnce = 0
    /// A tick looks at this many clients at least.
    static let fewestWatched = 256
    /// With more clients, a round takes this many ticks.
    static let ticksPerRound = 4

    init(eventLoop: any EventLoop) { gone = GoneClient(eventLoop: eventLoop) }

    /// The clients whose time limits are checked in this tick: all clients if they are few, else a quarter of them. This bounds the
    /// work of one tick.
    mutating func nextToWatch() -> [ClientHandler] {
        if unwatched.isEmpty {
            unwatched = Array(connected.values)
            watchedAtOnce = max(Self.fewestWatched, (unwatched.count + Self.ticksPerRound - 1) / Self.ticksPerRound)
        }
        let next = Array(unwatched.suffix(watchedAtOnce))
        unwatched.removeLast(next.count)
        return next
    }
}
