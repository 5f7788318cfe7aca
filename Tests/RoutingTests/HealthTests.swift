import Testing

@testable import Routing

@Suite("Health")
struct HealthTests {
    private let idle = BackendReport(isBusy: false)
    private let busy = BackendReport(isBusy: true)

    @Test("one failed probe makes a server suspect, the second takes it down, one good one brings it back")
    func phases() {
        var health = HealthState()
        #expect(health.phase == .unknown)
        let first = health.probeFailed(reason: "x", failuresUntilDown: 2, at: .zero)
        #expect(first.isEmpty)
        #expect(health.phase == .suspect(reason: "x"))
        let second = health.probeFailed(reason: "y", failuresUntilDown: 2, at: .zero)
        #expect(second == [.takenDown, .engineLost])
        #expect(health.phase == .down(reason: "y"))
        let third = health.probeFailed(reason: "z", failuresUntilDown: 2, at: .zero)
        #expect(third.isEmpty, "it was down before")
        #expect(health.phase == .down(reason: "z"))
        health.probed(idle, at: .zero)
        #expect(health.phase == .up)
        let again = health.probeFailed(reason: "x", failuresUntilDown: 2, at: .zero)
        #expect(again.isEmpty, "failures are counted from the last success")
    }

    @Test("while the engine listens a server is taken down without being lost; it is lost when the engine fails as often")
    func engineListens() {
        var health = HealthState()
        for expected in [[], .takenDown, []] as [HealthState.Change] {
            let change = health.probeFailed(reason: "health-port", engineListens: true, failuresUntilDown: 2, at: .zero)
            #expect(change == expected)
        }
        let first = health.probeFailed(reason: "engine", failuresUntilDown: 2, at: .zero)
        #expect(first.isEmpty && health.phase == .down(reason: "engine"))
        let listensAgain = health.probeFailed(reason: "health-port", engineListens: true, failuresUntilDown: 2, at: .zero)
        #expect(listensAgain.isEmpty)
        for expected in [[], .engineLost, []] as [HealthState.Change] {
            let change = health.probeFailed(reason: "engine", failuresUntilDown: 2, at: .zero)
            #expect(change == expected)
        }
        health.probed(idle, at: .zero)
        #expect(health.phase == .up)
    }

    @Test("failing traffic makes a server suspect, never takes it down or brings it back")
    func traffic() {
        var health = HealthState()
        health.probed(idle, at: .zero)
        let first = health.trafficFailed(reason: "reset")
        #expect(first)
        #expect(health.phase == .suspect(reason: "reset"))
        let second = health.trafficFailed(reason: "reset")
        #expect(!second)
        #expect(!health.isDown)
        _ = health.probeFailed(reason: "x", failuresUntilDown: 1, at: .zero)
        let third = health.trafficFailed(reason: "reset")
        #expect(!third)
        #expect(health.phase == .down(reason: "x"))
    }

    @Test("a server is busy while any of the last samples was, and before the first one", arguments: [1, 5, 63, 64, 100])
    func busyWindow(window: Int) {
        var health = HealthState()
        #expect(health.isBusy(window: window))
        health.probed(idle, at: .zero)
        #expect(!health.isBusy(window: window))
        health.probed(busy, at: .zero)
        for _ in 1..<min(window, 64) {
            #expect(health.isBusy(window: window))
            health.probed(idle, at: .zero)
        }
        #expect(health.isBusy(window: window))
        health.probed(idle, at: .zero)
        #expect(!health.isBusy(window: window))
    }

    @Test("what ran on a server that went down is reported lost, in order of arrival")
    func serverLost() {
        var scene = Scene([("A", nil), ("B", nil)])
        let tickets = (0..<20).map { scene.ask(.server("A"), client: "\($0)").ticket }
        _ = scene.ask(.server("B"))
        #expect(scene.probeFails(1).isEmpty)
        #expect(scene.probeFails(1).ofRequests == tickets.map { .serverLost($0) })
        #expect(scene.probeFails(1).isEmpty)
    }

