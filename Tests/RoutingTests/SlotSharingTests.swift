import Testing

@testable import Routing

/// Several sessions on one server: as many as it has slots, and spread over the fleet.
@Suite("Sharing a server's slots")
struct SlotSharingTests {
    /// Servers A, B, C … with so many slots each (0: they tell of none), all of them idle.
    private func scene(slots: [Int], models: [String] = ["m"]) -> Scene {
        var scene = Scene(slots.indices.map { ("\(Character(Unicode.Scalar(UInt8(65 + $0))))", nil) }, models: models)
        for (index, count) in slots.enumerated() where count > 0 { _ = scene.probe(index + 1, slots: count) }
        return scene
    }

    /// Where a request of that client goes. It ends at once.
    private func server(_ scene: inout Scene, _ client: String, _ model: String = "m") -> String? {
        let (ticket, effects) = scene.ask(model, client: client)
        _ = scene.finish(ticket)
        scene.pass(.milliseconds(10))
        return effects.grant(of: ticket).map { $0.serverName + ($0.model.map { " \($0)" } ?? "") }
    }

    @Test("eight clients of one model keep their servers on four with two slots each, over many turns")
    func eightOnFour() {
        var scene = scene(slots: [2, 2, 2, 2])
        var random = SplitMix64(seed: 3)
        var home: [Int: String] = [:]
        var idle = Array(0..<8)
        var busy: [(client: Int, ticket: Ticket)] = []
        var (turns, moves) = (0, 0)
        while turns < 400 {
            scene.pass(.seconds(1))
            if !idle.isEmpty, busy.isEmpty || random.chance(percent: 50) {
                let client = idle.remove(at: random.below(idle.count))
                let (ticket, effects) = scene.ask(client: "agent-\(client)")
                guard let server = effects.grant(of: ticket)?.serverName else {
                    Issue.record("agent \(client) has to wait at turn \(turns)")
                    return
                }
                if let known = home[client], known != server { moves += 1 }
                home[client] = server
                busy.append((client, ticket))
                turns += 1
            } else {
                let request = busy.remove(at: random.below(busy.count))
                _ = scene.finish(request.ticket)
                idle.append(request.client)
            }
        }
        #expect(moves == 0)
        #expect(["A", "B", "C", "D"].map { name in home.values.count { $0 == name } } == [2, 2, 2, 2])
        #expect(scene.snapshot.sessionCount == 8)
    }

    @Test("new clients go where fewest sessions are held, in configured order where that is equal")
    func spread() {
        var scene = scene(slots: [2, 2, 2])
        #expect((1...6).map { server(&scene, "\($0)") } == ["A", "B", "C", "A", "B", "C"])
        #expect((1...6).map { server(&scene, "\($0)") } == ["A", "B", "C", "A", "B", "C"])
    }

    @Test("of servers that hold equally many, the one with fewest requests in flight")
    func fewestInFlight() {
        var scene = scene(slots: [2, 2, 2])
        let first = scene.ask(client: "1").ticket
        let second = scene.ask(client: "2").ticket
        let third = scene.ask(client: "3").ticket
        _ = scene.finish(second)
        #expect(server(&scene, "4") == "B")
        _ = scene.finish(first)
        _ = scene.finish(third)
        #expect(server(&scene, "5") == "A")
    }

    @Test("a server with more slots takes further clients before anybody's session is evicted")
    func evictsLast() {
        var scene = scene(slots: [1, 3])
        #expect((1...4).map { server(&scene, "\($0)") } == ["A", "B", "B", "B"])
        #expect((1...4).map { server(&scene, "\($0)") } == ["A", "B", "B", "B"])
    }

    @Test("when every place is held, the one longest unused in the whole fleet is given away")
    func evictsTheLongestUnused() {
        var scene = scene(slots: [1, 1, 1])
        _ = (1...3).map { server(&scene, "\($0)") }
        _ = server(&scene, "1")
        #expect(server(&scene, "new") == "B")
        #expect(server(&scene, "newer") == "C")
        #expect(server(&scene, "1") == "A")
    }

