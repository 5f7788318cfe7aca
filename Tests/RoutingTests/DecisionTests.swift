import Testing

@testable import Routing

@Suite("Decisions")
struct DecisionTests {
    @Test("tell every candidate with the reason why it was chosen, or why not")
    func reasons() throws {
        var scene = Scene([("A", 1), ("B", 1), ("C", 1), ("D", 1)])
        _ = scene.ask(client: "other")
        _ = scene.probeFails(2, times: 2)
        let (ticket, _) = scene.ask(client: "me", requestID: "id")
        scene.pass(.seconds(1))
        _ = scene.fail(ticket)
        scene.pass(.seconds(1))
        _ = scene.fail(ticket)
        let decisions = scene.router.decisions(requestID: "id")
        #expect(decisions.count == 3)
        let first = try #require(decisions.first)
        #expect(first.candidates.map(\.server) == ["A", "B", "C", "D"])
        #expect(first.candidates.map(\.isChosen) == [false, false, true, false])
        let chosen = "idle, and the instance is free"
        #expect(first.candidates.map(\.reason) == ["full", "down", chosen, "busier, holds more sessions, or later in order"])
        let second = decisions[1]
        #expect(second.candidates.map(\.reason) == ["full", "down", "failed this request before", chosen])
        guard case .granted(attempt: 2) = second.verdict else {
            Issue.record("not a second grant: \(second.verdict)")
            return
        }
        let failed = "failed this request before"
        #expect(decisions[2].candidates.map(\.reason) == ["full", "down", failed, failed])
        #expect(decisions[2].candidates.map(\.inFlight) == [1, 0, 0, 0])
        #expect(decisions[2].candidates.map(\.isChosen) == [false, false, false, false])
        guard case .waits = decisions[2].verdict else {
            Issue.record("the second failure made it wait: \(decisions[2].verdict)")
            return
        }
    }

    @Test("tell of the servers behind the chosen one, and of those that a session passed over")
    func others() throws {
        var scene = Scene([("A", nil), ("B", nil), ("C", nil)])
        _ = scene.probeFails(3, times: 2)
        let (ticket, _) = scene.ask(client: "me", requestID: "first")
        _ = scene.finish(ticket)
        _ = scene.ask(client: "me", requestID: "second")
        let first = try #require(scene.router.decisions(requestID: "first").first)
        #expect(
            first.candidates.map(\.reason) == [
                "idle, and the instance is free", "busier, holds more sessions, or later in order", "down",
            ])
        let second = try #require(scene.router.decisions(requestID: "second").first)
        #expect(
            second.candidates.map(\.reason) == ["holds this client's session", "does not hold this client's session", "down"])
    }

    @Test("explain the first servers of many")
    func many() throws {
        var scene = Scene((1...20).map { ("S\($0)", nil) })
        _ = scene.ask(requestID: "id")
        let decision = try #require(scene.router.decisions(requestID: "id").first)
        #expect(decision.candidates.count == 20)
        #expect(decision.candidates[15].reason == "busier, holds more sessions, or later in order")
        #expect(decision.candidates[16].reason == "not looked at")
    }

    @Test("tell refusals")
    func refusals() throws {
        var scene = Scene([("A", 1)], models: ["m", "n"])
        _ = scene.ask("nobody has it", requestID: "id")
        let decision = try #require(scene.router.decisions(requestID: "id").first)
        guard case .refused(.modelNotFound("nobody has it")) = decision.verdict else {
            Issue.record("not refused: \(decision.verdict)")
            return
        }
        #expect(scene.router.decisions(requestID: "unknown").isEmpty)
    }

    @Test("are kept for the last requests only", arguments: [0, 1, 3])
    func ring(kept: Int) {
        var policy = RoutingPolicy()
        policy.keptDecisions = kept
        var scene = Scene([("A", nil)], policy: policy)
        for number in 1...10 {
            _ = scene.ask(requestID: "\(number)")
            scene.pass(.seconds(1))
        }
        let known = (1...10).filter { !scene.router.decisions(requestID: "\($0)").isEmpty }
        #expect(known == Array((1...10).suffix(kept)))
    }
}
