import Testing

@testable import Routing

@Suite("The snapshot")
struct SnapshotTests {
    @Test("shows servers, who runs where, who waits, and the sessions")
    func shows() throws {
        var scene = Scene([("A", 1), ("B", nil)], routes: [("m", [1]), ("n", [2])], models: ["m", "n", "n-2"])
        _ = scene.probe(2, isBusy: true, slots: 8)
        let (onA, _) = scene.ask("m", client: "1")
        scene.pass(.seconds(1))
        let (onB, _) = scene.ask("n", client: "2")
        scene.pass(.seconds(1))
        let (first, _) = scene.ask("m", client: "3")
        let (second, _) = scene.ask("m", client: "4")

        let snapshot = scene.snapshot
        #expect(snapshot.waitingCount == 2)
        #expect(snapshot.runningCount == 2)
        #expect(snapshot.sessionCount == 2)
        #expect(snapshot.sessions.map(\.client) == ["2", "1"])
        #expect(snapshot.sessions.map(\.instance) == ["n", "m"])
        #expect(snapshot.sessions.first?.address == "10.0.0.1")
        let a = try #require(snapshot.servers.first)
        #expect(a.inFlight == 1)
        #expect(a.inFlightByInstance == ["m": 1])
        #expect(a.limit == 1)
        #expect(!a.isBusy)
        let b = try #require(snapshot.servers.last)
        #expect(b.requestMax == nil)
        #expect(b.limit == 8)
        #expect(b.isBusy)
        #expect(b.lastReport?.slots?.total == 8)

        let requests = scene.router.requests()
        #expect(requests.map(\.ticket) == [first, second, onA, onB])
        #expect(requests.map(\.ahead) == [0, 1, nil, nil])
        #expect(requests.map(\.server) == [nil, nil, "A", "B"])
        #expect(requests.map(\.attempts) == [0, 0, 1, 1])
    }

    @Test("lists no more sessions than asked for, the newest first, and none that expired")
    func sessions() {
        var scene = Scene([("A", nil)], models: ["m", "m-2", "m-3"])
        for client in 1...3 {
            _ = scene.ask(client: "\(client)")
            scene.pass(.seconds(100))
        }
        let snapshot = scene.router.snapshot(at: scene.now, sessionLimit: 1)
        #expect(snapshot.sessionCount == 1)
        #expect(snapshot.sessions.map(\.client) == ["3"])
    }

    @Test("lists running requests in a stable order")
    func stableOrder() {
        var scene = Scene([("A", nil)])
        let tickets = (0..<30).map { scene.ask(client: "\($0)").ticket }
        #expect(scene.router.requests().map(\.ticket) == tickets)
    }
}