    @Test("while only the program on the health port fails, a server gets no new work, and what runs there goes on")
    func healthPortFails() {
        var scene = Scene()
        let (running, _) = scene.ask(client: "1")
        #expect(scene.probeFails(1, times: 3, engineListens: true).ofRequests.isEmpty)
        let (next, effects) = scene.ask(client: "2")
        #expect(effects.grant(of: next)?.serverName == "B")
        #expect(scene.probeFails(1).isEmpty)
        #expect(scene.probeFails(1) == [.serverLost(running)], "now its engine is dead, too")
    }

    @Test("work on a lost server that has sent nothing moves, and does not blame the server again")
    func lostWorkMoves() {
        var scene = Scene()
        let (ticket, _) = scene.ask()
        _ = scene.probeFails(1, times: 2)
        let effects = scene.fail(ticket, .serverLost)
        #expect(effects.count == 1)
        #expect(effects.grant(of: ticket)?.serverName == "B")
    }

    @Test("a server that comes back gets work again by itself")
    func comesBack() {
        var scene = Scene()
        _ = scene.probeFails(1, times: 2)
        let (first, elsewhere) = scene.ask(client: "1")
        #expect(elsewhere.grant(of: first)?.serverName == "B")
        _ = scene.probe(1)
        let (second, back) = scene.ask(client: "2")
        #expect(back.grant(of: second)?.serverName == "A")
    }

    @Test("those who wait for a server that is lost are told at once, unless another one may take them")
    func waitingWhenAllDown() {
        var scene = Scene([("A", 1), ("B", 1)], routes: [("m", [1]), ("n", [1, 2])], models: ["m", "n"])
        let (running, _) = scene.ask("m", client: "1")
        let (onB, _) = scene.ask("n", client: "2")
        let (stranded, _) = scene.ask("m", client: "3")
        let (patient, _) = scene.ask("n", client: "4")
        let refusal = Refusal.noServerAvailable(detail: "A is down: no answer", retryAfterSeconds: 1)
        let effects = scene.probeFails(1, times: 2).ofRequests
        #expect(effects == [.serverLost(running), .refuse(stranded, refusal)])
        #expect(scene.fail(running, .serverLost).refusal(of: running)?.kind == "upstreamFailed")
        #expect(scene.finish(onB).granted == [patient])
    }

    @Test("news of servers that are not in the fleet are ignored")
    func strangers() {
        var scene = Scene()
        #expect(scene.probe(9).isEmpty)
        #expect(scene.probeFails(9, times: 3).isEmpty)
        #expect(scene.list(9, ["m"]).isEmpty)
        #expect(scene.happens(.drain(Scene.id(9))).isEmpty)
        #expect(scene.happens(.undrain(Scene.id(9))).isEmpty)
    }

    @Test("the balancer can take work while a server is neither down nor draining")
    func canTakeWork() {
        var scene = Scene()
        #expect(scene.canTakeWork)
        _ = scene.probeFails(1, times: 2)
        #expect(scene.canTakeWork)
        _ = scene.happens(.drain(Scene.id(2)))
        #expect(!scene.canTakeWork)
        _ = scene.probe(1)
        #expect(scene.canTakeWork)
        let canUnknownFleet = Router().canTakeWork
        #expect(!canUnknownFleet)
    }

    @Test("it is told once that a server is up, down, up again, or needs attention")
    func news() {
        func news(_ effects: [Effect]) -> [ServerNews] {
            effects.compactMap { if case .serverNews(server: "A", let news) = $0 { news } else { nil } }
        }
        var scene = Scene([("A", 1)], isUp: false)
        #expect(news(scene.probe(1)) == [.up])
        #expect(news(scene.probe(1)) == [])
        #expect(news(scene.probeFails(1)) == [])
        #expect(news(scene.probe(1)) == [], "a single failure is no news")
        #expect(news(scene.probeFails(1, times: 5)) == [.down(reason: "no answer")])
        #expect(news(scene.probe(1)) == [.up])
        let lacksKey = Event.probed(Scene.id(1), BackendReport(isBusy: false, warning: "it wants a key"))
        #expect(news(scene.happens(lacksKey)) == [.warning("it wants a key")])
        #expect(news(scene.happens(lacksKey)) == [])
    }
}
