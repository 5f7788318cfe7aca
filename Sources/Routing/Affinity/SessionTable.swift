/// The server and instance that each (client, model) used last, and when that was.
///
/// The caller says how many sessions an instance can hold: one for each prompt cache. Entries are kept in order of last use
/// (a list linked through an array), so expiring and evicting the oldest entry cost nothing extra. The sessions of one
/// instance form a second list through the same array. That list is at most as long as the number of the instance's caches.
struct SessionTable: Sendable {
    struct Key: Hashable, Sendable {
        var client: String
        var model: String

        init(client: String, model: String) {
            self.client = client
            self.model = model
        }
    }

    /// A server's instance of a model.
    struct Place: Hashable, Sendable {
        var backend: BackendID
        var instance: String
    }

    struct Entry: Sendable {
        var key: Key
        var place: Place
        var address: String
        var updatedAt: Moment
        /// Requests of this session that are in flight.
        fileprivate(set) var running = 0
        /// Distinguishes this session from earlier sessions with the same index. 0: the index is free.
        fileprivate var serial: Int
        fileprivate var older: Int
        fileprivate var newer: Int
        fileprivate var nextHolder: Int
    }

    /// A reference to a session. The session may no longer exist when the handle is used; `ended` checks for that.
    struct Handle: Sendable {
        fileprivate var index: Int
        fileprivate var serial: Int
    }

    private static let none = -1
    private var entries: [Entry] = []
    private var freeIndices: [Int] = []
    private var lastSerial = 0
    private var indexOfKey: [Key: Int] = [:]
    private var firstHolder: [Place: Int] = [:]
    private var countOfBackend = BackendTable<Int>()
    private var oldest = none
    private var newest = none

    init() {}

    var count: Int { indexOfKey.count }

    /// The number of sessions on a server, over all its instances.
    func count(on backend: BackendID) -> Int { countOfBackend[backend] ?? 0 }

    /// The number of sessions on an instance, and when the session that would be evicted first was last used.
    func holders(of place: Place) -> (count: Int, longestUnused: Moment?) {
        let (count, victim) = firstToLeave(place)
        return (count, victim.map { entries[$0].updatedAt })
    }

    /// The client's session, unless it was last used more than `ttl` ago.
    func handle(of key: Key, ttl: Interval, at now: Moment) -> Handle? {
        guard let index = indexOfKey[key], entries[index].updatedAt + ttl > now else { return nil }
        return Handle(index: index, serial: entries[index].serial)
    }

    /// The place of the session. The handle must come directly from `handle` or `record`.
    func place(in handle: Handle) -> Place { entries[handle.index].place }

    /// Whether a request of the session is in flight. The handle must come directly from `handle` or `record`.
    func isRunning(_ handle: Handle) -> Bool { entries[handle.index].running > 0 }

    // MARK: Requests

    /// Another request begins in a session that was just found.
    mutating func began(_ handle: Handle, now: Moment) {
        entries[handle.index].running += 1
        touch(handle.index, now)
    }

    /// A request begins. From now on the client has its session at that place.
    ///
    /// - Parameters:
    ///   - capacity: the most sessions at that place. The session that was unused longest is evicted first; sessions with a
    ///     request in flight are evicted last.
    ///   - limit: the most sessions in total. The sessions that were unused longest are evicted.
    @discardableResult
    mutating func record(
        _ key: Key, at place: Place, capacity: Int, address: String, now: Moment, limit: Int
    ) -> Handle {
        let index = hold(key, place, capacity: capacity, address: address, now: now, limit: limit)
        entries[index].running += 1
        return Handle(index: index, serial: entries[index].serial)
    }

    /// A request ends, and the time to live of its session starts again. Does nothing when the client's session has moved to
    /// another place. A session that expired or was evicted in the meantime is created again if there is room.
    ///
    /// - Parameter handle: the session at the time when the request began.
    mutating func ended(
        _ key: Key, at place: Place, _ handle: Handle, capacity: Int, address: String, now: Moment, limit: Int
    ) {
        if entries[handle.index].serial == handle.serial {
            entries[handle.index].running -= 1
            return touch(handle.index, now)
        }
        if let index = indexOfKey[key] {
            if entries[index].place == place { touch(index, now) }
        } else if firstToLeave(place).count < max(1, capacity) {
            _ = hold(key, place, capacity: capacity, address: address, now: now, limit: limit)
        }
    }

    /// A request leaves the server without an answer. This does not count as a use.
    mutating func left(_ handle: Handle) {
        if entries[handle.index].serial == handle.serial { entries[handle.index].running -= 1 }
    }