    @Test("a server that tells of no slots holds one session for each instance")
    func noSlots() {
        var scene = scene(slots: [0, 0])
        #expect((1...3).map { server(&scene, "\($0)") } == ["A", "B", "A"])
        #expect(scene.snapshot.sessions.map(\.client) == ["3", "2"])
    }

    @Test("instances share their server's slots: at least one each")
    func sharedByInstances() {
        var scene = scene(slots: [4], models: ["m", "m-2"])
        #expect((1...5).map { server(&scene, "\($0)") } == ["A", "A m-2", "A", "A m-2", "A"])
        #expect(scene.snapshot.sessions.map(\.client) == ["5", "4", "3", "2"])
        var few = self.scene(slots: [2], models: ["m", "m-2", "m-3"])
        #expect((1...3).map { server(&few, "\($0)") } == ["A", "A m-2", "A m-3"])
        #expect(few.snapshot.sessionCount == 3)
    }

    @Test("an idle server comes before a busy one, even if a session is evicted there")
    func idleFirst() {
        var scene = scene(slots: [1, 1])
        _ = scene.probe(2, isBusy: true, slots: 1)
        #expect((1...3).map { server(&scene, "\($0)") } == ["A", "A", "A"])
    }

    @Test("sessions whose time is over count for nothing")
    func expired() {
        var scene = scene(slots: [2, 2])
        _ = (1...3).map { server(&scene, "\($0)") }
        scene.pass(.seconds(180))
        #expect((4...5).map { server(&scene, "\($0)") } == ["A", "B"])
    }

    @Test("requests that take no place go to the first in order")
    func withoutSession() {
        var scene = scene(slots: [2, 2])
        _ = server(&scene, "1")
        let (ticket, effects) = scene.ask(client: "2", counts: false)
        #expect(effects.grant(of: ticket)?.serverName == "A")
    }

    @Test("the worked example of docs/routing.md")
    func workedExample() {
        var scene = Scene([("gaming-pc", nil), ("office-pc", nil), ("laptop", 1)])
        _ = scene.probe(1, slots: 4)
        _ = scene.probe(2, slots: 2)
        var tickets: [Ticket] = []
        func server(_ client: String) -> String? {
            let (ticket, effects) = scene.ask(client: client)
            tickets.append(ticket)
            scene.pass(.seconds(1))
            return effects.grant(of: ticket)?.serverName
        }
        #expect(server("Ana") == "gaming-pc")
        #expect(server("Ben") == "office-pc")
        #expect(server("Chiyo") == "laptop")
        _ = scene.finish(tickets[0])
        #expect(server("Dmitri") == "gaming-pc")
        #expect(server("Emi") == "office-pc")
        #expect(server("Farid") == "gaming-pc")
        #expect(server("Ana") == "gaming-pc")
        for ticket in tickets { _ = scene.finish(ticket) }
        #expect(server("Gita") == "gaming-pc")
        _ = scene.happens(.requestCancelled(tickets[7]))
        let sessions = scene.snapshot.sessions
        let full = sessions.filter { $0.backend == Scene.id(1) }
        #expect(full.map(\.client).sorted() == ["Ana", "Dmitri", "Farid", "Gita"])
    }

    @Test("a request that failed on a server does not keep its session's place there")
    func failedElsewhere() {
        var scene = scene(slots: [2, 2])
        _ = scene.happens(.drain(Scene.id(2)))
        let failing = scene.ask(client: "failing").ticket
        _ = scene.fail(failing)
        scene.pass(.seconds(1))
        #expect(server(&scene, "1") == "A")
        #expect(server(&scene, "2") == "A")
        #expect(scene.snapshot.sessions.map(\.client) == ["2", "1"])
    }
}
