import ArgumentParser
import Simulation

/// The servers that `simulate` models, and what happens to them.
struct FleetOptions: ParsableArguments {
    /// As many as the router is measured with.
    private static let mostServers = 512
    /// Of prompt tokens a second.
    private static let speeds = 1.0...10_000_000
    private static let slotCounts = 1...1024
    /// A month, in seconds.
    private static let times = 0...LoadOptions.mostMinutes * 60

    @Option(
        help: ArgumentHelp(
            """
            Each server's prefill speed in tokens per second: 4000,2500,1500. 2000x4 are four servers, 4000/8 is one with \
            8 slots, 2000x4/8 are four with 8 slots each.
            """, valueName: "speeds"))
    var servers: String

    @Option(
        help: ArgumentHelp(
            "Requests that a server computes at the same time, if --servers says nothing else.", valueName: "count"))
    var slots = 4

    @Option(help: ArgumentHelp("The size of each server's host prompt cache (--cache-ram), in tokens.", valueName: "tokens"))
    var cacheTokens = 262_144

    @Option(
        help: ArgumentHelp(
            "How much the speed of single requests differs: the deviation of its logarithm; 0: not at all.",
            valueName: "deviation"))
    var speedNoise = 0.2

    @Option(
        help: ArgumentHelp(
            "After so many seconds, a server has so much of its speed. Servers count from 0. May be repeated.",
            valueName: "seconds:server:factor"))
    var slower: [String] = []

    @Option(
        help: ArgumentHelp(
            "After so many seconds, a server restarts, and is down for so many. May be repeated.",
            valueName: "seconds:server:seconds"))
    var restart: [String] = []

    init() {}

    func validate() throws {
        try check("--slots", slots, in: Self.slotCounts)
        try check("--cache-tokens", cacheTokens, in: 0...1_000_000_000)
        try check("--speed-noise", speedNoise, in: 0...2)
        _ = try models()
        _ = try incidents()
    }

    /// In their order.
    func models() throws(ValidationError) -> [EngineModel] {
        var models: [EngineModel] = []
        for part in servers.split(separator: ",", omittingEmptySubsequences: false) {
            let entry = String(part.filter { $0 != " " })
            let (count, model) = try Self.server(entry, slots: slots, cacheTokens: cacheTokens)
            models += Array(repeating: model, count: count)
            guard models.count <= Self.mostServers else {
                throw ValidationError("--servers: more than \(Self.mostServers) servers; give fewer.")
            }
        }
        return models
    }

    /// `SPEED[xCOUNT][/SLOTS]`.
    private static func server(
        _ entry: String, slots: Int, cacheTokens: Int
    ) throws(ValidationError) -> (count: Int, EngineModel) {
        let halves = entry.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let factors = (halves.first ?? "").split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
        guard let speed = factors.first.flatMap({ Double($0) }), speeds.contains(speed) else {
            throw wrong(entry, "does not begin with a speed from 1 to 10000000 tokens per second")
        }
        let count = factors.count > 1 ? Int(factors[1]) : 1
        guard let count, (1...mostServers).contains(count) else {
            throw wrong(entry, "needs behind x how many such servers there are, from 1 to \(mostServers)")
        }
        let ownSlots = halves.count > 1 ? Int(halves[1]) : slots
        guard let ownSlots, slotCounts.contains(ownSlots) else {
            throw wrong(entry, "needs behind / its slots, from 1 to \(slotCounts.upperBound)")
        }
        return (count, EngineModel(prefillTokensPerSecond: speed, slots: ownSlots, cacheTokens: cacheTokens))
    }

    private static func wrong(_ entry: String, _ problem: String) -> ValidationError {
        ValidationError("--servers: \"\(entry)\" \(problem). Examples: 4000,2500 and 2000x4 and 2000x4/8.")
    }

    /// What happens to servers.
    func incidents() throws(ValidationError) -> [SimulationSetup.Incident] {
        var incidents: [SimulationSetup.Incident] = []
        for text in slower {
            let (at, server, factor) = try incident(
                "--slower", text, "SECONDS:SERVER:FACTOR, for example 600:0:0.5", 0.001...1000)
            incidents.append(.init(at: at, server: server, .speed(factor)))
        }
        for text in restart {
            let (at, server, down) = try incident("--restart", text, "SECONDS:SERVER:SECONDS, for example 600:0:30", Self.times)
            incidents.append(.init(at: at, server: server, .restart(downSeconds: down)))
        }
        return incidents
    }

    private func incident(
        _ option: String, _ text: String, _ form: String, _ values: ClosedRange<Double>
    ) throws(ValidationError) -> (at: Double, server: Int, value: Double) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let at = Double(parts[0]), let server = Int(parts[1]), let value = Double(parts[2]) else {
            throw ValidationError("\(option) \(text): write three numbers, \(form).")
        }
        let last = try models().count - 1
        guard (0...last).contains(server) else {
            throw ValidationError("\(option) \(text): there is no server \(server); they count from 0 to \(last).")
        }
        guard Self.times.contains(at), values.contains(value) else {
            throw ValidationError(
                "\(option) \(text): give a time from 0 to \(Figures.plain(Self.times.upperBound)) s and a last number from "
                    + "\(Figures.plain(values.lowerBound)) to \(Figures.plain(values.upperBound)).")
        }
        return (at, server, value)
    }
}
