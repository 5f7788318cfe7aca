package import Routing

/// One loop's idle connections to one backend: who is lent next, and who has to go. A value; the pool carries it out.
///
/// llama-server spends a thread on every open connection and closes idle ones after 5 s, so ours go after 4 s.
package struct UpstreamPoolState<Connection: AnyObject> {
    private struct Idle {
        let connection: Connection
        let since: Moment
    }

    /// Newest last: the most recently used one is the likeliest to live.
    private var idle: [Idle] = []
    private let idleLimit: Int
    private let idleTime: Interval

    package init(idleLimit: Int = 4096, idleTime: Interval = .seconds(4)) {
        self.idleLimit = idleLimit
        self.idleTime = idleTime
    }

    package var idleCount: Int { idle.count }

    /// A kept connection to use now, if there is one that is not too old.
    package mutating func lease(at now: Moment) -> Connection? {
        guard let last = idle.last, last.since + idleTime > now else { return nil }
        return idle.removeLast().connection
    }

    /// A connection has done its work. False: close it.
    package mutating func giveBack(_ connection: Connection, at now: Moment) -> Bool {
        guard idle.count < idleLimit else { return false }
        idle.append(Idle(connection: connection, since: now))
        return true
    }

    /// The peer closed it, or it spoke unasked.
    package mutating func remove(_ connection: Connection) { idle.removeAll { $0.connection === connection } }

    /// Those that have been idle too long; to be closed.
    package mutating func expired(at now: Moment) -> [Connection] {
        guard let first = idle.first, first.since + idleTime <= now else { return [] }
        let old = idle.prefix { $0.since + idleTime <= now }
        idle.removeFirst(old.count)
        return old.map(\.connection)
    }

    /// All of them; to be closed.
    package mutating func removeAll() -> [Connection] {
        defer { idle.removeAll() }
        return idle.map(\.connection)
    }
}
