import Testing

@testable import Simulation

@Suite("The modelled engine against theory")
struct EngineTests {
    private let speed = EngineScene.speed
    private let token = EngineScene.token

    @Test("reads a prompt at its speed, then generates a token after the other")
    func cold() {
        var scene = EngineScene()
        scene.play(1, EngineScene.prompt((1, 20_000)), answer: 200)
        #expect(isNear(scene.ttft(1), 20_000 / speed))
        #expect(isNear(scene.total(1), 20_000 / speed + 199 * token))
    }

    @Test("tells its timings as llama-server does")
    func timings() throws {
        var scene = EngineScene()
        scene.play(1, EngineScene.prompt((1, 4000)), answer: 100)
        scene.play(2, EngineScene.prompt((1, 4000), (1001, 100), (2, 500)), answer: 10)
        let told = try #require(scene.timings[2])
        #expect(told.cachedTokens == 4100 && told.promptTokens == 500 && told.predictedTokens == 10)
        #expect(isNear(told.promptSeconds, 500 / speed))
        #expect(isNear(told.predictedSeconds, 9 * token))
    }

    @Test("serves the prompt of the first slot first when two come at once")
    func firstSlotFirst() {
        var scene = EngineScene()
        scene.ask(1, EngineScene.prompt((1, 8000)), answer: 100)
        scene.ask(2, EngineScene.prompt((2, 8000)), answer: 100)
        scene.finish()
        // Of two free slots, the last is taken first. The one that came second is in the first slot; the first batch has the other's.
        let ends = [scene.ttft(1), scene.ttft(2)].sorted()
        #expect(ends[0] >= 8000 / speed && ends[0] < 6)
        #expect(ends[1] >= 16_000 / speed && ends[1] < 8.2)
    }

    @Test("needs a tenth more for a token when a second stream runs beside it")
    func streamsSlowEachOther() {
        var scene = EngineScene()
        scene.ask(1, EngineScene.prompt((1, 1000)), answer: 101)
        scene.ask(2, EngineScene.prompt((2, 1000)), answer: 101)
        scene.finish()
        let both = [scene.total(1), scene.total(2)].max() ?? 0
        // The first one to begin is alone for its first batch, which has no prompt of the other any more than half a second.
        #expect(both > 1 + 99 * token * 1.1 - 0.02 && both < 1 + 101 * token * 1.1 + 0.02)
    }

    @Test("gives a stream one token for each batch while another prompt is read")
    func longPrefillSlowsStream() {
        var scene = EngineScene()
        scene.ask(1, EngineScene.prompt((1, 100)), answer: 40)
        scene.pass(until: 0.2)
        scene.ask(2, EngineScene.prompt((2, 20_470)), answer: 1)
        scene.finish()
        // Ten batches of 2,047 prompt tokens and a token.
        let alone = 100 / speed + 39 * token
        #expect(isNear(scene.total(1), alone + 20_470 / speed))
        #expect(scene.ttft(2) > 20_470 / speed + 10 * token - 1e-6)
    }

    @Test("lets requests above its slots wait, the oldest first, and answers each once")
    func deferred() {
        var scene = EngineScene()
        for id in 1...6 { scene.ask(id, EngineScene.prompt((UInt64(id), 2000)), answer: 100) }
        #expect(scene.engine.busySlots == 2)
        scene.finish()
        #expect(scene.endAt.count == 6)
        let firsts = (3...6).map { scene.ttft($0) }
        #expect(firsts == firsts.sorted())
    }

    @Test("answers a job that comes while tokens are generated after the present one")
    func endsRowEarly() {
        var scene = EngineScene()
        scene.ask(1, EngineScene.prompt((1, 100)), answer: 1000)
        scene.pass(until: 5)
        scene.ask(2, EngineScene.prompt((2, 200)), answer: 1)
        scene.finish()
        #expect(scene.ttft(2) >= 200 / speed + token - 1e-6)
        #expect(scene.ttft(2) <= 200 / speed + 2 * token + 1e-6)
    }

    @Test("works at half its speed from the next batch on")
    func slower() {
        var scene = EngineScene()
        scene.ask(1, EngineScene.prompt((1, 2000)), answer: 101)
        scene.pass(until: 1)
        scene.engine.setSpeed(0.5, at: scene.now)
        scene.finish()
        #expect(isNear(scene.ttft(1), 1))
        #expect(scene.total(1) >= 1 + 99 * 2 * token - 1e-6 && scene.total(1) <= 1 + 100 * 2 * token + 1e-6)
    }

    @Test("loses jobs and caches when it restarts")
    func restart() {
        var scene = EngineScene()
        scene.play(1, EngineScene.prompt((1, 4000)), answer: 10)
        for id in 2...4 { scene.ask(id, EngineScene.prompt((UInt64(id), 4000)), answer: 10) }
        #expect(Set(scene.engine.restart()) == [2, 3, 4])
        #expect(scene.engine.nextEventAt == nil)
        scene.play(5, EngineScene.prompt((1, 4000)), answer: 10)
        #expect(scene.timings[5]?.cachedTokens == 0)
    }
}
