import Testing

@testable import Routing

@Suite("A client that begins another conversation")
struct NextConversationTests {
    /// Two servers. Further requests go to the second one, once the first is drained.
    private var scene = PricedScene("A", "B", slots: 4)

    @Test("has left the last one: it counts no longer where it ran")
    mutating func leaves() {
        for tokens in [1000, 1100] { #expect(scene.play(TestPrompt((1, 9000), (2, tokens)), client: "1") == "A") }
        _ = scene.scene.happens(.drain(Scene.id(1)))
        #expect(scene.play(TestPrompt((7, 3000)), client: "2") == "B")
        #expect(live() > 0.9, "somebody else's new conversation says nothing")
        #expect(scene.play(TestPrompt((8, 3000)), client: "1") == "B")
        #expect(live() < 0.01)
    }

    @Test("makes room for it at the server of the last one")
    mutating func makesRoom() {
        for number in 1...3 {
            if number == 3 { _ = scene.scene.happens(.drain(Scene.id(1))) }
            for tokens in [1000, 1100] { _ = scene.play(TestPrompt((number, 9000), (10, tokens)), client: "\(number)") }
            _ = scene.scene.happens(.undrain(Scene.id(1)))
        }
        #expect(live() > 0.8 && live(on: 1) > 1.6)
        // The other server has one conversation, and so has this one without the client's last one.
        #expect(scene.play(TestPrompt((8, 3000)), client: "2") == "B")
    }

    @Test("has not left it while it is answered, or if it has gone on with others before, as clients behind one address do")
    mutating func alternates() {
        let running = scene.ask(TestPrompt((1, 9000)), client: "1")
        #expect(running.server == "A")
        _ = scene.scene.happens(.drain(Scene.id(1)))
        let before = live()
        _ = scene.play(TestPrompt((8, 3000)), client: "1")
        #expect(before > 0.4 && live() > 0.9 * before)

        scene = PricedScene("A", "B", slots: 4)
        for turn in 1...20 {
            for number in 1...2 { _ = scene.play(TestPrompt((number, 9000), (10, turn * 100)), client: "1") }
        }
        let lived = live() + live(on: 1)
        _ = scene.scene.happens(.drain(Scene.id(1)))
        let new = scene.ask(TestPrompt((8, 3000)), client: "1")
        #expect(new.server == "B" && live() + live(on: 1) > 0.9 * lived)
    }

    /// Conversations that are believed to go on at a server.
    private func live(on index: Int = 0) -> Double {
        scene.scene.router.backends[index].served[1].cache.live.value(at: scene.scene.now.seconds)
    }
}
