import Testing

@testable import Simulation

@Suite("What clients of the modelled engine see and do")
struct EngineClientTests {
    private let speed = EngineScene.speed
    private let token = EngineScene.token

    @Test("frees the slot of a client that leaves in mid-prefill after the batch, and keeps what was read")
    func leavesWhilePromptIsRead() {
        var scene = EngineScene(slots: 1)
        scene.ask(1, EngineScene.prompt((1, 40_960)), answer: 100)
        scene.pass(until: 3)
        scene.engine.cancel(1, at: scene.now)
        scene.ask(2, EngineScene.prompt((1, 40_960)), answer: 1)
        scene.finish()
        #expect(scene.firstAt[1] == nil && scene.endAt[1] == nil)
        // The third batch of 2,048 tokens ends at 3.072 s; the second job reads the rest.
        #expect(scene.timings[2]?.cachedTokens == 3 * 2048)
        #expect(isNear(scene.firstAt[2] ?? 0, 40_960 / speed))
    }

    @Test("frees the slot of a client that leaves while its answer is generated, and keeps prompt and answer")
    func leavesWhileAnswerIsGenerated() {
        var scene = EngineScene(slots: 1)
        scene.ask(1, EngineScene.prompt((1, 2000)), answer: 1000)
        scene.pass(until: 1 + 10.5 * token)
        scene.engine.cancel(1, at: scene.now)
        scene.finish()
        #expect(scene.endAt[1] == nil)
        #expect(scene.engine.busySlots == 0 && scene.engine.nextEventAt == nil)
        scene.play(2, EngineScene.prompt((1, 2000), (1001, 1000)), answer: 1)
        #expect(scene.timings[2]?.cachedTokens == 2012)
    }

    @Test("forgets a waiting job whose client leaves")
    func leavesTheLine() {
        var scene = EngineScene(slots: 1)
        for id in 1...3 { scene.ask(id, EngineScene.prompt((UInt64(id), 2000)), answer: 1) }
        scene.engine.cancel(2, at: scene.now)
        scene.finish()
        #expect(scene.endAt[2] == nil)
        #expect(isNear(scene.endAt[3] ?? 0, 2))
    }

    @Test("leaves others alone when a client leaves")
    func othersGoOn() {
        var scene = EngineScene()
        scene.ask(1, EngineScene.prompt((1, 2000)), answer: 100)
        scene.pass(until: 1)
        scene.ask(2, EngineScene.prompt((2, 4000)), answer: 100)
        scene.pass(until: 1.5)
        scene.engine.cancel(2, at: scene.now)
        scene.engine.cancel(7, at: scene.now)
        scene.finish()
        #expect(scene.timings[1]?.predictedTokens == 100)
    }

    @Test("says how far each answer is within a row of batches")
    func progress() {
        var scene = EngineScene()
        scene.ask(1, EngineScene.prompt((1, 2000)), answer: 100)
        scene.pass(until: 0.5)
        #expect(scene.engine.generated(at: scene.now).isEmpty)
        scene.pass(until: 1 + 20.5 * token)
        let told = scene.engine.generated(at: scene.now)
        #expect(told.map(\.job) == [1] && told.map(\.tokens) == [21])
        scene.finish()
        #expect(scene.engine.generated(at: scene.now).isEmpty)
    }
}
