import Testing

@testable import Routing

@Suite("A client with much work")
struct CrowdingTests {
    private func names(_ count: Int) -> [PricedScene.Server] {
        (0..<count).map { PricedScene.Server(name: "\($0)", slots: 4) }
    }

    /// A client with little work has asked, and is answered.
    private func somebodyElse(_ scene: inout PricedScene, number: Int = 900) {
        scene.play(TestPrompt((number, 500)), client: "light")
    }

    /// The servers that a client's long prompts are sent to.
    private func jobs(_ count: Int, _ scene: inout PricedScene, priority: PriorityClass? = nil) -> [(Ticket, String?)] {
        (0..<count).map { number in
            let asked = scene.ask(TestPrompt((number, 30_000)), client: "jobs", priority: priority)
            return (asked.ticket, asked.server)
        }
    }

    @Test("sends each server one long prompt at a time, while others ask")
    func oneLongPrompt() {
        var scene = PricedScene(names(3))
        somebodyElse(&scene)
        let sent = jobs(12, &scene).compactMap { $0.1 }
        #expect(Set(sent).count == 3)
        // The first two come before it is known that there are many.
        #expect(sent.count <= 5)
    }

    @Test("uses everything, while nobody else asks")
    func alone() {
        var scene = PricedScene(names(3))
        #expect(jobs(12, &scene).compactMap { $0.1 }.count == 12)
    }

    @Test("sends the next one as soon as the one before is read")
    func next() {
        var scene = PricedScene(names(2))
        somebodyElse(&scene)
        let sent = jobs(8, &scene).filter { $0.1 != nil }
        scene.pass(15)
        let granted = sent.map { scene.begin($0.0).granted.count }.reduce(0, +)
        #expect(granted >= 1)
    }

    @Test("keeps one of four servers open: a short prompt is read there at once")
    func oneOpen() {
        for count in 1...12 {
            var scene = PricedScene(names(4))
            somebodyElse(&scene)
            _ = jobs(count, &scene)
            let price = (0..<4).map { scene.price(TestPrompt((800, 400)), on: $0) }
            let best = price.filter { $0.total > 0 && $0.wait == 0 }.map(\.ahead).min()
            #expect(best == 0, "\(count) jobs")
        }
    }

    @Test("leaves the last slot to others, and bulk does so with a single request")
    func lastSlot() {
        for priority in [nil, PriorityClass.bulk] {
            var scene = PricedScene([.init(name: "A", slots: 2), .init(name: "B", slots: 2)])
            somebodyElse(&scene)
            // On each server, one slot is taken by others.
            for number in 0..<2 { _ = scene.ask(TestPrompt((700 + number, 300)), client: "other \(number)") }
            let asked = scene.ask(TestPrompt((1, 300)), client: "jobs", priority: priority)
            #expect((asked.server == nil) == (priority == .bulk))
            let light = scene.ask(TestPrompt((2, 300)), client: "another")
            #expect(light.server != nil)
        }
    }

    @Test("takes the last slot when it got nothing for a minute")
    func notForEver() {
        var scene = PricedScene([.init(name: "A", slots: 2), .init(name: "B", slots: 2)])
        somebodyElse(&scene)
        for number in 0..<2 {
            let other = scene.ask(TestPrompt((700 + number, 300)), client: "other \(number)")
            scene.pass(0.2)
            _ = scene.begin(other.ticket)
        }
        let asked = scene.ask(TestPrompt((1, 300)), client: "jobs", priority: .bulk)
        #expect(asked.server == nil)
        for second in 1...59 {
            scene.pass(1)
            guard second % 20 == 0 else { continue }
            let light = scene.ask(TestPrompt((900, 500)), client: "light")
            #expect(light.server != nil && scene.finish(light.ticket).granted.isEmpty)
        }
        let (server, seconds) = scene.wait(for: asked.ticket, atMost: 60)
        #expect(server != nil && seconds < 60)
    }

    @Test("its delay weighs little against that of a client with little work")
    func delayWeighsLittle() {
        var scene = PricedScene(names(2))
        somebodyElse(&scene)
        _ = jobs(8, &scene, priority: .bulk)
        let yielding = scene.scene.router.backends.flatMap(\.jobs).filter(\.yields).count
        #expect(yielding > 0)
        let prompt = TestPrompt((800, 4000))
        let beside = (0..<2).map { scene.price(prompt, on: $0) }.filter { $0.wait == 0 }
        #expect(beside.contains { $0.harm < 0.5 * $0.own })
    }
}
