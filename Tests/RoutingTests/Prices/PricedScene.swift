@testable import Routing

/// Servers whose requests are priced, each with its slots and speed, and clients that send prompts.
struct PricedScene {
    /// A server: 2000 prompt tokens a second and 15 ms for a token of an answer, unless told otherwise.
    struct Server {
        var name: String
        var slots = 1
        /// Nil: not known yet.
        var speed: Double? = 2000
        var residency: ListedModel.Residency?
    }

    var scene: Scene
    private var last: UInt64 = 10_000

    /// - Parameter models: listed by each server.
    init(_ servers: [Server], policy: RoutingPolicy = RoutingPolicy(), models: [String] = ["m"]) {
        scene = Scene(servers.map { ($0.name, nil) }, policy: policy, models: nil)
        var fleet = Scene.fleet(servers.map { ($0.name, nil) }, policy: policy)
        fleet.rule = .expectedCost
        _ = scene.happens(.fleetChanged(fleet))
        for (index, server) in servers.enumerated() {
            _ = scene.probe(index + 1, slots: server.slots)
            _ = scene.happens(.modelsListed(Scene.id(index + 1), models.map { ListedModel($0, residency: server.residency) }))
        }
        // The candidates are found once, so that each server has its models.
        _ = scene.router.candidates(for: RequestTraits(destination: .model("m"), client: "c"))
        for (index, server) in servers.enumerated() {
            if let speed = server.speed { learn(index, prefill: speed, token: 30 / speed) }
        }
    }

    init(_ names: String..., slots: Int = 1, policy: RoutingPolicy = RoutingPolicy()) {
        self.init(names.map { Server(name: $0, slots: slots) }, policy: policy)
    }

    mutating func learn(_ index: Int, prefill: Double, token: Double) {
        // Twice, because a single sample is doubted.
        let models = scene.router.backends[index].served.indices
        for served in Array(models) + models {
            scene.router.backends[index].served[served].figures.learnPrefill(
                tokens: 1000, seconds: 1000 / prefill, isAlone: true, expected: nil)
            scene.router.backends[index].served[served].figures.learnDecode(
                tokens: 101, seconds: 100 * token, isQuiet: true, mostStreams: 1)
        }
    }

    /// A request arrives. `server`: nil when it waits, or was refused.
    mutating func ask(
        _ prompt: TestPrompt?, client: String = "c", model: String = "m", counts: Bool = true, id: String = "",
        priority: PriorityClass? = nil, key: String? = nil
    ) -> (ticket: Ticket, server: String?, effects: [Effect]) {
        last += 1
        let ticket = Ticket(owner: 0, sequence: last)
        let traits = RequestTraits(
            destination: .model(model), client: client, key: key, counts: counts, requestID: id, prompt: prompt?.chain,
            isStream: true,
            priority: priority)
        let effects = scene.happens(.requestArrived(ticket, traits))
        return (ticket, effects.grant(of: ticket)?.serverName, effects)
    }

    /// The first piece of its answer comes.
    mutating func begin(_ ticket: Ticket) -> [Effect] { scene.happens(.answerBegan(ticket)) }

    /// The engine answers with what it had to do. What else was granted is in the effects.
    mutating func finish(_ ticket: Ticket, cached: Int? = nil, prompt: Int = 100, answer: Int = 150) -> [Effect] {
        let timings = cached.map {
            // Exactly as long as the default figures say, so that nothing new is learned.
            Timings(
                cachedTokens: $0, promptTokens: prompt, promptMilliseconds: Double(prompt) / 2, predictedTokens: answer,
                predictedMilliseconds: Double(answer - 1) * 15)
        }
        return scene.happens(.finished(ticket, Outcome(.complete, timings: timings)))
    }

    /// Asks, and is answered after a while. Returns the server.
    @discardableResult
    mutating func play(_ prompt: TestPrompt, client: String = "c") -> String? {
        let asked = ask(prompt, client: client)
        scene.pass(.seconds(1))
        _ = begin(asked.ticket)
        scene.pass(.seconds(1))
        _ = finish(asked.ticket)
        return asked.server
    }

    private mutating func request(_ prompt: TestPrompt?) -> (PendingRequest, CandidateList) {
        last += 1
        let traits = RequestTraits(destination: .model("m"), client: "c", prompt: prompt?.chain, isStream: true)
        var request = PendingRequest(ticket: Ticket(owner: 0, sequence: last), traits: traits, arrivedAt: scene.now)
        guard let list = scene.router.candidates(for: traits) else { preconditionFailure("nobody has the model") }
        // It is only imagined: its client keeps its habits.
        let habits = scene.router.habits
        scene.router.meet(&request, among: list, at: scene.now)
        scene.router.habits = habits
        return (request, list)
    }

    mutating func basis(_ prompt: TestPrompt? = nil) -> PriceBasis {
        let (request, list) = request(prompt)
        return scene.router.basis(of: request, among: list, at: scene.now)
    }

    /// What a request would be offered by the server with this index. It is met, but not placed.
    mutating func price(_ prompt: TestPrompt?, on index: Int) -> Price {
        let (request, list) = request(prompt)
        let placement = scene.router.placement(of: request, among: list, at: scene.now)
        let explanation =
            switch placement {
            case .run(_, let explanation), .hold(_, _, let explanation), .wait(let explanation), .nobody(_, let explanation):
                explanation
            }
        return explanation.findings.indices.contains(index) ? explanation.findings[index].price ?? Price() : Price()
    }

    mutating func pass(_ seconds: Double) { scene.pass(Interval(nanoseconds: Int64((seconds * 1e9).rounded()))) }

    /// Turns the clock to where the router wants to be woken, until the ticket is granted or `seconds` have passed. Returns its
    /// server and the seconds.
    mutating func wait(for ticket: Ticket, atMost seconds: Double) -> (server: String?, seconds: Double) {
        let start = scene.now
        while let next = scene.router.wakeAt, next.milliseconds(since: start) <= 1000 * seconds {
            pass(max(0, next.milliseconds(since: scene.now) / 1000))
            if let grant = scene.happens(.clockAdvanced).grant(of: ticket) {
                return (grant.serverName, scene.now.milliseconds(since: start) / 1000)
            }
        }
        return (nil, seconds)
    }
}
