import Testing

@testable import Routing

@Suite("The session table")
struct SessionTableTests {
    private let ttl = Interval.seconds(180)

    private func key(_ client: String) -> SessionTable.Key { .init(client: client, model: "m") }

    private func place(_ server: Int, _ instance: String = "m") -> SessionTable.Place {
        .init(backend: Scene.id(server), instance: instance)
    }

    private func at(_ seconds: Int) -> Moment { .zero + .seconds(Int64(seconds)) }

    private func record(
        _ table: inout SessionTable, _ client: String, _ place: SessionTable.Place, _ seconds: Int, limit: Int = 100
    ) {
        table.record(key(client), at: place, address: "addr", now: at(seconds), limit: limit)
    }

    @Test("an instance has one holder, the newest")
    func newestHolder() {
        var table = SessionTable()
        record(&table, "a", place(1), 0)
        record(&table, "b", place(1), 1)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(2)) == nil)
        #expect(table.place(of: key("b"), ttl: ttl, at: at(2)) == place(1))
        #expect(table.count == 1)
    }

    @Test("a client holds one place for each model, the newest")
    func oneEach() {
        var table = SessionTable()
        record(&table, "a", place(1), 0)
        record(&table, "a", place(2), 1)
        record(&table, "b", place(1), 2)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(3)) == place(2))
        #expect(table.place(of: key("b"), ttl: ttl, at: at(3)) == place(1))
        table.record(.init(client: "a", model: "n"), at: place(1, "n"), address: "", now: at(3), limit: 100)
        #expect(table.count == 3)
    }

    @Test("an entry counts until its time to live is over, and each use starts it anew")
    func timeToLive() {
        var table = SessionTable()
        record(&table, "a", place(1), 0)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(179)) != nil)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(180)) == nil)
        table.refresh(key("a"), at: place(1), in: nil, address: "addr", now: at(100), limit: 100)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(279)) != nil)
        table.expire(ttl: ttl, at: at(279))
        #expect(table.count == 1)
        table.expire(ttl: ttl, at: at(280))
        #expect(table.count == 0)
    }

    @Test("expiring takes the oldest by last use, whatever the order of recording")
    func expireOrder() {
        var table = SessionTable()
        for index in 1...3 { record(&table, "\(index)", place(index), index) }
        table.refresh(key("1"), at: place(1), in: nil, address: "addr", now: at(50), limit: 100)
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["1", "3", "2"])
        #expect(table.newestFirst(limit: 1).map(\.key.client) == ["1"])
        table.expire(ttl: ttl, at: at(183))
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["1"])
    }

    @Test("past its limit the oldest entries go")
    func limit() {
        var table = SessionTable()
        for index in 1...10 { record(&table, "\(index)", place(index), index, limit: 3) }
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["10", "9", "8"])
        record(&table, "8", place(8), 11, limit: 3)
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["8", "10", "9"])
        record(&table, "new", place(20), 12, limit: 0)
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["new"])
    }

    @Test("the end of an old request changes nothing when client or place have moved on")
    func lateRefresh() {
        var table = SessionTable()
        record(&table, "a", place(1), 0)
        record(&table, "a", place(2), 1)
        table.refresh(key("a"), at: place(1), in: nil, address: "addr", now: at(2), limit: 100)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(3)) == place(2))
        record(&table, "b", place(2), 3)
        table.refresh(key("a"), at: place(2), in: nil, address: "addr", now: at(4), limit: 100)
        #expect(table.place(of: key("b"), ttl: ttl, at: at(5)) == place(2))
        #expect(table.place(of: key("a"), ttl: ttl, at: at(5)) == nil)
    }

    @Test("the end of a request finds its session where it began, unless another one is there by now")
    func slots() {
        var table = SessionTable()
        let first = table.record(key("a"), at: place(1), address: "", now: at(0), limit: 100)
        record(&table, "b", place(2), 1)
        table.refresh(key("a"), at: place(1), in: first, address: "", now: at(2), limit: 100)
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["a", "b"])
        table.forget(Scene.id(1))
        record(&table, "c", place(3), 3)
        table.refresh(key("a"), at: place(3), in: first, address: "", now: at(4), limit: 100)
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["c", "b"], "the place is another one's now")
        table.refresh(key("a"), at: place(1), in: first, address: "", now: at(5), limit: 100)
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["a", "c", "b"])
    }

    @Test("the end of a request makes an entry again that expired while it ran")
    func refreshExpired() {
        var table = SessionTable()
        record(&table, "a", place(1), 0)
        table.expire(ttl: ttl, at: at(500))
        table.refresh(key("a"), at: place(1), in: nil, address: "addr", now: at(500), limit: 100)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(501)) == place(1))
    }

    @Test("forgetting a server drops its entries alone")
    func forget() {
        var table = SessionTable()
        record(&table, "a", place(1), 0)
        record(&table, "b", place(2), 1)
        record(&table, "c", place(1, "m-2"), 2)
        table.forget(Scene.id(1))
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["b"])
        record(&table, "d", place(1), 3)
        #expect(table.newestFirst(limit: 10).map(\.key.client) == ["d", "b"])
    }

    @Test("agrees with a plain list over random use")
    func randomUse() {
        var random = SplitMix64(seed: 7)
        var table = SessionTable()
        var list: [(key: SessionTable.Key, place: SessionTable.Place, at: Moment)] = []
        let limit = 6
        // Where the sessions were once: what a long request comes back with.
        var slots: [SessionTable.Slot] = []
        for second in 0..<5_000 {
            let (key, place) = (key("\(random.below(8))"), place(random.below(4), random.below(2) == 0 ? "m" : "m-2"))
            switch random.below(10) {
            case 0:
                table.forget(place.backend)
                list.removeAll { $0.place.backend == place.backend }
            case 1:
                table.expire(ttl: .seconds(20), at: at(second))
                list.removeAll { $0.at + .seconds(20) <= at(second) }
            case 2...4:
                let slot = slots.isEmpty || random.below(4) == 0 ? nil : slots[random.below(slots.count)]
                table.refresh(key, at: place, in: slot, address: "", now: at(second), limit: limit)
                let isHeld = list.contains { $0.key == key && $0.place == place }
                let isFree = !list.contains { $0.key == key || $0.place == place }
                if isFree, list.count >= limit { list.removeFirst(list.count - limit + 1) }
                if isHeld || isFree {
                    list.removeAll { $0.key == key }
                    list.append((key, place, at(second)))
                }
            default:
                slots.append(table.record(key, at: place, address: "", now: at(second), limit: limit))
                list.removeAll { $0.key == key || $0.place == place }
                if list.count >= limit { list.removeFirst(list.count - limit + 1) }
                list.append((key, place, at(second)))
            }
            let entries = table.newestFirst(limit: 100)
            let expected = Array(list.reversed())
            guard table.count == list.count, entries.map(\.key) == expected.map(\.key),
                entries.map(\.place) == expected.map(\.place), entries.map(\.updatedAt) == expected.map(\.at)
            else {
                Issue.record("differs at step \(second): \(entries.map(\.key)) and \(expected.map(\.key))")
                return
            }
        }
    }
}
