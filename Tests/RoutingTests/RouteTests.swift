import Testing

@testable import Routing

@Suite("Routes")
struct RouteTests {
    private func arrival(_ model: String, _ match: RouteMatch?, number: UInt64) -> (Ticket, Event) {
        let ticket = Ticket(owner: 0, sequence: number)
        return (ticket, .requestArrived(ticket, RequestTraits(destination: .model(model), client: "c\(number)", match: match)))
    }

    private func server(_ router: inout Router, _ model: String, _ match: RouteMatch?, number: UInt64) -> String? {
        let (ticket, event) = arrival(model, match, number: number)
        return router.handle(event, at: .zero).grant(of: ticket)?.serverName
    }

    private func router() -> Router {
        var router = Router()
        let routes = [("a.*", [1]), ("b", [2])]
        _ = router.handle(
            .fleetChanged(Scene.fleet([("A", nil), ("B", nil), ("C", nil)], routes: routes, fallback: 3)), at: .zero)
        return router
    }

    @Test("are matched away from the router, which takes the answer as it is")
    func matchedBefore() {
        var router = router()
        var matcher = ModelMatcher(router.patterns)
        #expect(matcher.match("abc").route == 0)
        #expect(matcher.match("b").route == 1)
        #expect(matcher.match("other").route == nil)
        #expect(server(&router, "abc", matcher.match("abc"), number: 1) == "A")
        #expect(server(&router, "b", matcher.match("b"), number: 2) == "B")
        #expect(server(&router, "other", matcher.match("other"), number: 3) == "C")
        // Proof that no pattern is looked at: this answer is wrong.
        #expect(server(&router, "axe", RouteMatch(fleetNumber: 1, route: 1), number: 4) == "B")
        #expect(server(&router, "bad", RouteMatch(fleetNumber: 1, route: 7), number: 5) == "C", "there is no such route")
    }

    @Test("are matched by the router when the answer is for an earlier fleet, or missing")
    func staleAnswer() {
        var router = router()
        var matcher = ModelMatcher(router.patterns)
        let stale = matcher.match("abc")
        _ = router.handle(
            .fleetChanged(Scene.fleet([("A", nil), ("B", nil)], routes: [("b", [1]), ("a.*", [2])])), at: .zero)
        #expect(router.patterns.fleetNumber == 2 && matcher.fleetNumber == 1)
        #expect(server(&router, "abc", stale, number: 1) == "B")
        #expect(server(&router, "b", nil, number: 2) == "A")
    }

    @Test("remember a bounded number of models, here and in the router")
    func bounded() {
        var router = router()
        var matcher = ModelMatcher(router.patterns)
        for number in 0..<10_000 as Range<UInt64> {
            _ = server(&router, "a\(number)", matcher.match("a\(number)"), number: number)
            guard matcher.rememberedModels <= 4096, router.candidatesByModel.count <= 4096 else {
                Issue.record("\(matcher.rememberedModels) and \(router.candidatesByModel.count) models are remembered")
                return
            }
        }
        #expect(matcher.rememberedModels > 0 && !router.candidatesByModel.isEmpty)
    }

    @Test("have rules of their own")
    func rules() {
        var router = Router()
        var fleet = Scene.fleet([("A", 9), ("B", 9)], routes: [("stays.*", [1, 2]), ("moves.*", [1, 2])])
        fleet.routes?[1].rule = .leastInFlight
        _ = router.handle(.fleetChanged(fleet), at: .zero)
        func ask(_ model: String, client: String, _ number: UInt64) -> String? {
            let ticket = Ticket(owner: 0, sequence: number)
            let traits = RequestTraits(destination: .model(model), client: client)
            return router.handle(.requestArrived(ticket, traits), at: .zero).grant(of: ticket)?.serverName
        }
        #expect(ask("stays", client: "me", 1) == "A")
        #expect(ask("stays", client: "me", 2) == "A")
        #expect(ask("moves", client: "me", 3) == "B")
        #expect(ask("moves", client: "me", 4) == "B", "two are in flight at A, one at B")
        #expect(ask("moves", client: "me", 5) == "A")
        #expect(ask("stays", client: "me", 6) == "A")
        let seen = router.snapshot(at: .zero)
        #expect(seen.sessions.map(\.model) == ["stays"], "only the sticky rule makes sessions")
    }

    @Test("that a model has none of leave it to the fleet's rule, which may be the least in flight, with all its instances")
    func fleetRule() {
        var router = Router()
        var fleet = Scene.fleet([("A", nil)], routes: nil)
        fleet.rule = .leastInFlight
        _ = router.handle(.fleetChanged(fleet), at: .zero)
        _ = router.handle(.modelsListed(Scene.id(1), ["m", "m-2"].map { ListedModel($0) }), at: .zero)
        let models = (1...4 as ClosedRange<UInt64>).map { number in
            let ticket = Ticket(owner: 0, sequence: number)
            let traits = RequestTraits(destination: .model("m"), client: "me")
            return router.handle(.requestArrived(ticket, traits), at: .zero).grant(of: ticket)?.model
        }
        #expect(models == [nil, "m-2", nil, "m-2"])
    }
}
