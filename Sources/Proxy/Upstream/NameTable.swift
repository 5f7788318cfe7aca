import NIOCore
import Routing

/// The state of host names: the last good answers, the running lookups, and the waiters. A value type: time is passed in, and
/// `NameResolver` carries out its decisions.
///
/// A known name is always answered at once. It is looked up again when its answer is old, or when a connection to it failed;
/// the old answer is kept until a new one arrives. Only a name that has never been resolved makes a request wait.
struct NameTable<Waiter: Sendable>: Sendable {
    enum Reply: Sendable {
        case known([SocketAddress])
        /// The last lookup has just failed.
        case failed(reason: String)
        /// The waiter will be given an answer. The number is passed to `leave`.
        case later(Int, Waiter)
    }

    /// The age of an answer at which it is looked up again.
    static var refreshAfter: Interval { .seconds(30) }
    /// The shortest time between two lookups of one name, for any reason.
    static var pause: Interval { .seconds(1) }
    /// A name that was not requested for this long is removed.
    static var forgetAfter: Interval { .seconds(600) }

    private struct Entry: Sendable {
        /// The addresses of the last lookup that found any.
        var addresses: [SocketAddress] = []
        /// Why the last lookup failed; nil after a successful lookup.
        var failure: String?
        var endedAt: Moment?
        var askedAt: Moment
        var isRunning = false
        /// A connection to the name's addresses has failed since the last lookup.
        var isSuspect = false
        var waiters: [Int: Waiter] = [:]
    }

    private var entries: [String: Entry] = [:]
    /// Names to look up when a running lookup ends; each name once.
    private var line: [String] = []
    private var running = 0
    private var nextWaiter = 0
    private let limit: Int

    /// The number of names in the table.
    var count: Int { entries.count }

    /// - Parameter limit: the most lookups that may run at the same time.
    init(limit: Int) { self.limit = limit }

    mutating func ask(_ name: String, at now: Moment, waiter makeWaiter: @autoclosure () -> Waiter) -> Reply {
        if entries[name] == nil { forgetOld(at: now) }
        var entry = entries[name] ?? Entry(askedAt: now)
        entry.askedAt = now
        defer { entries[name] = entry }
        if !entry.addresses.isEmpty {
            let age = entry.isSuspect || entry.failure != nil ? Self.pause : Self.refreshAfter
            if isDue(entry, after: age, at: now) { enqueue(name) }
            return .known(entry.addresses)
        }
        if let failure = entry.failure, !isDue(entry, after: Self.pause, at: now), !entry.isRunning {
            return .failed(reason: failure)
        }
        if isDue(entry, after: Self.pause, at: now) { enqueue(name) }
        nextWaiter += 1
        let waiter = makeWaiter()
        entry.waiters[nextWaiter] = waiter
        return .later(nextWaiter, waiter)
    }

    /// A waiter has given up.
    mutating func leave(_ name: String, _ waiter: Int) -> Waiter? {
        entries[name]?.waiters.removeValue(forKey: waiter)
    }

    /// None of the name's addresses could be reached, so they may be out of date.
    mutating func connectFailed(_ name: String, at now: Moment) {
        guard var entry = entries[name], !entry.addresses.isEmpty else { return }
        entry.isSuspect = true
        entries[name] = entry
        if isDue(entry, after: Self.pause, at: now) { enqueue(name) }
    }

    /// Names whose lookup must start now.
    mutating func starts() -> [String] {
        var names: [String] = []
        while running < limit, let name = line.first {
            line.removeFirst()
            running += 1
            entries[name]?.isRunning = true
            names.append(name)
        }
        return names
    }

    /// A lookup has ended. Returns its waiters.
    mutating func ended(_ name: String, _ result: Result<[SocketAddress], LookUpFailure>, at now: Moment) -> [Waiter] {
        running -= 1
        guard var entry = entries[name] else { return [] }
        entry.isRunning = false
        entry.endedAt = now
        entry.isSuspect = false
        switch result {
        case .success([]):
            entry.failure = "it has no address"
        case .success(let addresses):
            entry.addresses = addresses
            entry.failure = nil
        case .failure(let failure):
            entry.failure = failure.reason
        }
        defer { entries[name] = entry }
        let waiters = entry.waiters.values
        entry.waiters = [:]
        return Array(waiters)
    }

    private func isDue(_ entry: Entry, after age: Interval, at now: Moment) -> Bool {
        guard !entry.isRunning else { return false }
        return entry.endedAt.map { $0 + age <= now } ?? true
    }

    private mutating func enqueue(_ name: String) {
        if !line.contains(name) { line.append(name) }
    }

    private mutating func forgetOld(at now: Moment) {
        entries = entries.filter { name, entry in
            entry.isRunning || line.contains(name) || entry.askedAt + Self.forgetAfter > now
        }
    }
}

/// Why a name has no addresses, as readable text.
package struct LookUpFailure: Error, CustomStringConvertible {
    package var reason: String

    package init(_ reason: String) { self.reason = reason }

    package var description: String { reason }
}
