import Testing

@testable import Routing

@Suite("What was learned, over a restart")
struct SavedFiguresTests {
    @Test("figures are given out, and count in another router until it learns its own")
    func restored() throws {
        var scene = Scene([("A", 2), ("B", 2)])
        for _ in 0..<2 { scene.learn("A", tokensPerSecond: 500) }
        let saved = scene.router.savedFigures()
        #expect(saved.map(\.server) == ["A"])
        var other = Scene([("A", 2), ("B", 2)])
        _ = other.happens(.figuresRestored(saved))
        let restored = try #require(other.router.savedFigures().first)
        #expect(abs((restored.prefillTokensPerSecond ?? 0) - 500) < 1)
        // The machine has become ten times as fast: two long prompts are enough to see it.
        for _ in 0..<2 { other.learn("A", tokensPerSecond: 5000, tokens: 50_000) }
        let learned = try #require(other.router.savedFigures().first?.prefillTokensPerSecond)
        #expect(learned > 4000)
    }

    @Test("when one of them proves wrong, the machines have changed: the others are not believed either")
    func refuted() {
        var scene = Scene([("A", 2), ("B", 2)])
        _ = scene.happens(.figuresRestored([saved("A", 4000), saved("B", 300), saved("B", 200, model: "another")]))
        for _ in 0..<2 { scene.learn("A", tokensPerSecond: 1000) }
        let figures = scene.router.savedFigures()
        #expect(figures.map(\.server) == ["A", "B", "B"])
        #expect(figures.map { $0.prefillTokensPerSecond.map { Int($0.rounded()) } } == [1000, nil, nil])
        // How many bytes a token has does not depend on the machine.
        #expect(figures.map(\.bytesPerToken) == [4, 4, 4])
    }

    @Test("when one of them proves right, or nearly so, the others stay")
    func confirmed() {
        var scene = Scene([("A", 2), ("B", 2)])
        _ = scene.happens(.figuresRestored([saved("A", 1200), saved("B", 300)]))
        scene.learn("A", tokensPerSecond: 1000)
        #expect(scene.router.savedFigures().map { $0.prefillTokensPerSecond.map { Int($0.rounded()) } } == [1000, 300])
    }

    private func saved(_ server: String, _ speed: Double, model: String = "m") -> SavedFigures {
        SavedFigures(server: server, model: model, prefillTokensPerSecond: speed, tokenSeconds: 10 / speed, bytesPerToken: 4)
    }

    @Test("a single sample is not kept: the first request after a start is often slow")
    func single() {
        var scene = Scene([("A", 2), ("B", 2)])
        scene.learn("A", tokensPerSecond: 500)
        #expect(scene.router.savedFigures().allSatisfy { $0.prefillTokensPerSecond == nil && $0.tokenSeconds == nil })
    }

    @Test("figures of unknown servers, and impossible ones, are ignored")
    func implausible() {
        var scene = Scene([("A", 2)])
        _ = scene.happens(
            .figuresRestored([
                SavedFigures(server: "Z", model: "m", prefillTokensPerSecond: 100),
                SavedFigures(server: "A", model: "m", prefillTokensPerSecond: -1, tokenSeconds: .infinity, bytesPerToken: .nan),
            ]))
        #expect(scene.router.savedFigures() == [])
    }
}

extension Scene {
    /// A prompt is computed on that server alone.
    fileprivate mutating func learn(_ server: String, tokensPerSecond: Double, tokens: Int = 1000) {
        _ = happens(.drain(Scene.id(2)))
        let (ticket, _) = ask(client: "someone")
        let timings = Timings(
            promptTokens: tokens, promptMilliseconds: Double(tokens) / tokensPerSecond * 1000, predictedTokens: 1,
            predictedMilliseconds: 1)
        _ = happens(.finished(ticket, Outcome(.complete, timings: timings)))
    }
}
