import ArgumentParser
import Routing
import Simulation

/// `llama-balancer simulate`.
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Plays requests on servers that you describe, and compares the rules.",
        discussion: """
            The very router that serves decides, in virtual time; the servers, their
            slots and their prompt caches are modelled. Nothing is sent anywhere.
            docs/simulation.md says what the columns mean and what is modelled.

            Examples:
              llama-balancer simulate --agents 6 --servers 4000,2500,1500,800
              llama-balancer simulate --agents 6 --servers 4000x2 --rule expected-cost
              llama-balancer simulate --documents 2 --servers 2000x4/8 --minutes 10
              llama-balancer simulate --trace access.log --servers 4000x2,2500
              llama-balancer simulate --trace FILE --servers 4000x4 --time-scale 8
              llama-balancer simulate --agents 6 --servers 3000x3 --slower 600:0:0.5
            """)

    /// The product's own first, then the others.
    static let rules: [PickingRule] = [.expectedCost, .sticky, .leastInFlight, .roundRobin, .cacheAware, .prefixHash]

    @OptionGroup(title: "Requests: one of the first five, and how")
    var load: LoadOptions

    @OptionGroup(title: "Servers")
    var fleet: FleetOptions

    @Option(
        help: ArgumentHelp(
            "\(rules.map(\.rawValue).joined(separator: ", ")). May be repeated; all of them when left out.",
            valueName: "rule"))
    var rule: [String] = []

    @Option(
        help: ArgumentHelp(
            "The most requests that wait; further ones are refused. No limit when left out.", valueName: "count"))
    var maxWaiting: Int?

    @Option(help: "The same seed gives the same figures. May be repeated: a row for each rule and seed. 1 when left out.")
    var seed: [UInt64] = []

    @Flag(help: "Print JSON instead of a table.")
    var json = false

    init() {}

    func validate() throws {
        _ = try pickedRules()
        if let maxWaiting, maxWaiting < 0 { throw ValidationError("--max-waiting \(maxWaiting): give 0 or more requests.") }
    }

    func run() async throws {
        let load = try load.load()
        let setup = try setup(load)
        let seeds = seed.isEmpty ? [1] : seed
        let runs = await SimulationRun.play(load, setup, rules: try pickedRules(), seeds: seeds)
        try say(json ? SimulationDocument.text(runs) : SimulationTable.text(runs, load, setup, hasSeeds: seeds.count > 1))
    }

    /// Everything but rule and seed.
    private func setup(_ load: SimulatedLoad) throws -> SimulationSetup {
        var setup = SimulationSetup(servers: try fleet.models(), rule: .expectedCost)
        setup.speedNoise = fleet.speedNoise
        setup.incidents = try fleet.incidents()
        setup.countedFrom = load.countedFrom
        setup.countedUntil = load.countedUntil
        if let maxWaiting { setup.policy.maxWaiting = maxWaiting }
        return setup
    }

    private func pickedRules() throws -> [PickingRule] {
        guard !rule.isEmpty else { return Self.rules }
        return try rule.map { name in
            guard let rule = PickingRule(rawValue: name) else {
                throw ValidationError(
                    "--rule \(name): there is no such rule; \(Suggestion.hint(for: name, among: Self.rules.map(\.rawValue)))")
            }
            return rule
        }
    }
}
