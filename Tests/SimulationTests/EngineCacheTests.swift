import Testing

@testable import Simulation

@Suite("The modelled engine's caches")
struct EngineCacheTests {
    private let speed = EngineScene.speed

    @Test("the next turn finds the prompt and the answer of the one before")
    func conversation() {
        var scene = EngineScene()
        scene.play(1, EngineScene.prompt((1, 20_000)), answer: 200)
        scene.play(2, EngineScene.prompt((1, 20_000), (1001, 200), (2, 1000)), answer: 100)
        #expect(scene.timings[2]?.cachedTokens == 20_200)
        #expect(isNear(scene.ttft(2), 1000 / speed))
    }

    @Test("a conversation that had to leave its slot comes back from the host cache")
    func hostCache() {
        var scene = EngineScene()
        scene.play(1, EngineScene.prompt((1, 20_000)), answer: 200)
        // The other slot, then the first conversation's.
        scene.play(2, EngineScene.prompt((2, 10_000)), answer: 50)
        scene.play(3, EngineScene.prompt((3, 10_000)), answer: 50)
        #expect(scene.timings[2]?.cachedTokens == 0 && scene.timings[3]?.cachedTokens == 0)
        scene.play(4, EngineScene.prompt((1, 20_000), (1001, 200), (4, 500)), answer: 100)
        #expect(scene.timings[4]?.cachedTokens == 20_200)
        #expect(isNear(scene.ttft(4), 500 / speed))
    }

    @Test("without a host cache it is gone")
    func noHostCache() {
        var scene = EngineScene(cacheTokens: 0)
        scene.play(1, EngineScene.prompt((1, 20_000)), answer: 200)
        scene.play(2, EngineScene.prompt((2, 10_000)), answer: 50)
        scene.play(3, EngineScene.prompt((3, 10_000)), answer: 50)
        scene.play(4, EngineScene.prompt((1, 20_000), (4, 500)), answer: 100)
        #expect(scene.timings[4]?.cachedTokens == 0)
    }

    @Test("at least one token of a known prompt is read")
    func wholePromptKnown() {
        var scene = EngineScene()
        scene.play(1, EngineScene.prompt((1, 5000)), answer: 1)
        scene.play(2, EngineScene.prompt((1, 5000)), answer: 1)
        #expect(scene.timings[2]?.promptTokens == 1)
    }

    @Test("a prompt that shares a tenth or less does not take a used slot for that")
    func similarity() {
        var scene = EngineScene()
        scene.play(1, EngineScene.prompt((1, 1000), (2, 9000)), answer: 10)
        scene.play(2, EngineScene.prompt((1, 1000), (3, 9000)), answer: 10)
        #expect(scene.timings[2]?.cachedTokens == 0)
        scene.play(3, EngineScene.prompt((1, 1000), (4, 8000)), answer: 10)
        #expect(scene.timings[3]?.cachedTokens == 1000)
    }

    @Test("a conversation is saved when a prompt that shares less than half of it takes its slot")
    func savedForSimilar() {
        var scene = EngineScene(slots: 1)
        scene.play(1, EngineScene.prompt((1, 3000), (2, 9000)), answer: 10)
        scene.play(2, EngineScene.prompt((1, 3000), (3, 5000)), answer: 10)
        #expect(scene.timings[2]?.cachedTokens == 3000)
        scene.play(3, EngineScene.prompt((1, 3000), (2, 9000), (1001, 10), (4, 100)), answer: 10)
        #expect(scene.timings[3]?.cachedTokens == 12_010)
    }

    @Test("entries that another one contains leave the host cache, and the oldest leave when it is full")
    func hostCacheBounds() {
        var cache = HostCache(limit: 25_000)
        let short = EngineScene.prompt((1, 10_000))
        let long = EngineScene.prompt((1, 10_000), (2, 2000))
        cache.save(short)
        cache.save(long)
        #expect(cache.entries == [long])
        cache.save(short)
        #expect(cache.entries == [long])
        cache.save(EngineScene.prompt((3, 10_000)))
        cache.save(EngineScene.prompt((4, 10_000)))
        cache.trim()
        #expect(cache.entries == [EngineScene.prompt((3, 10_000)), EngineScene.prompt((4, 10_000))])
    }

    @Test("an entry is taken only when more of it and more of the prompt is kept, and at least a quarter")
    func hostCacheTakes() {
        var cache = HostCache(limit: 100_000)
        cache.save(EngineScene.prompt((1, 2000), (2, 10_000)))
        let prompt = EngineScene.prompt((1, 2000), (3, 1000))
        #expect(cache.take(for: prompt, insteadOf: TokenSequence()) == nil)
        cache.save(EngineScene.prompt((1, 2000), (4, 2000)))
        #expect(cache.take(for: prompt, insteadOf: EngineScene.prompt((1, 2000))) == nil)
        #expect(cache.take(for: prompt, insteadOf: EngineScene.prompt((5, 2000)))?.count == 4000)
        #expect(cache.entries.count == 1)
    }

    @Test("sequences share whole segments, and the shorter part of a segment that one has not whole")
    func commonTokens() {
        let one = EngineScene.prompt((1, 10), (2, 20), (3, 30))
        #expect(one.commonTokens(with: EngineScene.prompt((1, 10), (4, 20), (3, 30))) == 10)
        #expect(one.commonTokens(with: one.prefix(25)) == 25)
        #expect(one.prefix(25) == EngineScene.prompt((1, 10), (2, 15)))
        #expect(one.prefix(100) == one)
    }
}
