import Testing

@testable import Routing

/// The session table told a second time, as a plain list with the oldest first.
private struct PlainSessions {
    struct Session {
        var key: SessionTable.Key
        var place: SessionTable.Place
        var at: Moment
        /// The requests of it that run, by their numbers.
        var running: Set<Int> = []
    }

    var list: [Session] = []
    let limit: Int

    mutating func begin(_ number: Int, _ key: SessionTable.Key, _ place: SessionTable.Place, _ capacity: Int, _ now: Moment) {
        var session = Session(key: key, place: place, at: now)
        if let known = list.firstIndex(where: { $0.key == key }) {
            let old = list.remove(at: known)
            if old.place == place { session.running = old.running }
            if old.place != place { makeRoom(place, capacity) }
        } else {
            makeRoom(place, capacity)
        }
        session.running.insert(number)
        list.append(session)
    }

    mutating func end(_ number: Int, _ key: SessionTable.Key, _ place: SessionTable.Place, _ capacity: Int, _ now: Moment) {
        if let known = list.firstIndex(where: { $0.key == key }) {
            guard list[known].place == place else { return }
            var session = list.remove(at: known)
            session.running.remove(number)
            session.at = now
            list.append(session)
        } else if holders(place).count < capacity {
            makeRoom(place, capacity)
            list.append(Session(key: key, place: place, at: now))
        }
    }

    func holders(_ place: SessionTable.Place) -> [Session] { list.filter { $0.place == place } }

    private mutating func makeRoom(_ place: SessionTable.Place, _ capacity: Int) {
        while holders(place).count >= capacity {
            let victim = holders(place).first { $0.running.isEmpty } ?? holders(place)[0]
            list.removeAll { $0.key == victim.key }
        }
        if list.count >= limit { list.removeFirst(list.count - limit + 1) }
    }
}

@Suite("Properties of the session table")
struct SessionTablePropertyTests {
    @Test("agrees with a plain list over random use", arguments: 1...5)
    func randomUse(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var table = SessionTable()
        var plain = PlainSessions(list: [], limit: 8)
        var running: [(number: Int, key: SessionTable.Key, place: SessionTable.Place, handle: SessionTable.Handle)] = []
        for step in 0..<4_000 {
            let now = Moment.zero + .seconds(Int64(step))
            let key = SessionTable.Key(client: "\(random.below(10))", model: "m")
            let place = SessionTable.Place(backend: Scene.id(random.below(3)), instance: random.pick(["m", "m-2"]))
            // A server's slots may change.
            let capacity = random.chance(percent: 5) ? 1 : 2 + place.backend.rawValue
            switch random.below(20) {
            case 0:
                table.forget(place.backend)
                plain.list.removeAll { $0.place.backend == place.backend }
            case 1:
                table.expire(ttl: .seconds(30), at: now)
                plain.list.removeAll { $0.at + .seconds(30) <= now }
            case 2...10 where !running.isEmpty:
                let request = running.remove(at: random.below(running.count))
                table.ended(
                    request.key, at: request.place, request.handle, capacity: capacity, address: "", now: now, limit: plain.limit)
                plain.end(request.number, request.key, request.place, capacity, now)
            default:
                let handle = table.record(key, at: place, capacity: capacity, address: "", now: now, limit: plain.limit)
                plain.begin(step, key, place, capacity, now)
                running.append((step, key, place, handle))
            }
            if let difference = difference(table, plain) {
                Issue.record("seed \(seed), step \(step): \(difference)")
                return
            }
        }
    }

    private func difference(_ table: SessionTable, _ plain: PlainSessions) -> String? {
        let entries = table.newestFirst(limit: 100)
        let expected = Array(plain.list.reversed())
        guard table.count == expected.count, entries.map(\.key) == expected.map(\.key),
            entries.map(\.place) == expected.map(\.place), entries.map(\.updatedAt) == expected.map(\.at),
            entries.map(\.running) == expected.map(\.running.count)
        else { return "\(entries.map { "\($0.key) \($0.running)" }) and \(expected.map { "\($0.key) \($0.running)" })" }
        for server in 0..<3 {
            let id = Scene.id(server)
            if table.count(on: id) != expected.count(where: { $0.place.backend == id }) { return "the sessions on \(id)" }
            for instance in ["m", "m-2"] {
                let place = SessionTable.Place(backend: id, instance: instance)
                if table.holders(of: place).count != plain.holders(place).count { return "the holders of \(place)" }
            }
        }
        return nil
    }
}
