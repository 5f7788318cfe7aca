import Routing
import Testing

@testable import Simulation

/// One client with fifty jobs of 30,000 tokens beside four people who chat, on four equal servers.
///
/// Each figure is the mean of some seeds: the 99th percentile of some two hundred requests is only their third worst.
@Suite("Fairness")
struct FairnessTests {
    private static let seeds: [UInt64] = [1, 2, 3, 4, 5, 6]

    private func play(
        _ rule: PickingRule, jobs: Int, _ arrivals: BulkWorkload.Arrivals, seconds: Double, priority: PriorityClass? = nil
    ) -> [SimulationReport] {
        Self.seeds.map { seed in
            let model = EngineModel(prefillTokensPerSecond: 2000, slots: 4, cacheTokens: 262_144)
            var setup = SimulationSetup(servers: Array(repeating: model, count: 4), rule: rule)
            setup.seed = seed
            setup.countedFrom = 60
            let workload = BulkWorkload(jobs: jobs, arrivals, seconds: seconds, seed: seed, priority: priority)
            return Simulator.play(workload, setup)
        }
    }

    private func mean(_ reports: [SimulationReport], _ figure: (SimulationReport) -> Double) -> Double {
        reports.map(figure).reduce(0, +) / Double(reports.count)
    }

    @Test("jobs that come together", arguments: [nil, PriorityClass.bulk])
    func together(priority: PriorityClass?) {
        let arrivals = BulkWorkload.Arrivals.together(at: 60)
        let without = play(.expectedCost, jobs: 0, arrivals, seconds: 900)
        let with = play(.expectedCost, jobs: 50, arrivals, seconds: 900, priority: priority)
        let inOrder = play(.leastInFlight, jobs: 50, arrivals, seconds: 900)
        let wait = mean(with, \.ttftP99Seconds) / mean(without, \.ttftP99Seconds)
        let throughput = mean(with, \.tokensPerSecond) / mean(inOrder, \.tokensPerSecond)
        print("together", priority?.rawValue ?? "-", "wait", wait, "throughput", throughput)
        #expect(wait <= 1.5)
        #expect(throughput >= 0.95)
        #expect(with.allSatisfy { $0.jobs == 50 && $0.refused == 0 })
    }

    @Test("fifty jobs in flight all the time", arguments: [nil, PriorityClass.bulk])
    func keptInFlight(priority: PriorityClass?) {
        let with = play(.expectedCost, jobs: 50, .keptInFlight, seconds: 900, priority: priority)
        let without = play(.expectedCost, jobs: 0, .keptInFlight, seconds: 900)
        let inOrder = play(.leastInFlight, jobs: 50, .keptInFlight, seconds: 900)
        let wait = mean(with, \.ttftP99Seconds) / mean(without, \.ttftP99Seconds)
        let throughput = mean(with, \.tokensPerSecond) / mean(inOrder, \.tokensPerSecond)
        print("kept", priority?.rawValue ?? "-", "wait", wait, "throughput", throughput)
        #expect(throughput >= 0.95)
        #expect(wait <= 3.5)
        #expect(wait < 0.6 * mean(inOrder, \.ttftP99Seconds) / mean(without, \.ttftP99Seconds))
    }
}
