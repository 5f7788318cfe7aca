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
        fileprivate var older: Int
        fileprivate var newer: Int
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

    /// The place last used, unless that was longer than `ttl` ago.
    package func place(of key: Key, ttl: Interval, at now: Moment) -> Place? {
        guard let index = indexOfKey[key], entries[index].updatedAt + ttl > now else { return nil }
        return entries[index].place
    }

    /// Notes a use: the client holds that place from now on, whoever held it before.
    package mutating func record(_ key: Key, at place: Place, address: String, now: Moment, limit: Int) {
        if let holder = indexOfPlace[place] {
            if entries[holder].key == key {
                entries[holder].updatedAt = now
                unlink(holder)
                linkAsNewest(holder)
                return
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
    }

    /// Notes the end of a use. It counts unless the client has moved on or another one holds that place; an entry that
    /// expired while the request ran is made again.
    package mutating func refresh(_ key: Key, at place: Place, address: String, now: Moment, limit: Int) {
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
