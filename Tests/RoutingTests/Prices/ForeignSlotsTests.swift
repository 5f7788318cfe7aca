import Testing

@testable import Routing

@Suite("Slots that work for others")
struct ForeignSlotsTests {
    /// The engine of the server with this index was asked `ago` seconds ago.
    private func count(_ busy: Int, of total: Int = 4, on index: Int = 0, ago: Double = 0, _ scene: inout PricedScene) {
        let at = Moment(nanoseconds: scene.scene.now.nanoseconds - Int64(ago * 1e9))
        _ = scene.scene.happens(
            .probed(Scene.id(index + 1), BackendReport(isBusy: false, slots: .init(total: total, busy: busy, countedAt: at))))
    }

    private func foreign(_ scene: PricedScene, _ index: Int = 0) -> Int {
        scene.scene.router.backends[index].foreignSlots(at: scene.scene.now.seconds, conversationTime: 180)
    }

    @Test("a count is used if no request of our own came or went since the engine was asked")
    func timeStamps() {
        var slots = ForeignSlots()
        slots.count(busy: 3, own: 1, at: 10)
        #expect(slots.value(at: 10, memory: 20) == 2)
        slots.ownChanged(at: 12)
        slots.count(busy: 4, own: 0, at: 12)
        #expect(slots.value(at: 13, memory: 20) == 2, "the one that ended may be among the four")
        slots.count(busy: 0, own: 2, at: 12.1)
        #expect(slots.value(at: 13, memory: 20) == 0)
    }

    @Test("after a while, what was counted says nothing")
    func forgotten() {
        var slots = ForeignSlots()
        slots.count(busy: 3, own: 0, at: 10)
        #expect(slots.value(at: 30, memory: 20) == 3 && slots.value(at: 30.1, memory: 20) == 0)
    }

    @Test("a probe that is older than our own request does not count it as foreign, however late it arrives")
    func ownRequest() {
        var scene = PricedScene("A", "B", slots: 4)
        scene.pass(1)
        let asked = scene.ask(TestPrompt((1, 100)))
        #expect(asked.server == "A")
        scene.pass(0.5)
        count(1, ago: 0.6, &scene)
        #expect(foreign(scene) == 0)
        count(1, &scene)
        #expect(foreign(scene) == 0)
        count(3, &scene)
        #expect(foreign(scene) == 2)
        _ = scene.scene.happens(.requestCancelled(asked.ticket))
        scene.pass(1)
        count(1, &scene)
        #expect(foreign(scene) == 2, "the engine may not have noticed yet that the client left")
        scene.pass(2)
        count(1, &scene)
        #expect(foreign(scene) == 1)
    }

    @Test("what the balancer itself knows of the slots is no count")
    func ownKnowledge() {
        var scene = PricedScene("A", slots: 4)
        _ = scene.scene.happens(.probed(Scene.id(1), BackendReport(isBusy: false, slots: .init(total: 4, busy: 3))))
        #expect(foreign(scene) == 0)
    }

    @Test("a request waits inside the engine for as many ends as there are too few slots", arguments: [(2, 0.0), (3, 1), (4, 2)])
    func price(busy: Int, ends: Double) {
        var scene = PricedScene("A", "B", slots: 4)
        let running = scene.ask(TestPrompt((9, 100)), client: "other")
        _ = scene.begin(running.ticket)
        #expect(running.server == "A")
        scene.pass(1)
        count(busy + 1, of: 5, &scene)
        count(busy + 1, of: 4, &scene)
        let price = scene.price(TestPrompt((1, 2000)), on: 0)
        #expect(foreign(scene) == busy)
        #expect(abs(price.wait - 150 * 0.015 * 1.3 * ends / Double(busy + 1)) < 1e-9)
        #expect(abs(price.decode - 0.25 * 150 * 0.015 * (1 + 0.1 * Double(min(3, busy + 1)))) < 1e-9)
    }

    @Test("others' requests send ours to another server, until they are done")
    func elsewhere() {
        var scene = PricedScene([.init(name: "A", slots: 2), .init(name: "B", slots: 2, speed: 1600)])
        func server() -> String? {
            let asked = scene.ask(TestPrompt((Int(scene.scene.now.nanoseconds), 3000)), client: "\(scene.scene.now)")
            _ = scene.begin(asked.ticket)
            scene.pass(0.1)
            _ = scene.finish(asked.ticket)
            scene.pass(60)
            return asked.server
        }
        #expect(server() == "A")
        count(2, of: 2, &scene)
        #expect(server() == "B")
        count(0, of: 2, &scene)
        #expect(foreign(scene) == 0 && scene.price(TestPrompt((7, 3000)), on: 0).wait == 0)
    }
}
