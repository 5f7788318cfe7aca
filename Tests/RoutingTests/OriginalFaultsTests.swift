import Testing

@testable import Routing

/// The faults of the program this one replaces, as far as the router decides them.
@Suite("Faults of the original")
struct OriginalFaultsTests {
    @Test("1: a dead server is left by those who stuck to it")
    func stickyToDeadServer() {
        var scene = Scene([("A", 4), ("B", 4)])
        let (first, effects) = scene.ask(client: "me")
        #expect(effects.grant(of: first)?.serverName == "A")
        _ = scene.finish(first)
        _ = scene.probeFails(1, times: 2)
        let (second, elsewhere) = scene.ask(client: "me")
        #expect(elsewhere.grant(of: second)?.serverName == "B")
        _ = scene.finish(second)
        _ = scene.probe(1)
        let (third, still) = scene.ask(client: "me")
        #expect(still.grant(of: third)?.serverName == "B", "its prompt is cached there now")
    }

    @Test(
        "2 and 3: in-flight counts never leak, however a request ends",
        arguments: [
            "finished", "incomplete", "cancelled", "connect", "broke", "answered", "lost", "twice",
        ])
    func countsNeverLeak(end: String) {
        var policy = RoutingPolicy()
        policy.failuresUntilOpen = .max
        var scene = Scene([("A", 2)], policy: policy, models: ["m", "m-2"])
        for _ in 0..<100 {
            let (ticket, effects) = scene.ask()
            #expect(effects.grant(of: ticket) != nil)
            switch end {
            case "finished": _ = scene.finish(ticket)
            case "incomplete": _ = scene.happens(.finished(ticket, Outcome(.abandoned)))
            case "cancelled": _ = scene.happens(.requestCancelled(ticket))
            case "connect": _ = scene.fail(ticket)
            case "broke": _ = scene.fail(ticket, .beforeAnswer("reset"))
            case "answered":
                #expect(scene.fail(ticket, .answered(status: 503)) == [.keepAnswer(ticket)])
                _ = scene.finish(ticket)
            case "lost": _ = scene.fail(ticket, .serverLost)
            default:
                _ = scene.fail(ticket)
                _ = scene.finish(ticket)
                _ = scene.happens(.requestCancelled(ticket))
            }
        }
        #expect(scene.server("A")?.inFlight == 0)
        #expect(scene.server("A")?.inFlightByInstance.isEmpty == true)
        #expect(scene.snapshot.runningCount == 0)
    }

    @Test("4: one failed probe is not an outage")
    func oneFailedProbe() {
        var scene = Scene()
        let (running, _) = scene.ask(client: "1")
        #expect(scene.probeFails(1).isEmpty, "nothing that runs is disturbed")
        _ = scene.finish(running)
        let (next, effects) = scene.ask(client: "1")
        #expect(effects.grant(of: next)?.serverName == "A")
        _ = scene.probe(1)
        #expect(scene.probeFails(1).isEmpty, "failures that are not in a row do not add up")
        #expect(scene.server("A")?.phase == .suspect(reason: "no answer"))
    }

    @Test("5: over request-max requests wait, and the limit holds")
    func overTheLimitWaits() {
        var scene = Scene([("A", 1), ("B", 2)])
        var running: [Ticket] = []
        for client in 0..<10 { running += scene.ask(client: "\(client)").effects.granted }
        #expect(running.count == 3)
        var served = 3
        while !running.isEmpty {
            running += scene.finish(running.removeFirst()).granted
            #expect((scene.server("A")?.inFlight ?? 9) <= 1)
            #expect((scene.server("B")?.inFlight ?? 9) <= 2)
            served += running.count == 3 ? 1 : 0
        }
        #expect(served == 10)
    }
}
