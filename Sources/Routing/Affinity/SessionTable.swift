/// Which server and instance a (client, model) used last, and until when that counts.
///
/// An instance has at most one holder, the newest: a prompt cache serves one conversation. Entries are kept in order of
/// their last use (a list linked through an array), so that expiring and forgetting the oldest cost nothing extra.
package struct SessionTable: Sendable {
    package struct Key: Hashable, Sendable {
        package var client: String
        package var model: String

        package init(client: String, model: String) {
            self.client = client
            self.model = model
        }
    }

    /// A server's instance of a model.
    package struct Place: Hashable, Sendable {
        package var backend: BackendID
        package var instance: String
    }

    package struct Entry: Sendable {
        package var key: Key
        package var place: Place
        package var address: String
        package var updatedAt: Moment
        fileprivate var isInUse = true
        fileprivate var older: Int
        fileprivate var newer: Int
    }

    /// Where a session is kept. It may be another one's by the time it is used: `refresh` looks.
    package struct Slot: Sendable {
        fileprivate var index: Int
    }

    private static let none = -1
    private var entries: [Entry] = []
    private var freeSlots: [Int] = []
    private var indexOfKey: [Key: Int] = [:]
    private var indexOfPlace: [Place: Int] = [:]
    private var oldest = none
    private var newest = none

    package init() {}

    package var count: Int { indexOfKey.count }

    /// The client's session, unless its last use was longer than `ttl` ago.
    package func slot(of key: Key, ttl: Interval, at now: Moment) -> Slot? {
        guard let index = indexOfKey[key], entries[index].updatedAt + ttl > now else { return nil }
        return Slot(index: index)
    }

    /// The place that it holds. The slot must be fresh from `slot` or `record`.
    package func place(in slot: Slot) -> Place { entries[slot.index].place }

    /// The place last used, unless that was longer than `ttl` ago.
    package func place(of key: Key, ttl: Interval, at now: Moment) -> Place? {
        slot(of: key, ttl: ttl, at: now).map { place(in: $0) }
    }

    /// Notes another use of a session that was just found.
    package mutating func touch(_ slot: Slot, now: Moment) {
        entries[slot.index].updatedAt = now
        guard slot.index != newest else { return }
        unlink(slot.index)
        linkAsNewest(slot.index)
    }

    /// Notes a use: the client holds that place from now on, whoever held it before.
    @discardableResult
    package mutating func record(_ key: Key, at place: Place, address: String, now: Moment, limit: Int) -> Slot {
        if let holder = indexOfPlace[place] {
            if entries[holder].key == key {
                touch(Slot(index: holder), now: now)
                return Slot(index: holder)
            }
            remove(holder)
        }
        if let index = indexOfKey[key] { remove(index) }
        while count >= max(1, limit), oldest != Self.none { remove(oldest) }
        let entry = Entry(
            key: key, place: place, address: address, updatedAt: now, older: Self.none, newer: Self.none)
        let index: Int
        if let free = freeSlots.popLast() {
            index = free
            entries[index] = entry
        } else {
            index = entries.count
            entries.append(entry)
        }
        indexOfKey[key] = index
        indexOfPlace[place] = index
        linkAsNewest(index)
        return Slot(index: index)
    }

    /// Notes the end of a use. It counts unless the client has moved on or another one holds that place; an entry that
    /// expired while the request ran is made again.
    ///
    /// - Parameter slot: where the session was when the use began, if that is known.
    package mutating func refresh(_ key: Key, at place: Place, in slot: Slot?, address: String, now: Moment, limit: Int) {
        if let slot, entries[slot.index].isInUse, entries[slot.index].key == key, entries[slot.index].place == place {
            return touch(slot, now: now)
        }
        if let index = indexOfKey[key] {
            guard entries[index].place == place else { return }
        } else {
            guard indexOfPlace[place] == nil else { return }
        }
        record(key, at: place, address: address, now: now, limit: limit)
    }

    /// Drops what has not been used for `ttl`.
    package mutating func expire(ttl: Interval, at now: Moment) {
        while oldest != Self.none, entries[oldest].updatedAt + ttl <= now { remove(oldest) }
    }

    /// Drops everything that points at that server.
    package mutating func forget(_ backend: BackendID) {
        for index in indexOfKey.values.filter({ entries[$0].place.backend == backend }) { remove(index) }
    }

    /// The newest first, at most `limit`.
    package func newestFirst(limit: Int) -> [Entry] {
        var found: [Entry] = []
        var index = newest
        while index != Self.none, found.count < limit {
            found.append(entries[index])
            index = entries[index].older
        }
        return found
    }

    private mutating func remove(_ index: Int) {
        unlink(index)
        indexOfKey[entries[index].key] = nil
        indexOfPlace[entries[index].place] = nil
        entries[index].isInUse = false
        freeSlots.append(index)
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
