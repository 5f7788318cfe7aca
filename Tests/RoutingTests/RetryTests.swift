import Testing

@testable import Routing

@Suite("Retry")
struct RetryTests {
    private let four: [(name: String, requestMax: Int?)] = [("A", 1), ("B", 1), ("C", 1), ("D", 1)]

    @Test("tries other servers, three in all, and never the same one twice")
    func threeAttempts() {
        var scene = Scene(four)
        let (ticket, first) = scene.ask()
        let second = scene.fail(ticket)
        let third = scene.fail(ticket, .beforeAnswer("reset"))
        let last = scene.fail(ticket)
        let grants = [first, second, third].map { $0.grant(of: ticket) }
        #expect(grants.map { $0?.serverName } == ["A", "B", "C"])
        #expect(grants.map { $0?.attempt } == [1, 2, 3])
        #expect(last.refusal(of: ticket) == .upstreamFailed(detail: "C could not connect: refused"))
        for name in ["A", "B", "C", "D"] { #expect(scene.server(name)?.inFlight == 0) }
    }

    @Test("stops when everybody has failed")
    func everybodyFailed() {
        var scene = Scene()
        let (ticket, _) = scene.ask()
        _ = scene.fail(ticket)
        let effects = scene.fail(ticket, .beforeAnswer("reset"))
        #expect(effects.refusal(of: ticket) == .upstreamFailed(detail: "B broke before its answer: reset"))
    }

    @Test("waits when the others are full, even with a full line, and its time starts then")
    func waitsForOthers() {
        var policy = RoutingPolicy()
        policy.maxWaiting = 0
        policy.maxWait = .seconds(10)
        var scene = Scene(policy: policy)
        let (ticket, _) = scene.ask(client: "1")
        let (other, _) = scene.ask(client: "2")
        scene.pass(.seconds(60))
        let failed = scene.fail(ticket)
        #expect(failed.refusal(of: ticket) == nil)
        #expect(failed.wakes == [scene.now + .seconds(10)])
        scene.pass(.seconds(1))
        let grant = scene.finish(other).grant(of: ticket)
        #expect(grant?.serverName == "B")
        #expect(grant?.attempt == 2)
        #expect(grant?.waitedMilliseconds == 1000)
    }

    @Test("leaves the failed server's place to those who wait")
    func freesThePlace() {
        var scene = Scene()
        let (ticket, _) = scene.ask(client: "1")
        _ = scene.ask(client: "2")
        let (waiting, _) = scene.ask(client: "3")
        let effects = scene.fail(ticket)
        #expect(effects.grant(of: waiting)?.serverName == "A")
        #expect(effects.grant(of: ticket) == nil)
    }

    @Test("moves a request that was answered 503 to a free server")
    func answeredElsewhere() {
        var scene = Scene()
        let (ticket, _) = scene.ask()
        let effects = scene.fail(ticket, .answered(status: 503))
        #expect(effects.grant(of: ticket)?.serverName == "B")
        #expect(scene.server("A")?.inFlight == 0)
        #expect(scene.server("A")?.phase == .up)
    }

    @Test("keeps an answered 503 when nobody else is free, and its place until it ends")
    func keepsAnswer() {
        var scene = Scene()
        let (ticket, _) = scene.ask(client: "1")
        _ = scene.ask(client: "2")
        #expect(scene.fail(ticket, .answered(status: 503)) == [.keepAnswer(ticket)])
        #expect(scene.server("A")?.inFlight == 1)
        _ = scene.finish(ticket)
        #expect(scene.server("A")?.inFlight == 0)
    }

    @Test("keeps the third answer whatever it is")
    func keepsThirdAnswer() {
        var scene = Scene(four)
        let (ticket, _) = scene.ask()
        _ = scene.fail(ticket, .answered(status: 502))
        _ = scene.fail(ticket, .answered(status: 502))
        #expect(scene.fail(ticket, .answered(status: 502)) == [.keepAnswer(ticket)])
    }

    @Test("never moves what named its server")
    func forcedStays() {
        var scene = Scene()
        let (ticket, _) = scene.ask(.server("A"))
        #expect(scene.fail(ticket).refusal(of: ticket)?.kind == "upstreamFailed")
        let (answered, _) = scene.ask(.server("A"))
        #expect(scene.fail(answered, .answered(status: 504)) == [.keepAnswer(answered)])
    }

    @Test("lets the failed client stay away, and its session move to the server that served it")
    func sessionMoves() {
        var scene = Scene([("A", 2), ("B", 2)])
        let (ticket, _) = scene.ask(client: "me")
        _ = scene.fail(ticket)
        _ = scene.finish(ticket)
        let (next, effects) = scene.ask(client: "me")
        #expect(effects.grant(of: next)?.serverName == "B")
    }

    @Test("asks for a probe of a server that real traffic found failing, once")
    func probesAtOnce() {
        var scene = Scene([("A", 2)])
        let (first, _) = scene.ask(client: "1")
        let (second, _) = scene.ask(client: "2")
        #expect(scene.fail(first).contains(.probeNow(Scene.id(1))))
        #expect(!scene.fail(second).contains(.probeNow(Scene.id(1))))
        #expect(scene.server("A")?.phase == .suspect(reason: "could not connect: refused"))
    }

    @Test("ignores failures and ends of requests that it does not know")
    func unknownTickets() {
        var scene = Scene()
        let stranger = Ticket(owner: 3, sequence: 99)
        #expect(scene.fail(stranger).isEmpty)
        #expect(scene.finish(stranger).isEmpty)
        #expect(scene.happens(.requestCancelled(stranger)).isEmpty)
        let (ticket, _) = scene.ask()
        _ = scene.finish(ticket)
        #expect(scene.finish(ticket).isEmpty)
        #expect(scene.fail(ticket).isEmpty)
        #expect(scene.server("A")?.inFlight == 0)
    }
}
