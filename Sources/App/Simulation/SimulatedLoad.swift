import Routing
import Simulation

/// The requests that `simulate` plays, for any seed.
struct SimulatedLoad: Sendable {
    enum Kind: Sendable {
        case trace([TraceWorkload.Entry], timeScale: Double, TraceWorkload.Clients)
        case recorded(RecordedWorkload, RecordedRequests, timeScale: Double)
        case agents(Int, seconds: Double, haveAddresses: Bool)
        case bulk(BulkWorkload.Arrivals, jobs: Int, seconds: Double, PriorityClass?)
        case steady(SteadyWorkload.Shape, Name, perSecond: Double, seconds: Double)
    }

    /// What the requests of an open loop are.
    struct Name: Sendable {
        var one: String
        var many: String
    }

    let kind: Kind
    /// Earlier requests are not counted: seconds from the start.
    let countedFrom: Double
    /// When they stop asking; nil: with the last answer.
    let countedUntil: Double?

    init(_ kind: Kind, countedFrom: Double, countedUntil: Double?) {
        self.kind = kind
        self.countedFrom = countedFrom
        self.countedUntil = countedUntil
    }

    func workload(seed: UInt64) -> any Workload {
        switch kind {
        case .trace(let entries, let timeScale, let clients): TraceWorkload(entries, timeScale: timeScale, clients: clients)
        case .recorded(let workload, _, _): workload
        case .agents(let count, let seconds, let haveAddresses):
            AgentsWorkload(count, seconds: seconds, seed: seed, haveAddresses: haveAddresses)
        case .bulk(let arrivals, let jobs, let seconds, let priority):
            BulkWorkload(jobs: jobs, arrivals, seconds: seconds, seed: seed, priority: priority)
        case .steady(let shape, _, let perSecond, let seconds):
            SteadyWorkload(shape, perSecond: perSecond, seconds: seconds, seed: seed)
        }
    }

    /// When the last request comes by itself, in seconds; nil of agents, who wait for their answers.
    var lastArrival: Double? {
        switch kind {
        case .trace(let entries, let timeScale, _): (entries.last?.milliseconds ?? 0) / 1000 * timeScale
        case .recorded(_, let recorded, let timeScale): recorded.milliseconds / 1000 * timeScale
        case .agents, .bulk: nil
        case .steady(_, _, _, let seconds): seconds
        }
    }

    /// What the recorded times are multiplied with; nil of requests that were not recorded.
    var timeScale: Double? {
        switch kind {
        case .trace(_, let timeScale, _), .recorded(_, _, let timeScale): timeScale
        case .agents, .bulk, .steady: nil
        }
    }

    /// One line for people.
    var summary: String {
        let what =
            switch kind {
            case .trace(let entries, let timeScale, _):
                "\(Figures.count(entries.count, "request")) of a trace in \(times(timeScale))"
            case .recorded(_, let recorded, let timeScale):
                "\(Figures.count(recorded.requests.count, "request")) of \(recorded.source.rawValue) in \(times(timeScale))"
                    + (recorded.unanswered > 0 ? ", without \(recorded.unanswered) that had no answer" : "")
            case .agents(let count, let seconds, let haveAddresses):
                "\(Figures.count(count, "coding agent"))\(haveAddresses ? "" : " with one address") for "
                    + minutes(seconds)
            case .bulk(let arrivals, let jobs, let seconds, let priority):
                "four people who chat for \(minutes(seconds)), and "
                    + (jobs == 0 ? "no jobs" : "\(Figures.count(jobs, "job")) of 30000 tokens")
                    + (arrivals == .keptInFlight ? " in flight all the time" : jobs == 1 ? " that comes" : " that come together")
                    + (priority.map { " with X-Priority: \($0.rawValue)" } ?? "")
            case .steady(_, let name, let perSecond, let seconds):
                "\(Figures.plain(perSecond)) \(perSecond == 1 ? name.one : name.many) a second for \(minutes(seconds))"
            }
        return countedFrom > 0 ? "\(what), counted after \(Figures.plain(countedFrom)) s" : what
    }

    private func minutes(_ seconds: Double) -> String {
        "\(Figures.plain(seconds / 60)) \(seconds == 60 ? "minute" : "minutes")"
    }

    private func times(_ timeScale: Double) -> String {
        "\(Figures.plain(lastArrival ?? 0)) s" + (timeScale == 1 ? "" : " (times x \(Figures.plain(timeScale)))")
    }
}

/// Every combination of a rule and a seed, played.
struct SimulationRun: Sendable {
    let seed: UInt64
    let report: SimulationReport

    /// Plays as many at a time as there are cores. The order is that of the rules, and of the seeds within them.
    static func play(
        _ load: SimulatedLoad, _ setup: SimulationSetup, rules: [PickingRule], seeds: [UInt64]
    ) async -> [SimulationRun] {
        let cases = rules.flatMap { rule in seeds.map { (rule: rule, seed: $0) } }
        return await withTaskGroup(of: (Int, SimulationRun).self) { group in
            for (number, (rule, seed)) in cases.enumerated() {
                group.addTask {
                    var setup = setup
                    (setup.rule, setup.seed) = (rule, seed)
                    let report = Simulator.play(load.workload(seed: seed), setup)
                    return (number, SimulationRun(seed: seed, report: report))
                }
            }
            var runs: [Int: SimulationRun] = [:]
            for await (number, run) in group { runs[number] = run }
            return cases.indices.compactMap { runs[$0] }
        }
    }
}
