import Testing

@testable import Routing

@Suite("Waiting")
struct WaitingTests {
    private func policy(maxWaiting: Int = 256, maxWait: Interval = .seconds(600)) -> RoutingPolicy {
        var policy = RoutingPolicy()
        policy.maxWaiting = maxWaiting
        policy.maxWait = maxWait
        return policy
    }

    @Test("is first come, first served, and says how long it took")
    func firstCome() {
        var scene = Scene([("A", 1)])
        var running = scene.ask(client: "0").ticket
        let waiting = (1...4).map { scene.ask(client: "\($0)").ticket }
        for (index, ticket) in waiting.enumerated() {
            scene.pass(.seconds(1))
            let effects = scene.finish(running)
            #expect(effects.granted == [ticket])
            #expect(effects.grant(of: ticket)?.waitedMilliseconds == Double(index + 1) * 1000)
            running = ticket
        }
    }

    @Test("binds a request to a server only when one frees: whichever is first")
    func lateBinding() {
        var scene = Scene()
        _ = scene.ask(client: "1")
        let (onB, _) = scene.ask(client: "2")
        let (waiting, effects) = scene.ask(client: "1")
        #expect(effects.granted.isEmpty)
        #expect(scene.finish(onB).grant(of: waiting)?.serverName == "B")
    }

    @Test("a client with many requests does not stand in front of everybody else's one")
    func fairBetweenClients() {
        var scene = Scene([("A", 1)])
        var running = scene.ask(client: "greedy").ticket
        let greedy = (0..<4).map { _ in scene.ask(client: "greedy").ticket }
        let modest = scene.ask(client: "modest").ticket
        let late = scene.ask(client: "late").ticket
        var order: [Ticket] = []
        while order.count < 6 {
            let granted = scene.finish(running).granted
            guard let next = granted.first else { break }
            order += granted
            running = next
        }
        #expect(order == [greedy[0], modest, late, greedy[1], greedy[2], greedy[3]])
    }

    @Test("clients that ask again as soon as they are served do not starve another one's second request")
    func noStarvation() {
        var scene = Scene([("A", 1)])
        var running = (ticket: scene.ask(client: "parallel").ticket, client: "parallel")
        var clients: [Ticket: String] = [:]
        func wait(_ client: String) -> Ticket {
            let ticket = scene.ask(client: client).ticket
            clients[ticket] = client
            return ticket
        }
        _ = wait("parallel")
        let second = wait("parallel")
        for number in 1...3 { _ = wait("loop \(number)") }
        var served = 0
        while running.ticket != second, served < 10 {
            guard let next = scene.finish(running.ticket).granted.first, let client = clients[next] else { break }
            served += 1
            if running.client != "parallel" { _ = wait(running.client) }
            running = (next, client)
        }
        #expect(running.ticket == second)
        #expect(served == 5)
    }

    @Test("a request served early for another model does not push newcomers behind its client's others")
    func roundsOfSeveralModels() {
        var scene = Scene([("A", 1), ("B", 1)], models: nil)
        _ = scene.list(1, ["a"])
        _ = scene.list(2, ["b"])
        let onA = scene.ask("a", client: "0").ticket
        let onB = scene.ask("b", client: "0").ticket
        let greedy = (0..<3).map { _ in scene.ask("a", client: "greedy").ticket }
        let greedyB = scene.ask("b", client: "greedy").ticket
        #expect(scene.finish(onB).granted == [greedyB])
        let modest = scene.ask("a", client: "modest").ticket
        #expect(scene.finish(onA).granted == [greedy[0]])
        #expect(scene.finish(greedy[0]).granted == [modest])
    }

    @Test("a free server passes over those who wait for another one")
    func noHeadOfLineBlocking() {
        var scene = Scene([("A", 1), ("B", 1)], models: nil)
        _ = scene.list(1, ["a"])
        _ = scene.list(2, ["b"])
        _ = scene.ask("a", client: "0")
        let onB = scene.ask("b", client: "0").ticket
        _ = scene.ask("a", client: "1")
        let second = scene.ask("b", client: "2").ticket
        #expect(scene.finish(onB).granted == [second])
    }