    // MARK: Forgetting

    /// Drops sessions that were not used for `ttl`, at most `limit` of them, so that the work is bounded.
    mutating func expire(ttl: Interval, at now: Moment, limit: Int = .max) {
        var dropped = 0
        while dropped < limit, oldest != Self.none, entries[oldest].updatedAt + ttl <= now {
            remove(oldest)
            dropped += 1
        }
    }

    /// Drops all sessions on a server.
    mutating func forget(_ backend: BackendID) {
        guard countOfBackend[backend] != nil else { return }
        for index in indexOfKey.values.filter({ entries[$0].place.backend == backend }) { remove(index) }
    }

    /// The newest first, at most `limit`.
    func newestFirst(limit: Int) -> [Entry] {
        var found: [Entry] = []
        var index = newest
        while index != Self.none, found.count < limit {
            found.append(entries[index])
            index = entries[index].older
        }
        return found
    }

    // MARK: Lists

    private mutating func hold(
        _ key: Key, _ place: Place, capacity: Int, address: String, now: Moment, limit: Int
    ) -> Int {
        if let index = indexOfKey[key] {
            if entries[index].place == place {
                touch(index, now)
                return index
            }
            remove(index)
        }
        makeRoom(at: place, capacity: max(1, capacity))
        while count >= max(1, limit), oldest != Self.none { remove(oldest) }
        lastSerial += 1
        let entry = Entry(
            key: key, place: place, address: address, updatedAt: now, serial: lastSerial, older: Self.none, newer: Self.none,
            nextHolder: firstHolder[place] ?? Self.none)
        let index: Int
        if let free = freeIndices.popLast() {
            index = free
            entries[index] = entry
        } else {
            index = entries.count
            entries.append(entry)
        }
        indexOfKey[key] = index
        firstHolder[place] = index
        countOfBackend.set((countOfBackend[place.backend] ?? 0) + 1, for: place.backend)
        linkAsNewest(index)
        return index
    }

    /// Evicts sessions until there is room for another one.
    private mutating func makeRoom(at place: Place, capacity: Int) {
        while true {
            let (count, victim) = firstToLeave(place)
            guard count >= capacity, let victim else { return }
            remove(victim)
        }
    }

    /// The number of sessions at a place, and the session to evict next: the longest unused of those without a request in
    /// flight, else the longest unused of all.
    private func firstToLeave(_ place: Place) -> (count: Int, victim: Int?) {
        guard let first = firstHolder[place] else { return (0, nil) }
        var (count, victim, index) = (1, first, entries[first].nextHolder)
        while index != Self.none {
            count += 1
            let (isIdle, victimIsIdle) = (entries[index].running == 0, entries[victim].running == 0)
            let leavesBefore = isIdle == victimIsIdle ? entries[index].updatedAt <= entries[victim].updatedAt : isIdle
            if leavesBefore { victim = index }
            index = entries[index].nextHolder
        }
        return (count, victim)
    }

    private mutating func touch(_ index: Int, _ now: Moment) {
        entries[index].updatedAt = now
        guard index != newest else { return }
        unlink(index)
        linkAsNewest(index)
    }

    private mutating func remove(_ index: Int) {
        unlink(index)
        let place = entries[index].place
        leaveHolders(index, of: place)
        indexOfKey[entries[index].key] = nil
        if let count = countOfBackend[place.backend] { countOfBackend.set(count > 1 ? count - 1 : nil, for: place.backend) }
        entries[index].serial = 0
        freeIndices.append(index)
    }

    private mutating func leaveHolders(_ index: Int, of place: Place) {
        let next = entries[index].nextHolder
        var holder = firstHolder[place] ?? Self.none
        if holder == index {
            firstHolder[place] = next == Self.none ? nil : next
            return
        }
        while holder != Self.none {
            let following = entries[holder].nextHolder
            if following == index {
                entries[holder].nextHolder = next
                return
            }
            holder = following
        }
    }

    private mutating func unlink(_ index: Int) {
        let (older, newer) = (entries[index].older, entries[index].newer)
        if older != Self.none { entries[older].newer = newer } else { oldest = newer }
        if newer != Self.none { entries[newer].older = older } else { newest = older }
    }

    private mutating func linkAsNewest(_ index: Int) {
        entries[index].older = newest
        entries[index].newer = Self.none
        if newest != Self.none { entries[newest].newer = index } else { oldest = index }
        newest = index
    }
}
