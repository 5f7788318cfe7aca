import Testing

@testable import Routing

@Suite("An answer with a status that attracts load") struct ErrorAnswerTests {
    @Test(
        "500, 507 and 529 are tried once elsewhere; when that succeeds, they count against the server",
        arguments: [500, 507, 529])
    func triedOnce(status: Int) {
        var policy = RoutingPolicy()
        policy.failuresUntilOpen = 3
        var scene = Scene([("A", nil), ("B", nil)], policy: policy)
        for number in 1...3 {
            let (ticket, effects) = scene.ask(client: "\(number)")
            guard effects.grant(of: ticket)?.serverName == "A" else {
                Issue.record("number \(number) went elsewhere")
                return
            }
            #expect(scene.fail(ticket, .answered(status: status)).grant(of: ticket)?.serverName == "B")
            _ = scene.finish(ticket)
            scene.pass(.seconds(200))
        }
        #expect(scene.server("A")?.failing.isEmpty == false, "three requests failed there that B could answer")
    }

    @Test("an error of the request's own counts against nobody, and is tried no more than twice")
    func requestsOwnFault() {
        var policy = RoutingPolicy()
        policy.failuresUntilOpen = 1
        var scene = Scene([("A", nil), ("B", nil), ("C", nil)], policy: policy)
        let (ticket, _) = scene.ask()
        #expect(scene.fail(ticket, .answered(status: 500)).grant(of: ticket)?.serverName == "B")
        #expect(scene.fail(ticket, .answered(status: 500)).contains(.keepAnswer(ticket)))
        _ = scene.finish(ticket)
        #expect(!scene.snapshot.servers.contains { !$0.failing.isEmpty })
    }

    @Test("retries after them come out of the retry budget")
    func budget() {
        var policy = RoutingPolicy()
        policy.freeRetries = 0
        policy.retryShare = 0
        var scene = Scene([("A", nil), ("B", nil)], policy: policy)
        let (ticket, _) = scene.ask()
        #expect(scene.fail(ticket, .answered(status: 500)) == [.keepAnswer(ticket)])
    }

    @Test("429 means full: the request goes elsewhere, and the server gets none for the time it names")
    func full() {
        var scene = Scene([("A", nil), ("B", nil)])
        let (ticket, _) = scene.ask(client: "1")
        #expect(scene.fail(ticket, .answered(status: 429, retryAfter: 5)).grant(of: ticket)?.serverName == "B")
        let (second, effects) = scene.ask(client: "2")
        #expect(effects.grant(of: second)?.serverName == "B")
        scene.pass(.seconds(5))
        let (third, later) = scene.ask(client: "3")
        #expect(later.grant(of: third)?.serverName == "A")
        #expect(scene.server("A")?.failing.isEmpty == true, "being full is no failure")
    }

    @Test("a request that meets full servers only waits, and is served when the pause is over")
    func waits() throws {
        var scene = Scene([("A", nil)])
        let (ticket, _) = scene.ask()
        let effects = scene.fail(ticket, .answered(status: 429, retryAfter: 5))
        #expect(effects.contains(.requeued(ticket)))
        let wake = try #require(effects.wakes.min())
        #expect(wake == scene.now + .seconds(5))
        scene.pass(.seconds(5))
        #expect(scene.happens(.clockAdvanced).grant(of: ticket)?.attempt == 2)
    }

    @Test("a server that asks for no pause at all is left alone for a second", arguments: [0, -5])
    func noPause(retryAfter: Int) {
        var scene = Scene([("A", nil)])
        let (ticket, _) = scene.ask()
        #expect(scene.fail(ticket, .answered(status: 429, retryAfter: retryAfter)).granted.isEmpty)
        scene.pass(.seconds(1))
        #expect(scene.happens(.clockAdvanced).granted == [ticket])
    }

