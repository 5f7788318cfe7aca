import Testing

@testable import Routing

@Suite("A server that fails requests although its probes are fine")
struct CircuitTests {
    private let two: [(name: String, requestMax: Int?)] = [("A", nil), ("B", nil)]

    /// A scene in which A has failed so many requests in a row; each was answered by B.
    private func scene(failures: Int, servers: [(name: String, requestMax: Int?)]? = nil) -> Scene {
        var scene = Scene(servers ?? two)
        for number in 0..<failures {
            scene.pass(.milliseconds(1))
            let (ticket, _) = scene.ask(client: "c\(number)")
            _ = scene.fail(ticket, .beforeAnswer("reset"))
            _ = scene.finish(ticket)
        }
        return scene
    }

    @Test("gets no work after five failures in a row, and all before")
    func opens() {
        var before = scene(failures: 4)
        let (fifth, effects) = before.ask(client: "next")
        #expect(effects.grant(of: fifth)?.serverName == "A")
        var after = scene(failures: 5)
        let (sixth, elsewhere) = after.ask(client: "next")
        #expect(elsewhere.grant(of: sixth)?.serverName == "B")
        _ = after.probe(1)
        let (seventh, still) = after.ask(client: "another")
        #expect(still.grant(of: seventh)?.serverName == "B", "a good probe does not close the circuit")
    }

    @Test("is not meant by failures with successes between them")
    func consecutive() {
        var scene = scene(failures: 4)
        let (good, _) = scene.ask(client: "good")
        _ = scene.finish(good)
        let (bad, _) = scene.ask(client: "bad")
        _ = scene.fail(bad)
        _ = scene.finish(bad)
        let (next, effects) = scene.ask(client: "next")
        #expect(effects.grant(of: next)?.serverName == "A")
    }

    @Test("those who waited for a trial are told at once when its answer is a failure that is passed on")
    func trialAnswersFailure() {
        var scene = scene(failures: 5, servers: [("A", nil)])
        scene.pass(.seconds(1))
        let (trial, _) = scene.ask(client: "trial")
        let (waiting, waits) = scene.ask(client: "other")
        #expect(waits.refusal(of: waiting) == nil)
        let effects = scene.fail(trial, .answered(status: 503))
        #expect(effects.contains(.keepAnswer(trial)))
        #expect(effects.refusal(of: waiting)?.kind == "noServerAvailable")
    }

    @Test("is tested by one request at a time, and taken back when that is answered")
    func trial() {
        var scene = scene(failures: 5)
        scene.pass(.seconds(1))
        let (trial, effects) = scene.ask(client: "trial")
        #expect(effects.grant(of: trial)?.serverName == "A")
        #expect(effects.grant(of: trial)?.isTrial == true)
        let (other, elsewhere) = scene.ask(client: "other")
        #expect(elsewhere.grant(of: other)?.serverName == "B")
        _ = scene.happens(.answerBegan(trial))
        let (next, back) = scene.ask(client: "next")
        #expect(back.grant(of: next)?.serverName == "A")
        #expect(back.grant(of: next)?.isTrial == false)
    }

    @Test("is left alone twice as long after each trial that fails, up to a limit")
    func growingPauses() {
        var scene = scene(failures: 5)
        for seconds: Int64 in [1, 2, 4, 8, 16, 30, 30] {
            scene.pass(.milliseconds(seconds * 1000 - 1))
            let (early, elsewhere) = scene.ask(client: "early \(seconds)")
            #expect(elsewhere.grant(of: early)?.serverName == "B", "before \(seconds) s are over")
            _ = scene.finish(early)
            scene.pass(.milliseconds(1))
            let (trial, effects) = scene.ask(client: "trial \(seconds)")
            #expect(effects.grant(of: trial)?.serverName == "A", "after \(seconds) s")
            _ = scene.fail(trial)
            _ = scene.finish(trial)
        }
    }

    @Test("is tested by the next one when the trial's client leaves")
    func abandonedTrial() {
        var scene = scene(failures: 5)
        scene.pass(.seconds(1))
        let (trial, _) = scene.ask(client: "trial")
        _ = scene.happens(.requestCancelled(trial))
        _ = scene.happens(.drain(Scene.id(2)))
        let (next, effects) = scene.ask(client: "next")
        #expect(effects.grant(of: next)?.isTrial == true)
    }

