import Testing

@testable import Routing

@Suite("An engine that copies what idle seats hold")
struct IdleSeatTests {
    /// Two seats with a long prompt each. The engine has found more than was believed, and then a request has begun.
    private static func scene(knows: Bool = true) -> BeliefScene {
        var scene = BeliefScene(seats: 2)
        scene.play(long.chain)
        if knows { scene.belief.surpassed() }
        scene.play(TestPrompt((9, 3000)).chain)
        return scene
    }

    private static let long = TestPrompt((1, 1024), (2, 3000))

    @Test("is believed to do so once it found more than was believed", arguments: [true, false])
    func copies(knows: Bool) {
        let scene = Self.scene(knows: knows)
        #expect(scene.belief.savesIdleSeats == knows)
        #expect(scene.held == [3000, 4024] && scene.kept == (knows ? [4024] : []))
        #expect(scene.store.count == 2, "a copy is the same sequence")
        #expect(scene.belief.kept.allSatisfy { scene.belief.isCopy($0) })
    }

    @Test("loads the copy for a second request while the first one uses the seat", arguments: [true, false])
    func loads(knows: Bool) {
        var scene = Self.scene(knows: knows)
        scene.begin(TestPrompt((1, 1024), (2, 3000), (3, 50)).chain)
        let match = scene.match(TestPrompt((1, 1024), (2, 3000), (4, 20)).chain)
        #expect(match.seat == 0 && match.saves && match.tokens == (knows ? 4024 : 0))
        #expect((match.loads != nil) == knows)
    }

    @Test("still has the copy when another request has overwritten a part of the seat, and a longer one replaces it")
    func overwritten() {
        var scene = Self.scene()
        scene.play(TestPrompt((1, 1024), (2, 3000), (3, 50)).chain)
        #expect(scene.kept == [4024, 3000] && scene.held == [3000, 4074])
        scene.play(TestPrompt((8, 500)).chain)
        #expect(scene.kept == [3000, 4074] && scene.held == [500, 4074])
        #expect(scene.store.count == 3)
    }

    @Test("loads kept prompts into an empty seat, too")
    func emptySeat() {
        var scene = BeliefScene(seats: 2)
        scene.belief.surpassed()
        scene.play(Self.long.chain)
        scene.begin(TestPrompt((1, 1024), (2, 100)).chain)
        #expect(scene.kept == [4024])
        let match = scene.match(TestPrompt((1, 1024), (2, 3000), (3, 50)).chain)
        #expect(match.seat == 0 && match.loads != nil && !match.isFirstInSeat && match.tokens == 4024)
    }

    @Test("is not believed to any more when a copy was missed, and its capacity stays")
    func denied() throws {
        var scene = Self.scene()
        let copy = try #require(scene.belief.kept.first)
        scene.belief.denied(depth: 50_000, tokens: 4024, isCopy: scene.belief.isCopy(copy), in: &scene.store, at: scene.now)
        #expect(!scene.belief.savesIdleSeats && scene.kept.isEmpty && scene.held == [3000, 4024])
        #expect(scene.belief.capacity == .infinity && scene.store.count == 2)
    }

    @Test("a copy whose seat was taken by something else is a kept prompt like others")
    func keptLater() {
        var scene = Self.scene()
        for number in 20...22 { scene.play(TestPrompt((number, 400)).chain) }
        #expect(scene.kept == [4024, 3000, 400, 400])
        #expect(scene.belief.kept.map { scene.belief.isCopy($0) } == [false, false, false, true])
    }

    @Test("a copy of what is still in a seat costs nothing when it is dropped")
    func nextToDrop() {
        var scene = Self.scene()
        scene.belief.denied(depth: 20_000, tokens: 0, in: &scene.store, at: scene.now)
        #expect(scene.belief.capacity == 20_000 && scene.belief.nextToDrop(for: 1e6, in: scene.store) == nil)
    }

    @Test("conversations count once, and all is forgotten when the engine restarts")
    func forgotten() {
        var scene = Self.scene()
        #expect(scene.belief.live.value(at: scene.now) <= 2)
        scene.belief.setSeats(1, in: &scene.store, at: scene.now)
        #expect(scene.kept == [4024] && scene.held == [3000] && scene.store.count == 2)
        scene.belief.forget(in: &scene.store)
        #expect(scene.store.count == 0 && scene.kept.isEmpty && scene.belief.savesIdleSeats)
    }
}
