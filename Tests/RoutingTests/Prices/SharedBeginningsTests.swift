import Testing

@testable import Routing

@Suite("A beginning that many conversations share")
struct SharedBeginningsTests {
    /// B needs 7.5 s for the beginning of 6,000 tokens, which A has.
    private static let beginning = 6000
    private var scene = PricedScene([.init(name: "A", slots: 2, speed: 4000), .init(name: "B", slots: 2, speed: 800)])

    @Test("is brought to a server that lacks it, when waiting for the others has cost as much, and no sooner")
    mutating func isBought() throws {
        fillA()
        var lost = 0.0
        var bought: (ticket: Ticket, server: String?)?
        for number in 1...100 {
            let price = scene.price(prompt(number), on: 1)
            #expect(abs(price.sharing + min(lost, price.own - 200.0 / 800)) < 0.02)
            let asked = scene.ask(prompt(number), client: "\(number)")
            guard asked.server == nil else {
                bought = (asked.ticket, asked.server)
                break
            }
            lost = missed(on: 1)
            _ = scene.scene.happens(.requestCancelled(asked.ticket))
        }
        let there = try #require(bought)
        #expect(there.server == "B")
        #expect(lost > 0.5, "not for the first one that waits")
        #expect(missed(on: 1) == 0)
        _ = scene.begin(there.ticket)
        _ = scene.finish(there.ticket)
        let next = scene.price(prompt(200), on: 1)
        #expect(next.matchedTokens > 5900)
        #expect(next.sharing == 0)
    }

    @Test("counts for new conversations only: one that goes on waits for its own server, or leaves it, on its own account")
    mutating func goesOn() {
        _ = scene.play(prompt(1), client: "1")
        fillA()
        for _ in 0..<20 {
            let asked = scene.ask(TestPrompt((9, Self.beginning), (1, 200), (50, 300)), client: "1")
            if asked.server == nil { _ = scene.scene.happens(.requestCancelled(asked.ticket)) }
        }
        #expect(missed(on: 1) == 0)
    }

    @Test("that nobody else has costs nothing to be without")
    mutating func isNew() {
        fillA()
        for number in 1...20 {
            let asked = scene.ask(TestPrompt((number + 100, 3000)), client: "\(number)")
            _ = scene.scene.happens(.requestCancelled(asked.ticket))
        }
        #expect(missed(on: 1) == 0)
    }

    /// Both slots of A compute short prompts with the beginning, and answer.
    private mutating func fillA() {
        _ = scene.play(prompt(1000), client: "1000")
        _ = scene.scene.happens(.drain(Scene.id(2)))
        for number in [1001, 1002] {
            let asked = scene.ask(prompt(number), client: "\(number)")
            _ = scene.begin(asked.ticket)
        }
        _ = scene.scene.happens(.undrain(Scene.id(2)))
    }

    private func prompt(_ number: Int) -> TestPrompt { TestPrompt((9, Self.beginning), (number, 200)) }

    private func missed(on index: Int) -> Double {
        scene.scene.router.backends[index].served[1].missed.value(at: scene.scene.now.seconds)
    }
}