    @Test("alone, it is no reason to wait: the client is told what failed and when to come again")
    func nobodyElse() {
        var scene = scene(failures: 5, servers: [("A", nil)])
        let (ticket, effects) = scene.ask()
        #expect(
            effects.refusal(of: ticket)
                == .noServerAvailable(
                    detail: "A failed several requests in a row, the last one: broke before its answer: reset",
                    retryAfterSeconds: 1))
    }

    @Test("takes whoever waits for a full server as soon as its pause is over")
    func waitingTryIt() {
        var scene = scene(failures: 5, servers: [("A", nil), ("B", 1)])
        let (running, _) = scene.ask(client: "1")
        let (waiting, effects) = scene.ask(client: "2")
        #expect(scene.router.requests().first { $0.ticket == running }?.server == "B")
        #expect(effects.wakes.isEmpty, "the opening has asked for that already")
        scene.pass(.seconds(1))
        #expect(scene.happens(.clockAdvanced).grant(of: waiting)?.serverName == "A")
    }

    @Test("that breaks streams, or answers 503, fails as well", arguments: ["broken", "answered"])
    func otherFailures(how: String) {
        var scene = Scene(two)
        _ = scene.happens(.drain(Scene.id(2)))
        for _ in 0..<5 {
            let (ticket, _) = scene.ask(client: "me")
            if how == "broken" {
                _ = scene.happens(.finished(ticket, Outcome(.broken("reset"))))
            } else {
                _ = scene.fail(ticket, .answered(status: 503))
                _ = scene.finish(ticket)
            }
        }
        _ = scene.happens(.undrain(Scene.id(2)))
        let (next, effects) = scene.ask(client: "me")
        #expect(effects.grant(of: next)?.serverName == "B", "although A holds the client's session")
    }

    @Test("with one model may be fine with the others")
    func perModel() {
        var scene = Scene([("A", nil)], models: ["m", "n"])
        for _ in 0..<5 { _ = scene.fail(scene.ask("m").ticket) }
        let (refused, no) = scene.ask("m")
        #expect(no.refusal(of: refused)?.kind == "noServerAvailable")
        let (other, yes) = scene.ask("n")
        #expect(yes.grant(of: other)?.serverName == "A")
    }

    @Test("starts afresh when it was down and has come back")
    func comesBack() {
        var scene = scene(failures: 5)
        _ = scene.probeFails(1, times: 2)
        _ = scene.probe(1)
        let (next, effects) = scene.ask(client: "next")
        #expect(effects.grant(of: next)?.serverName == "A")
    }

    @Test("is remembered for a limited number of model names")
    func bounded() {
        var table = CircuitTable()
        let policy = RoutingPolicy()
        for name in 0..<1000 {
            for _ in 0..<5 { _ = table["m\(name)"].failed(.init(rawValue: 1), reason: "x", policy: policy, at: .zero) }
        }
        #expect(table.notClosed.count <= 33)
        #expect(!table["a new one"].isClosed, "all others share one")
    }

    @Test("a stream that fell silent has its server probed at once, once, and nothing else")
    func stalled() {
        var scene = Scene(two)
        let (ticket, _) = scene.ask()
        #expect(scene.happens(.stalled(ticket)) == [.probeNow(Scene.id(1))])
        #expect(scene.happens(.stalled(ticket)).isEmpty)
        #expect(scene.server("A")?.phase == .suspect(reason: "fell silent in the middle of a stream"))
        #expect(scene.server("A")?.inFlight == 1)
        #expect(scene.probe(1).isEmpty)
        #expect(scene.server("A")?.phase == .up)
    }
}

@Suite("The retry budget")
struct RetryBudgetTests {
    @Test("allows ten retries and a fifth of the requests of the last ten seconds")
    func share() {
        var budget = RetryBudget()
        let policy = RoutingPolicy()
        for _ in 0..<100 { budget.requestArrived(at: .zero) }
        let allowed = (0..<100).count { _ in budget.spend(policy: policy, at: Moment.zero + .seconds(3)) }
        #expect(allowed == 30)
        let stillNone = budget.spend(policy: policy, at: Moment.zero + .milliseconds(9_900))
        #expect(!stillNone)
        // The requests are forgotten first, then the retries.
        let afterRequests = budget.spend(policy: policy, at: Moment.zero + .milliseconds(10_100))
        #expect(!afterRequests)
        let afterAll = (0..<100).count { _ in budget.spend(policy: policy, at: Moment.zero + .seconds(13)) }
        #expect(afterAll == 10)
    }

    @Test("is for requests sent to servers known to fail; what was there when it began is moved whatever their number")
    func movesAreFree() {
        var policy = RoutingPolicy()
        policy.freeRetries = 0
        policy.retryShare = 0
        var scene = Scene([("A", nil), ("B", nil)], policy: policy)
        let asked = (0..<50).map { scene.ask(client: "\($0)") }
        let tickets = asked.filter { $0.effects.grant(of: $0.ticket)?.serverName == "A" }.map(\.ticket)
        #expect(tickets.count == 25)
        scene.pass(.seconds(1))
        for ticket in tickets { #expect(scene.fail(ticket).grant(of: ticket)?.serverName == "B") }
        for (ticket, _) in asked { _ = scene.finish(ticket) }
        scene.pass(.seconds(1))
        let (late, granted) = scene.ask(client: "late")
        #expect(granted.grant(of: late)?.isTrial == true)
        let refused = scene.fail(late)
        #expect(refused.refusal(of: late)?.kind == "upstreamFailed")
    }
}
