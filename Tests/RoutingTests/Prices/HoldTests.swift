import Testing

@testable import Routing

@Suite("Waiting for a busy server")
struct HoldTests {
    private func policy(maxWaiting: Int) -> RoutingPolicy {
        var policy = RoutingPolicy()
        policy.maxWaiting = maxWaiting
        return policy
    }

    /// A has a conversation of that many tokens in its only slot, and computes an answer in it; B is free, and cold.
    private func scene(
        _ tokens: Int, policy: RoutingPolicy = RoutingPolicy()
    ) -> (scene: PricedScene, running: Ticket, next: TestPrompt) {
        var scene = PricedScene("A", "B", policy: policy)
        let prompt = TestPrompt((1, tokens))
        #expect(scene.play(prompt) == "A")
        let next = TestPrompt((1, tokens), (2, 100))
        let running = scene.ask(next)
        #expect(running.server == "A")
        _ = scene.begin(running.ticket)
        return (scene, running.ticket, TestPrompt((1, tokens), (2, 100), (3, 100)))
    }

    @Test(
        "is better than computing a long prompt again, and worse than computing a short one",
        arguments: [(40_000, true), (1000, false)])
    func holds(tokens: Int, holds: Bool) {
        var (scene, running, next) = scene(tokens)
        let asked = scene.ask(next, id: "it")
        #expect(asked.server == (holds ? nil : "B"))
        #expect(asked.effects.refusal(of: asked.ticket) == nil)
        guard holds else { return }
        #expect(scene.scene.router.decisions(requestID: "it").count == 1)
        scene.pass(1)
        let granted = scene.finish(running).grant(of: asked.ticket)
        #expect(granted?.serverName == "A" && granted?.waitedMilliseconds == 1000)
        #expect(granted?.cache?.result == .hit)
    }

    @Test("ends with the server: it dies, drains, or leaves", arguments: ["dies", "drains", "leaves"])
    func serverGoes(how: String) {
        var (scene, _, next) = scene(40_000)
        let asked = scene.ask(next)
        #expect(asked.server == nil)
        var effects: [Effect] = []
        switch how {
        case "dies": effects = scene.scene.probeFails(1, times: 2)
        case "drains": effects = scene.scene.happens(.drain(Scene.id(1)))
        default:
            var fleet = scene.scene.router.fleet
            fleet.servers.removeFirst()
            effects = scene.scene.happens(.fleetChanged(fleet))
        }
        #expect(effects.grant(of: asked.ticket)?.serverName == "B")
    }

    @Test("ends when it has lasted too long, although the stream before it never ends and nothing else happens")
    func notForEver() {
        var (scene, _, next) = scene(20_000)
        let asked = scene.ask(next)
        #expect(asked.server == nil)
        let waited = scene.wait(for: asked.ticket, atMost: 600)
        #expect(waited.server == "B")
        // Ten seconds of computing are saved; a second of waiting counts another 0.3.
        #expect((5...60).contains(waited.seconds))
    }

    @Test("is priced again when it is said to end, and no more often than every 50 ms")
    func wakes() {
        var (scene, _, next) = scene(20_000)
        _ = scene.ask(next)
        var wakes = 0
        let start = scene.scene.now
        while let next = scene.scene.router.wakeAt, scene.scene.router.line.count > 0, wakes < 1000 {
            #expect(next.milliseconds(since: scene.scene.now) >= 50)
            scene.pass(next.milliseconds(since: scene.scene.now) / 1000)
            _ = scene.scene.happens(.clockAdvanced)
            wakes += 1
        }
        #expect(wakes > 0 && wakes < 50, "in \(scene.scene.now.milliseconds(since: start)) ms")
    }

    @Test("is nothing for a retry: it goes where there is room")
    func retriesNeverHold() {
        var scene = PricedScene("A", "B", "C")
        let prompt = TestPrompt((1, 40_000))
        #expect(scene.play(prompt) == "A")
        _ = scene.scene.happens(.drain(Scene.id(1)))
        let next = TestPrompt((1, 40_000), (2, 10))
        let onB = scene.ask(next)
        #expect(onB.server == "B")
        _ = scene.scene.happens(.undrain(Scene.id(1)))
        let running = scene.ask(next)
        #expect(running.server == "A")
        _ = scene.begin(running.ticket)
        let fresh = scene.ask(next)
        #expect(fresh.server == nil, "a first attempt holds for A")
        let effects = scene.scene.fail(onB.ticket)
        #expect(effects.grant(of: onB.ticket)?.serverName == "C" || effects.granted.contains(fresh.ticket))
        #expect(scene.scene.router.line[onB.ticket] == nil)
    }

    @Test("a request that failed elsewhere does not hold for a warm server that is busy")
    func retryBesideWarm() {
        var scene = PricedScene("A", "B", "C")
        scene.play(TestPrompt((1, 40_000)))
        let onA = scene.ask(TestPrompt((1, 40_000), (2, 10)))
        let short = scene.ask(TestPrompt((9, 100)), client: "2")
        #expect(onA.server == "A" && short.server == "B")
        let third = scene.ask(TestPrompt((1, 40_000), (2, 10), (3, 10)), client: "3")
        #expect(third.server == nil)
        let failed = scene.scene.fail(short.ticket)
        #expect(failed.grant(of: short.ticket)?.serverName == "C")
        #expect(failed.granted == [short.ticket], "the one that waits for A still does")
    }

    @Test("is not possible if nobody may wait: the request runs cold; it is refused only when all servers are full")
    func nobodyMayWait() {
        var (scene, _, next) = scene(40_000, policy: policy(maxWaiting: 0))
        let asked = scene.ask(next)
        #expect(asked.server == "B")
        let refused = scene.ask(next)
        #expect(refused.effects.refusal(of: refused.ticket)?.kind == "queueFull")
    }

    @Test("is not possible when the queue is full: the request runs cold; it is refused only when all servers are full")
    func queueFull() {
        var (scene, _, next) = scene(40_000, policy: policy(maxWaiting: 1))
        let waiting = scene.ask(next)
        #expect(waiting.server == nil && scene.scene.router.line.count == 1)
        let second = scene.ask(next)
        #expect(second.server == "B")
        let third = scene.ask(next)
        #expect(third.effects.refusal(of: third.ticket)?.kind == "queueFull")
    }

    @Test("two requests do not wait for the same slot as if each were alone")
    func reservations() {
        var (scene, _, next) = scene(10_000)
        let first = scene.ask(next, client: "1")
        #expect(first.server == nil)
        #expect(scene.ask(next, client: "2").server == "B", "the first one will take a while, too")
    }

    @Test("a request that waits although it is in the line because of others is in the log as waiting")
    func secondIsLogged() {
        var scene = PricedScene("A")
        _ = scene.ask(TestPrompt((1, 1000)))
        _ = scene.ask(TestPrompt((2, 1000)), id: "first")
        _ = scene.ask(TestPrompt((3, 1000)), id: "second")
        for id in ["first", "second"] {
            let verdicts = scene.scene.router.decisions(requestID: id).map(\.verdict)
            #expect(verdicts.count == 1)
            #expect(verdicts.allSatisfy { if case .waits = $0 { true } else { false } })
        }
    }
}
