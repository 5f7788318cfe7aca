import Testing

@testable import Routing

@Suite("Prices among more servers than are explained")
struct ManyServersTests {
    private static let names = (0..<20).map { "server-\($0)" }

    /// Plays a prompt on that server: the others are drained meanwhile.
    private func play(_ prompt: TestPrompt, on server: Int, client: String, _ scene: inout PricedScene) {
        let others = Self.names.indices.filter { $0 != server }
        for other in others { _ = scene.scene.happens(.drain(Scene.id(other + 1))) }
        #expect(scene.play(prompt, client: client) == Self.names[server])
        for other in others { _ = scene.scene.happens(.undrain(Scene.id(other + 1))) }
    }

    private func scene() -> PricedScene { PricedScene(Self.names.map { PricedScene.Server(name: $0, slots: 2) }) }

    @Test(
        "the only server with a long conversation gets it, wherever it stands, and the first ones are explained all the same",
        arguments: [0, 15, 16, 19])
    func onlyOne(server: Int) {
        var scene = scene()
        play(TestPrompt((1, 20_000)), on: server, client: "a", &scene)
        let next = scene.ask(TestPrompt((1, 20_000), (2, 100)), client: "b", id: "next")
        #expect(next.server == Self.names[server])
        let candidates = scene.scene.router.decisions(requestID: "next").first?.candidates ?? []
        #expect(candidates.prefix(16).allSatisfy { ($0.price?.own ?? 0) > ($0.isChosen ? 0 : 9) })
        #expect(candidates.dropFirst(16).allSatisfy { $0.price == nil })
        #expect(candidates.filter(\.isChosen).map(\.server) == [Self.names[server]])
    }

    @Test("of two servers with the conversation, the one with fewer sessions gets it", arguments: [(17, 19), (19, 17)])
    func two(first: Int, second: Int) {
        var scene = scene()
        // The session moves to the second one.
        for server in [first, second] { play(TestPrompt((1, 20_000)), on: server, client: "a", &scene) }
        #expect(scene.ask(TestPrompt((1, 20_000), (2, 100)), client: "b").server == Self.names[first])
    }

    @Test("when the server with the conversation is down, the others are priced")
    func down() {
        var scene = scene()
        play(TestPrompt((1, 20_000)), on: 18, client: "a", &scene)
        _ = scene.scene.happens(.drain(Scene.id(19)))
        #expect(scene.ask(TestPrompt((1, 20_000), (2, 100)), client: "b").server == Self.names[0])
    }
}
