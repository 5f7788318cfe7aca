import Testing

@testable import Routing

@Suite("What is learned, when the fleet changes")
struct PricedReloadTests {
    @Test("requests that run or wait while another time of conversations is configured end as usual")
    func conversationTime() {
        var scene = PricedScene("A")
        let running = scene.ask(TestPrompt((1, 1000)), client: "1").ticket
        let waiting = scene.ask(TestPrompt((2, 1000)), client: "2").ticket
        var fleet = scene.scene.router.fleet
        fleet.policy.stickyTTL = .seconds(30)
        _ = scene.scene.happens(.fleetChanged(fleet))
        #expect(scene.finish(running, cached: 0, prompt: 1000).granted == [waiting])
        #expect(scene.finish(waiting, cached: 0, prompt: 1000).refusal(of: waiting) == nil)
    }

    @Test("a server that leaves takes what it held along, whether requests run there or not", arguments: [false, true])
    func serverLeaves(isBusy: Bool) {
        var scene = PricedScene("A", "B", slots: 2)
        for number in 0..<8 { scene.play(TestPrompt((number, 2000)), client: "\(number)") }
        let running = isBusy ? [scene.ask(TestPrompt((20, 2000))).ticket, scene.ask(TestPrompt((21, 2000))).ticket] : []
        #expect(scene.scene.router.sequences.count >= 8)
        var fleet = scene.scene.router.fleet
        fleet.servers.removeAll()
        _ = scene.scene.happens(.fleetChanged(fleet))
        for ticket in running { _ = scene.finish(ticket, cached: 0, prompt: 2000) }
        #expect(scene.scene.router.sequences.count == 0)
    }

    @Test("an engine that dies has forgotten everything when it is back")
    func engineDies() {
        var scene = PricedScene("A", "B", slots: 2)
        scene.play(TestPrompt((1, 8000)))
        #expect(scene.play(TestPrompt((1, 8000), (2, 100))) == "A")
        _ = scene.scene.probeFails(1, times: 2)
        _ = scene.scene.probe(1, slots: 2)
        #expect(scene.scene.router.sequences.count == 0)
        let asked = scene.ask(TestPrompt((1, 8000), (2, 100), (3, 100)))
        #expect(asked.effects.grant(of: asked.ticket)?.cache == CacheForecast(result: .miss, tokens: 0))
    }

    @Test("an engine whose tokens are absurdly short stops nothing")
    func absurdTokens() {
        var scene = PricedScene("A", "B")
        let first = scene.ask(TestPrompt((1, 1)))
        let huge = 1 << 40
        let timings = Timings(
            cachedTokens: huge, promptTokens: huge, promptMilliseconds: 1, predictedTokens: huge, predictedMilliseconds: 1)
        _ = scene.scene.happens(.finished(first.ticket, Outcome(.complete, timings: timings)))
        var chain = PromptChain(length: 40_000_000)
        chain.links = [.init(hash: 5, end: 40_000_000)]
        for _ in 0..<3 {
            let ticket = Ticket(owner: 1, sequence: UInt64(scene.scene.now.nanoseconds))
            _ = scene.scene.happens(.requestArrived(ticket, RequestTraits(destination: .model("m"), client: "c", prompt: chain)))
            scene.pass(1)
            _ = scene.finish(ticket)
        }
    }
}
