import Testing

@testable import Routing
@testable import Simulation

@Suite("What is learned of simulated servers")
struct ConvergenceTests {
    private static let speeds = [4000.0, 2500, 1500]

    enum Kind: CaseIterable {
        case agents, unique, documents

        func workload(seed: UInt64) -> any Workload {
            switch self {
            case .agents: AgentsWorkload(8, seconds: 400, seed: seed)
            case .unique: SteadyWorkload(.unique, perSecond: 0.8, seconds: 400, seed: seed)
            case .documents: SteadyWorkload(.documents, perSecond: 4, seconds: 400, seed: seed)
            }
        }
    }

    private func figures(_ simulator: borrowing Simulator, _ server: Int) -> EngineFigures? {
        simulator.router.backends[server].served.first { !$0.name.isEmpty }?.figures
    }

    /// The relative errors of the speed of prompts and of the time for a token; 1 while unknown.
    private func errors(_ simulator: borrowing Simulator, _ server: Int, slowness: Double = 1) -> (
        prefill: Double, decode: Double
    ) {
        guard let figures = figures(simulator, server) else { return (1, 1) }
        let (speed, time) = (
            Self.speeds[server] / slowness, EngineModel.promptTokensPerGenerated / Self.speeds[server] * slowness
        )
        return (
            figures.prefillSpeed.map { abs($0 / speed - 1) } ?? 1, figures.tokenTime.map { abs($0 / time - 1) } ?? 1
        )
    }

    @Test(
        "speeds are known within a tenth after a minute and twenty requests to each server, and within a third after one has halved",
        arguments: Kind.allCases, [1, 2, 3] as [UInt64])
    func converges(kind: Kind, seed: UInt64) {
        var setup = SimulatorTests.setup(Self.speeds, .expectedCost)
        setup.incidents = [.init(at: 200, server: 0, .speed(0.5))]
        var simulator = Simulator(begins: kind.workload(seed: seed), setup)
        for server in Self.speeds.indices {
            play(&simulator, server, requests: 20, seconds: 60 - simulator.now)
            let errors = errors(simulator, server)
            #expect(errors.prefill < 0.1 && errors.decode < 0.1, "server \(server) at \(simulator.now)")
        }
        simulator.play(until: 200)
        play(&simulator, 0, requests: 20, seconds: 60)
        let errors = errors(simulator, 0, slowness: 2)
        // A tenth in most of the cases; a server whose prompts are hardly ever alone takes longer, so a third is what is kept.
        #expect(errors.prefill < 0.34 && errors.decode < 0.1, "at \(simulator.now): \(errors)")
    }

    /// Plays on for so many seconds, and until the server has answered that many requests more, but not to the workload's end.
    private func play(_ simulator: inout Simulator, _ server: Int, requests: Int, seconds: Double) {
        let halves = simulator.now < 200 ? 200.0 : 390
        func answered() -> Int { simulator.requests.count { $0.server == server && $0.hasEnded } }
        let known = simulator.now < 200 ? 0 : answered()
        simulator.play(until: simulator.now + seconds)
        while simulator.now < halves, answered() - known < requests { simulator.play(until: simulator.now + 1) }
    }
}
