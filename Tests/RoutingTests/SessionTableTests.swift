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

    @discardableResult
    private func begin(
        _ table: inout SessionTable, _ client: String, _ place: SessionTable.Place, _ seconds: Int, capacity: Int = 1,
        limit: Int = 100
    ) -> SessionTable.Handle {
        table.record(key(client), at: place, capacity: capacity, address: "addr", now: at(seconds), limit: limit)
    }

    private func end(
        _ table: inout SessionTable, _ client: String, _ place: SessionTable.Place, _ handle: SessionTable.Handle,
        _ seconds: Int, capacity: Int = 1, limit: Int = 100
    ) {
        table.ended(key(client), at: place, handle, capacity: capacity, address: "addr", now: at(seconds), limit: limit)
    }

    /// A request that begins and ends at once.
    private func use(
        _ table: inout SessionTable, _ client: String, _ place: SessionTable.Place, _ seconds: Int, capacity: Int = 1,
        limit: Int = 100
    ) {
        let handle = begin(&table, client, place, seconds, capacity: capacity, limit: limit)
        end(&table, client, place, handle, seconds, capacity: capacity, limit: limit)
    }

    private func clients(_ table: SessionTable) -> [String] { table.newestFirst(limit: 100).map(\.key.client) }

    @Test("an instance with room for one has one holder, the newest")
    func newestHolder() {
        var table = SessionTable()
        use(&table, "a", place(1), 0)
        use(&table, "b", place(1), 1)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(2)) == nil)
        #expect(table.place(of: key("b"), ttl: ttl, at: at(2)) == place(1))
        #expect(table.count == 1)
    }

    @Test("an instance has as many holders as it has room for, and the longest unused leaves")
    func severalHolders() {
        var table = SessionTable()
        for (second, client) in ["a", "b", "c"].enumerated() { use(&table, client, place(1), second, capacity: 3) }
        #expect(clients(table) == ["c", "b", "a"])
        use(&table, "a", place(1), 3, capacity: 3)
        use(&table, "d", place(1), 4, capacity: 3)
        #expect(clients(table) == ["d", "a", "c"])
        use(&table, "other instance", place(1, "m-2"), 5, capacity: 3)
        #expect(table.holders(of: place(1)).count == 3)
        #expect(table.count(on: Scene.id(1)) == 4)
    }

    @Test("one whose request runs keeps its place before those that rest, however long it has run")
    func runningKeepsItsPlace() {
        var table = SessionTable()
        let long = begin(&table, "long", place(1), 0, capacity: 2)
        use(&table, "resting", place(1), 1, capacity: 2)
        begin(&table, "new", place(1), 2, capacity: 2)
        #expect(clients(table) == ["new", "long"])
        begin(&table, "newer", place(1), 3, capacity: 2)
        #expect(clients(table) == ["newer", "new"], "all of them run: the longest unused leaves")
        end(&table, "long", place(1), long, 4, capacity: 2)
        #expect(clients(table) == ["newer", "new"], "there is no room for it")
    }

    @Test("two requests of one session count as two")
    func twoRequests() {
        var table = SessionTable()
        let first = begin(&table, "a", place(1), 0, capacity: 2)
        let second = begin(&table, "a", place(1), 1, capacity: 2)
        use(&table, "b", place(1), 2, capacity: 2)
        end(&table, "a", place(1), first, 2, capacity: 2)
        use(&table, "b", place(1), 3, capacity: 2)
        use(&table, "c", place(1), 4, capacity: 2)
        #expect(clients(table) == ["c", "a"], "the second one still runs")
        end(&table, "a", place(1), second, 5, capacity: 2)
        use(&table, "c", place(1), 6, capacity: 2)
        use(&table, "d", place(1), 7, capacity: 2)
        #expect(clients(table) == ["d", "c"])
    }

    @Test("a server that has fewer slots than before keeps as many holders as it has now")
    func shrinks() {
        var table = SessionTable()
        for second in 0..<4 { use(&table, "\(second)", place(1), second, capacity: 4) }
        use(&table, "new", place(1), 5, capacity: 2)
        #expect(clients(table) == ["new", "3"])
        use(&table, "zero counts as one", place(1), 6, capacity: 0)
        #expect(table.count == 1)
    }

    @Test("a client holds one place for each model, the newest")
    func oneEach() {
        var table = SessionTable()
        use(&table, "a", place(1), 0)
        use(&table, "a", place(2), 1)
        use(&table, "b", place(1), 2)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(3)) == place(2))
        #expect(table.place(of: key("b"), ttl: ttl, at: at(3)) == place(1))
        table.record(.init(client: "a", model: "n"), at: place(1, "n"), capacity: 1, address: "", now: at(3), limit: 100)
        #expect(table.count == 3)
    }

    @Test("an entry counts until its time to live is over, and each use starts it anew")
    func timeToLive() {
        var table = SessionTable()
        let handle = begin(&table, "a", place(1), 0)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(179)) != nil)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(180)) == nil)
        end(&table, "a", place(1), handle, 100)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(279)) != nil)
        table.expire(ttl: ttl, at: at(279))
        #expect(table.count == 1)
        table.expire(ttl: ttl, at: at(280))
        #expect(table.count == 0)
        #expect(table.count(on: Scene.id(1)) == 0)
    }

    @Test("expiring takes the oldest by last use, whatever the order of recording, and no more than it is told to")
    func expireOrder() {
        var table = SessionTable()
        for index in 1...3 { use(&table, "\(index)", place(index), index) }
        use(&table, "1", place(1), 50)
        #expect(clients(table) == ["1", "3", "2"])
        #expect(table.newestFirst(limit: 1).map(\.key.client) == ["1"])
        table.expire(ttl: ttl, at: at(183), limit: 1)
        #expect(clients(table) == ["1", "3"])
        table.expire(ttl: ttl, at: at(183))
        #expect(clients(table) == ["1"])
    }

    @Test("past its limit the oldest entries go")
    func limit() {
        var table = SessionTable()
        for index in 1...10 { use(&table, "\(index)", place(index), index, limit: 3) }
        #expect(clients(table) == ["10", "9", "8"])
        use(&table, "8", place(8), 11, limit: 3)
        #expect(clients(table) == ["8", "10", "9"])
        use(&table, "new", place(20), 12, limit: 0)
        #expect(clients(table) == ["new"])
    }

    @Test("the end of an old request changes nothing when client or place have moved on")
    func lateEnd() {
        var table = SessionTable()
        let old = begin(&table, "a", place(1), 0)
        let new = begin(&table, "a", place(2), 1)
        end(&table, "a", place(1), old, 2)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(3)) == place(2))
        begin(&table, "b", place(2), 3)
        end(&table, "a", place(2), new, 4)
        #expect(table.place(of: key("b"), ttl: ttl, at: at(5)) == place(2))
        #expect(table.place(of: key("a"), ttl: ttl, at: at(5)) == nil)
    }

    @Test("the end of a request finds its session where it began, unless another one is there by now")
    func handles() {
        var table = SessionTable()
        let first = begin(&table, "a", place(1), 0)
        use(&table, "b", place(2), 1)
        end(&table, "a", place(1), first, 2)
        #expect(clients(table) == ["a", "b"])
        table.forget(Scene.id(1))
        begin(&table, "c", place(3), 3)
        end(&table, "a", place(3), first, 4)
        #expect(clients(table) == ["c", "b"], "the place is another one's now")
        end(&table, "a", place(1), first, 5)
        #expect(clients(table) == ["a", "c", "b"])
    }

    @Test("the end of a request makes an entry again that expired while it ran")
    func endAfterExpiry() {
        var table = SessionTable()
        let handle = begin(&table, "a", place(1), 0)
        table.expire(ttl: ttl, at: at(500))
        end(&table, "a", place(1), handle, 500)
        #expect(table.place(of: key("a"), ttl: ttl, at: at(501)) == place(1))
    }

    @Test("forgetting a server drops its entries alone")
    func forget() {
        var table = SessionTable()
        use(&table, "a", place(1), 0)
        use(&table, "b", place(2), 1)
        use(&table, "c", place(1, "m-2"), 2)
        table.forget(Scene.id(1))
        #expect(clients(table) == ["b"])
        use(&table, "d", place(1), 3)
        #expect(clients(table) == ["d", "b"])
    }
}

extension SessionTable {
    /// The place last used, unless that was longer than `ttl` ago.
    fileprivate func place(of key: Key, ttl: Interval, at now: Moment) -> Place? {
        handle(of: key, ttl: ttl, at: now).map { place(in: $0) }
    }
}
