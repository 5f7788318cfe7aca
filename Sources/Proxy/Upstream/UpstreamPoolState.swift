package import Routing

/// One loop's idle connections to one backend: which one is leased next, and which ones are closed. A value type; the pool
/// carries out its decisions.
///
/// llama-server uses a thread for every open connection and closes idle connections after 5 s, so the balancer closes them
/// after 4 s.
package struct UpstreamPoolState<Connection: AnyObject> {
    private struct Idle {
        let connection: Connection
        let since: Moment
    }

    /// Newest last: the most recently used connection is the most likely to be open.
    private var idle: [Idle] = []
    private let idleLimit: Int
    private let idleTime: Interval

    package init(idleLimit: Int = 4096, idleTime: Interval = .seconds(4)) {
        self.idleLimit = idleLimit
        self.idleTime = idleTime
    }

    package var idleCount: Int { idle.count }

    /// The kept connection to use now; nil when there is none that is recent enough.
    package mutating func lease(at now: Moment) -> Connection? {
        guard let last = idle.last, last.since + idleTime > now else { return nil }
        return idle.removeLast().connection
    }

    /// The connection is no longer in use. False: close it.
    package mutating func giveBack(_ connection: Connection, at now: Moment) -> Bool {
        guard idle.count < idleLimit else { return false }
        idle.append(Idle(connection: connection, since: now))
        return true
    }

    /// The peer closed the connection, or sent data without a request.
    package mutating func remove(_ connection: Connection) { idle.removeAll { $0.connection === connection } }

    /// Connections that have been idle too long. The caller closes them.
    package mutating func expired(at now: Moment) -> [Connection] {
        guard let first = idle.first, first.since + idleTime <= now else { return [] }
        let old = idle.prefix { $0.since + idleTime <= now }
        idle.removeFirst(old.count)
        return old.map(\.connection)
    }

    /// All connections. The caller closes them.
    package mutating func removeAll() -> [Connection] {
        defer { idle.removeAll() }
        return idle.map(\.connection)
    }
}