    @Test("the client gets the 429 when nothing waits here, when the pause is too long, and after too many of them")
    func passedOn() {
        var none = RoutingPolicy()
        none.maxWaiting = 0
        var impatient = Scene([("A", nil)], policy: none)
        let (first, _) = impatient.ask()
        #expect(impatient.fail(first, .answered(status: 429)).contains(.keepAnswer(first)))

        var exhausted = Scene([("A", nil)])
        let (second, _) = exhausted.ask()
        #expect(exhausted.fail(second, .answered(status: 429, retryAfter: 3600)).contains(.keepAnswer(second)))

        var scene = Scene([("A", nil)])
        let (third, _) = scene.ask()
        for _ in 1...10 {
            guard scene.fail(third, .answered(status: 429)).contains(.requeued(third)) else {
                Issue.record("not put back")
                return
            }
            scene.pass(.seconds(60))
            _ = scene.happens(.clockAdvanced)
        }
        #expect(scene.fail(third, .answered(status: 429)).contains(.keepAnswer(third)))
    }

    @Test("a light request and one that names its server get the 429 themselves")
    func lightOnes() {
        var scene = Scene([("A", nil), ("B", nil)])
        let (light, _) = scene.ask(counts: false)
        #expect(scene.fail(light, .answered(status: 429)) == [.keepAnswer(light)])
        let (forced, _) = scene.ask(.server("A"))
        #expect(scene.fail(forced, .answered(status: 429)).contains(.keepAnswer(forced)))
    }

    @Test("the limit of a server is learned from its 429s, and raised again as it answers")
    func learnedLimit() {
        var scene = Scene([("A", nil), ("B", 1)], routes: [("m", [1])])
        var tickets = (1...5).map { scene.ask(client: "\($0)").ticket }
        _ = scene.fail(tickets.removeLast(), .answered(status: 429))
        #expect(scene.server("A")?.limit == 4)
        scene.pass(.seconds(2))
        _ = scene.happens(.clockAdvanced)
        #expect(scene.server("A")?.inFlight == 4)
        for ticket in tickets { _ = scene.finish(ticket) }
        #expect(scene.server("A")?.limit == 5)
    }

    @Test("a prompt that is too long for one server is tried where the context is longer, or unknown, and counts against nobody")
    func tooLong() {
        var scene = Scene([("A", nil), ("B", nil), ("C", nil), ("D", nil)])
        for (server, context) in [(1, 8_192), (2, 4_096), (4, 32_768)] {
            _ = scene.happens(.modelsListed(Scene.id(server), [ListedModel("m", traits: .init(contextTokens: context))]))
        }
        let (ticket, effects) = scene.ask()
        #expect(effects.grant(of: ticket)?.serverName == "A")
        #expect(scene.fail(ticket, .promptTooLong).grant(of: ticket)?.serverName == "C", "B's context is shorter still")
        #expect(scene.fail(ticket, .promptTooLong).grant(of: ticket)?.serverName == "D")
        #expect(scene.fail(ticket, .promptTooLong) == [.keepAnswer(ticket)], "the last engine's own words say best what is wrong")
        _ = scene.finish(ticket)
        #expect(!scene.snapshot.servers.contains { !$0.failing.isEmpty || $0.inFlight > 0 })
    }

    @Test("a prompt that is too long waits for the server where it fits")
    func tooLongWaits() {
        var scene = Scene([("A", 1), ("B", 1)])
        for (server, context) in [(1, 8_192), (2, 32_768)] {
            _ = scene.happens(.modelsListed(Scene.id(server), [ListedModel("m", traits: .init(contextTokens: context))]))
        }
        let (other, _) = scene.ask(client: "other")
        let (second, effects) = scene.ask(client: "second")
        _ = scene.finish(other)
        #expect(effects.grant(of: second)?.serverName == "B")
        let (long, granted) = scene.ask(client: "long")
        #expect(granted.grant(of: long)?.serverName == "A")
        #expect(scene.fail(long, .promptTooLong).contains(.requeued(long)))
        #expect(scene.server("A")?.inFlight == 0)
        #expect(scene.finish(second).grant(of: long)?.serverName == "B")
    }
}