    @Test("one that asks for no model does not hold up another one for another server")
    func noModelNamed() {
        var scene = Scene([("A", 1), ("B", 1)], fallback: 1)
        _ = scene.list(2, ["m", "n"])
        let conversation = RequestTraits(destination: .model("m"), client: "0", conversation: "talk")
        _ = scene.happens(.drain(Scene.id(1)))
        let begun = Ticket(owner: 0, sequence: 1000)
        #expect(scene.happens(.requestArrived(begun, conversation)).grant(of: begun)?.serverName == "B")
        _ = scene.happens(.undrain(Scene.id(1)))
        _ = scene.ask(client: "1")
        let (first, _) = scene.ask(.fallback, client: "2")
        let (second, effects) = scene.ask(.fallback, client: "3", follows: .stream("talk"))
        #expect(effects.granted.isEmpty)
        #expect(scene.finish(begun).granted == [second])
        #expect(scene.router.requests().first?.ticket == first)
    }

    @Test("the first of many for one model stands for all of them")
    func manyForOneModel() {
        var scene = Scene([("A", 1), ("B", 1)], policy: policy(maxWaiting: 1000), models: nil)
        _ = scene.list(1, ["a"])
        _ = scene.list(2, ["b"])
        var running = [scene.ask("a", client: "0").ticket, scene.ask("b", client: "0").ticket]
        let waiting = (0..<600).map { scene.ask($0 % 3 == 0 ? "b" : "a", client: "\($0)").ticket }
        #expect(scene.router.line.heads.count == 2)
        var served: [Ticket] = []
        while let ticket = running.first {
            running.removeFirst()
            let granted = scene.finish(ticket).granted
            #expect(granted.count <= 1)
            served += granted
            running += granted
        }
        #expect(Set(served) == Set(waiting))
        #expect(
            served.filter { waiting.firstIndex(of: $0).map { $0 % 3 == 0 } ?? false }
                == waiting.indices.filter { $0 % 3 == 0 }.map { waiting[$0] })
    }

    @Test("one that failed somewhere does not stand for those that did not")
    func failedElsewhere() {
        var scene = Scene([("A", 1), ("B", 1)])
        let (failing, _) = scene.ask(client: "1")
        let (onB, _) = scene.ask(client: "2")
        _ = scene.fail(failing)
        let (fresh, effects) = scene.ask(client: "3")
        #expect(effects.grant(of: fresh)?.serverName == "A", "which the failing one must not ask again")
        let (next, _) = scene.ask(client: "4")
        #expect(scene.finish(fresh).granted == [next])
        #expect(scene.finish(onB).granted == [failing])
    }

    @Test("one that needs no slot does not wait: not behind one that does, nor for a server that drains or fails")
    func lightOnesDoNotWait() {
        var policy = RoutingPolicy()
        policy.failuresUntilOpen = 1
        var scene = Scene([("A", 1)], policy: policy)
        let (first, _) = scene.ask(client: "0")
        let (counting, _) = scene.ask(client: "1")
        let (passing, effects) = scene.ask(client: "2", counts: false)
        #expect(effects.grant(of: passing)?.serverName == "A")
        #expect(scene.router.requests().first?.ticket == counting)
        _ = scene.happens(.drain(Scene.id(1)))
        let (whileDraining, second) = scene.ask(client: "2", counts: false)
        #expect(second.grant(of: whileDraining)?.serverName == "A")
        _ = scene.happens(.undrain(Scene.id(1)))
        _ = scene.happens(.finished(first, Outcome(.broken("reset"))))
        let (whileFailing, third) = scene.ask(client: "2", counts: false)
        #expect(third.grant(of: whileFailing)?.serverName == "A")
    }

    @Test("one that needs no slot takes a server that is fit before one that drains")
    func lightOnesPreferTheFit() {
        var scene = Scene([("A", 1), ("B", 1)])
        _ = scene.happens(.drain(Scene.id(1)))
        let (light, effects) = scene.ask(counts: false)
        #expect(effects.grant(of: light)?.serverName == "B")
    }

    @Test("is refused with 429 when the line is full, also when nobody may wait at all", arguments: [0, 2])
    func queueFull(maxWaiting: Int) {
        var scene = Scene([("A", 1)], policy: policy(maxWaiting: maxWaiting))
        _ = scene.ask(client: "0")
        for client in 0..<maxWaiting {
            let (ticket, effects) = scene.ask(client: "w\(client)")
            #expect(effects.refusal(of: ticket) == nil)
        }
        let (ticket, effects) = scene.ask(client: "late")
        let retryAfter = maxWaiting + 1
        #expect(effects == [.refuse(ticket, .queueFull(waiting: maxWaiting, retryAfterSeconds: retryAfter))])
        #expect(scene.snapshot.waitingCount == maxWaiting)
    }

    @Test("is refused with 503 when it took too long, woken exactly then")
    func timeout() throws {
        var scene = Scene([("A", 1)], policy: policy(maxWait: .seconds(10)))
        _ = scene.ask(client: "0")
        let (first, effects) = scene.ask(client: "1")
        #expect(effects.wakes == [scene.now + .seconds(10)])
        scene.pass(.seconds(4))
        let (second, more) = scene.ask(client: "2")
        #expect(more.isEmpty, "one wake-up is enough")
        scene.pass(.seconds(6))
        let woken = scene.happens(.clockAdvanced)
        #expect(woken.refusal(of: first) == .queueTimeout(waitedSeconds: 10, retryAfterSeconds: 2))
        #expect(woken.refusal(of: second) == nil)
        #expect(woken.wakes == [scene.now + .seconds(4)])
        scene.pass(.seconds(4))
        let last = scene.happens(.clockAdvanced)
        #expect(last.refusal(of: second)?.kind == "queueTimeout")
        #expect(last.wakes.isEmpty)
    }

    @Test("is woken earlier when a reload makes the time to wait shorter")
    func shorterWait() {
        var scene = Scene([("A", 1)], policy: policy(maxWait: .seconds(600)))
        _ = scene.ask(client: "0")
        _ = scene.ask(client: "1")
        _ = scene.happens(.fleetChanged(Scene.fleet([("A", 1)], policy: policy(maxWait: .seconds(5)))))
        let (impatient, effects) = scene.ask(client: "2")
        #expect(effects.wakes == [scene.now + .seconds(5)])
        scene.pass(.seconds(5))
        let woken = scene.happens(.clockAdvanced)
        #expect(woken.refusal(of: impatient)?.kind == "queueTimeout")
        #expect(woken.wakes == [scene.now + .seconds(595)])
    }

    @Test("leaves the line when the client goes")
    func cancel() {
        var scene = Scene([("A", 1)])
        let running = scene.ask(client: "0").ticket
        let gone = scene.ask(client: "1").ticket
        let next = scene.ask(client: "2").ticket
        #expect(scene.happens(.requestCancelled(gone)).isEmpty)
        #expect(scene.finish(running).granted == [next])
        #expect(scene.snapshot.waitingCount == 0)
    }

    @Test("ends when a running request is cancelled")
    func cancelRunning() {
        var scene = Scene([("A", 1)])
        let running = scene.ask(client: "0").ticket
        let next = scene.ask(client: "1").ticket
        #expect(scene.happens(.requestCancelled(running)).granted == [next])
        #expect(scene.server("A")?.inFlight == 1)
    }

    @Test(
        "ends when a server comes up, is undrained, tells more slots or lists the model",
        arguments: [
            "up", "undrained", "slots", "listed",
        ])
    func served(by change: String) {
        var scene = Scene([("A", nil), ("B", nil)], models: nil)
        _ = scene.list(1, ["m"])
        _ = scene.list(2, ["m"])
        _ = scene.probe(1, slots: 1)
        _ = scene.probe(2, slots: 1)
        switch change {
        case "up": _ = scene.probeFails(2, times: 2)
        case "undrained": _ = scene.happens(.drain(Scene.id(2)))
        case "slots": _ = scene.ask(.server("B"))
        default: _ = scene.list(2, ["x"])
        }
        _ = scene.ask(client: "0")
        let (waiting, effects) = scene.ask(client: "1")
        #expect(effects.granted.isEmpty)
        let then =
            switch change {
            case "up": scene.probe(2, slots: 1)
            case "undrained": scene.happens(.undrain(Scene.id(2)))
            case "slots": scene.probe(2, slots: 2)
            default: scene.list(2, ["x", "m"])
            }
        #expect(then.grant(of: waiting)?.serverName == "B")
    }

    @Test("says when to ask again from the line's length and what requests take, whatever the limits are")
    func retryAfter() {
        var scene = Scene([("A", 1)], policy: policy(maxWaiting: 1))
        let first = scene.ask(client: "0").ticket
        scene.pass(.seconds(30))
        _ = scene.finish(first)
        _ = scene.ask(client: "1")
        _ = scene.ask(client: "2")
        let (late, effects) = scene.ask(client: "3")
        #expect(effects.refusal(of: late) == .queueFull(waiting: 1, retryAfterSeconds: 60))

        var huge = Scene([("A", .max), ("B", .max)], policy: policy(maxWaiting: 0))
        _ = huge.happens(.drain(Scene.id(1)))
        _ = huge.happens(.drain(Scene.id(2)))
        let (refused, answer) = huge.ask()
        #expect(answer.refusal(of: refused) == .queueFull(waiting: 0, retryAfterSeconds: 1))
    }
}
