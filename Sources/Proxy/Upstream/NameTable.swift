import NIOCore
import Routing

/// What is known about host names: the last good answers, which look-ups run, and who waits for them. A value: time is
/// passed in, and `NameResolver` carries out what it says.
///
/// A known name is answered at once, always. It is looked up again when its answer is old, or when a connection to it could
/// not be made; the old answer is kept until a better one comes. Only a name that has never been resolved makes anybody wait.
struct NameTable<Waiter: Sendable>: Sendable {
    enum Reply: Sendable {
        case known([SocketAddress])
        /// The last look-up failed, just now.
        case failed(reason: String)
        /// The waiter will be given an answer; the number is for `leave`.
        case later(Int, Waiter)
    }

    /// The age of an answer at which it is looked up again.
    static var refreshAfter: Interval { .seconds(30) }
    /// Between two look-ups of one name, whatever asks for them.
    static var pause: Interval { .seconds(1) }
    /// Names that nobody has asked for so long are forgotten.
    static var forgetAfter: Interval { .seconds(600) }

    private struct Entry: Sendable {
        /// Of the last look-up that found any.
        var addresses: [SocketAddress] = []
        /// Why the last look-up failed; nil after one that did not.
        var failure: String?
        var endedAt: Moment?
        var askedAt: Moment
        var isRunning = false
        /// A connection to it could not be made since the last look-up.
        var isSuspect = false
        var waiters: [Int: Waiter] = [:]
    }

    private var entries: [String: Entry] = [:]
    /// Names to be looked up as soon as one of the running look-ups ends; each once.
    private var line: [String] = []
    private var running = 0
    private var nextWaiter = 0
    private let limit: Int

    /// Names that are remembered.
    var count: Int { entries.count }

    /// - Parameter limit: how many look-ups may run at a time.
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

    /// The one who waits has given up.
    mutating func leave(_ name: String, _ waiter: Int) -> Waiter? {
        entries[name]?.waiters.removeValue(forKey: waiter)
    }

    /// None of the name's addresses could be reached: they may be out of date.
    mutating func connectFailed(_ name: String, at now: Moment) {
        guard var entry = entries[name], !entry.addresses.isEmpty else { return }
        entry.isSuspect = true
        entries[name] = entry
        if isDue(entry, after: Self.pause, at: now) { enqueue(name) }
    }

    /// Names whose look-up has to begin now.
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

    /// A look-up is over. Returns those who waited for it.
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

/// Why a name has no addresses, for people.
package struct LookUpFailure: Error, CustomStringConvertible {
    package var reason: String

    package init(_ reason: String) { self.reason = reason }

    package var description: String { reason }
}
