import Foundation
import Routing
import Testing

@testable import Simulation

/// One client with fifty jobs of 30,000 tokens beside four people who chat, on four equal servers. First come, first served is
/// `least-in-flight`.
///
/// Each figure is the mean of three seeds: the 99th percentile of some hundred requests is only their second worst.
@Suite("Fairness")
struct FairnessTests {
    private static func play(
        _ rule: PickingRule, jobs: Int, _ arrivals: BulkWorkload.Arrivals, seconds: Double, priority: PriorityClass? = nil
    ) -> [SimulationReport] {
        ([1, 2, 3] as [UInt64]).map { seed in
            let model = EngineModel(prefillTokensPerSecond: 2000, slots: 4, cacheTokens: 262_144)
            var setup = SimulationSetup(servers: Array(repeating: model, count: 4), rule: rule)
            setup.seed = seed
            setup.countedFrom = 60
            let workload = BulkWorkload(jobs: jobs, arrivals, seconds: seconds, seed: seed, priority: priority)
            return Simulator.play(workload, setup)
        }
    }

    /// Simulations take seconds, and would keep the tests beside them from one of the few threads that they all share.
    private static func onItsOwnThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in Thread.detachNewThread { continuation.resume(returning: body()) } }
    }

    private static func mean(_ reports: [SimulationReport], _ figure: (SimulationReport) -> Double) -> Double {
        reports.map(figure).reduce(0, +) / Double(reports.count)
    }

    private static let quarter = 900.0
    private static let peace = mean(play(.expectedCost, jobs: 0, .together(at: 60), seconds: quarter), \.ttftP99Seconds)
    private static let inOrder = play(.leastInFlight, jobs: 50, .together(at: 60), seconds: quarter)

    /// The jobs take four minutes. Measured: 1.3 to 1.6 times the time without them.
    @Test("in the quarter of an hour in which fifty jobs come together", arguments: [nil, PriorityClass.bulk])
    func together(priority: PriorityClass?) async {
        let (peace, inOrder, reports) = await Self.onItsOwnThread {
            (
                Self.peace, Self.inOrder,
                Self.play(.expectedCost, jobs: 50, .together(at: 60), seconds: Self.quarter, priority: priority)
            )
        }
        #expect(Self.mean(reports, \.ttftP99Seconds) <= 1.75 * peace)
        #expect(Self.mean(inOrder, \.ttftP99Seconds) > 5 * peace)
        #expect(Self.mean(reports, \.tokensPerSecond) >= 0.95 * Self.mean(inOrder, \.tokensPerSecond))
        #expect(reports.allSatisfy { $0.jobs == 50 && $0.refused == 0 })
    }

    /// No server is ever without a long prompt, and a short one waits for a batch at least.
    @Test("while there are always fifty jobs")
    func always() async {
        let (peace, inOrder, reports) = await Self.onItsOwnThread {
            (
                Self.peace, Self.play(.leastInFlight, jobs: 50, .keptInFlight, seconds: 480),
                Self.play(.expectedCost, jobs: 50, .keptInFlight, seconds: 480)
            )
        }
        #expect(Self.mean(reports, \.ttftP99Seconds) <= 3.5 * peace)
        #expect(Self.mean(reports, \.ttftP99Seconds) < 0.5 * Self.mean(inOrder, \.ttftP99Seconds))
        #expect(Self.mean(reports, \.tokensPerSecond) >= 0.95 * Self.mean(inOrder, \.tokensPerSecond))
    }
}
