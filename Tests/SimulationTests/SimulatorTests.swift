import Routing
import Synchronization
import Testing

@testable import Simulation

@Suite("The simulator")
struct SimulatorTests {
    static func setup(_ speeds: [Double], _ rule: PickingRule, slots: Int = 2) -> SimulationSetup {
        SimulationSetup(
            servers: speeds.map { EngineModel(prefillTokensPerSecond: $0, slots: slots, cacheTokens: 300_000) }, rule: rule)
    }

    @Test("the same seed gives the same report, another one another", arguments: PickingRule.allCases)
    func deterministic(rule: PickingRule) {
        var setup = Self.setup([4000, 2500, 1500, 800], rule)
        setup.speedNoise = 0.2
        let reports = [1, 1, 2].map { (seed: UInt64) in
            setup.seed = seed
            return Simulator.play(AgentsWorkload(6, seconds: 300, seed: seed), setup)
        }
        #expect(reports[0] == reports[1])
        #expect(reports[0] != reports[2])
        #expect(reports[0].requests > 20)
    }

    @Test("each request is answered once", arguments: PickingRule.allCases)
    func answeredOnce(rule: PickingRule) {
        let journal = Journal()
        let steady = SteadyWorkload(.documents, perSecond: 4, seconds: 200, seed: 3)
        let report = Simulator.play(Watched(workload: steady, journal: journal), Self.setup([2000, 1000], rule))
        journal.check(answered: report.requests)
        #expect(report.requests > 600 && report.refused == 0 && report.failed == 0)
    }

    @Test("each request ends once, although servers restart and slow down", arguments: PickingRule.allCases)
    func incidents(rule: PickingRule) {
        var setup = Self.setup([4000, 2500, 1500], rule)
        setup.incidents = [
            .init(at: 60, server: 0, .restart(downSeconds: 30)), .init(at: 100, server: 1, .speed(0.5)),
            .init(at: 150, server: 2, .restart(downSeconds: 0)), .init(at: 170, server: 9, .speed(0.5)),
        ]
        let journal = Journal()
        let agents = AgentsWorkload(8, seconds: 300, seed: 5)
        let report = Simulator.play(Watched(workload: agents, journal: journal), setup)
        journal.check(answered: report.requests)
        #expect(journal.ends == report.requests + report.refused + report.failed)
    }

    @Test("a server that is not probed regularly gets requests again after a restart")
    func restartWithoutProbes() {
        var setup = Self.setup([2000, 2000], .leastInFlight)
        setup.probeSeconds = nil
        setup.incidents = [.init(at: 20, server: 0, .restart(downSeconds: 10))]
        let steady = SteadyWorkload(.documents, perSecond: 1, seconds: 200, seed: 3)
        let report = Simulator.play(steady, setup)
        let whole = Simulator.play(steady, Self.setup([2000, 2000], .leastInFlight))
        #expect(report.refused == 0 && report.failed <= 2)
        #expect(report.requests + report.failed == whole.requests)
        // One server alone would need 330 s.
        #expect(report.makespanSeconds < 220)
    }

    @Test("one request on an idle server takes what its engine takes")
    func one() {
        let entry = TraceWorkload.Entry(milliseconds: 500, promptTokens: 2000, answerTokens: 101, blocks: [1, 2, 3, 4])
        let report = Simulator.play(TraceWorkload([entry], timeScale: 2), Self.setup([1000], .sticky))
        #expect(isNear(report.ttftMeanSeconds, 2))
        #expect(isNear(report.totalMeanSeconds, 5))
        #expect(isNear(report.makespanSeconds, 6))
        #expect(report.recomputedTokens == 2000 && report.cacheHitRatio == 0)
    }

    @Test("above the limit of waiting requests, some are refused")
    func refused() {
        var setup = Self.setup([500], .leastInFlight)
        setup.policy.maxWaiting = 3
        let journal = Journal()
        let steady = SteadyWorkload(.unique, perSecond: 1, seconds: 60, seed: 1)
        let report = Simulator.play(Watched(workload: steady, journal: journal), setup)
        #expect(report.refused > 0)
        #expect(report.refused + report.requests == journal.ends)
    }

    @Test("times that no clock of the router can tell do not stop the process")
    func farAway() {
        #expect(Simulator.moment(1.5) == Moment(nanoseconds: 1_500_000_000))
        #expect(Simulator.moment(1e300) == Moment(nanoseconds: 9_000_000_000_000_000_000))
    }

    @Test("only requests after the warm-up count")
    func warmUp() {
        var setup = Self.setup([4000, 4000], .sticky)
        let whole = Simulator.play(AgentsWorkload(4, seconds: 200, seed: 1), setup)
        setup.countedFrom = 100
        let later = Simulator.play(AgentsWorkload(4, seconds: 200, seed: 1), setup)
        #expect(later.requests > 0 && later.requests < whole.requests)
        #expect(later.makespanSeconds == whole.makespanSeconds)
    }

    @Test("agents fare better with sticky than with round-robin", arguments: [1, 2] as [UInt64])
    func stickyBeatsRoundRobin(seed: UInt64) {
        let reports = [PickingRule.sticky, .roundRobin].map {
            Simulator.play(AgentsWorkload(8, seconds: 600, seed: seed), Self.setup([2000, 2000, 2000, 2000], $0))
        }
        #expect(reports[0].ttftMeanSeconds < reports[1].ttftMeanSeconds / 2)
        #expect(reports[0].cacheHitRatio > 0.9 && reports[0].cacheHitRatio > reports[1].cacheHitRatio)
        #expect(reports[0].movedShare < 0.1 && reports[1].movedShare > 0.4)
    }

    @Test("cache-aware keeps agents on their servers although they share an address")
    func sharedAddress() {
        let reports = [PickingRule.cacheAware, .roundRobin].map {
            Simulator.play(
                AgentsWorkload(8, seconds: 600, seed: 1, haveAddresses: false), Self.setup([2000, 2000, 2000, 2000], $0))
        }
        #expect(reports[0].movedShare < 0.2)
        #expect(reports[0].ttftMeanSeconds < reports[1].ttftMeanSeconds)
    }
}

/// A workload, and how often each of its requests ended.
private struct Watched<Inner: Workload>: Workload {
    var workload: Inner
    let journal: Journal

    mutating func start() -> [SimulatedRequest] { workload.start().map { journal.asked($0) } }

    mutating func ended(_ request: SimulatedRequest, at now: Double, wasAnswered: Bool) -> SimulatedRequest? {
        journal.ended(request, wasAnswered)
        return workload.ended(request, at: now, wasAnswered: wasAnswered).map { journal.asked($0) }
    }
}

/// What was asked and what ended, for each of the workload's loops.
private final class Journal: Sendable {
    private struct Counts {
        var asked = 0
        var answered = 0
        var endsOfLoop: [Int: Int] = [:]
        var asksOfLoop: [Int: Int] = [:]
    }

    private let counts = Mutex(Counts())

    var ends: Int { counts.withLock { $0.endsOfLoop.values.reduce(0, +) } }

    func asked(_ request: SimulatedRequest) -> SimulatedRequest {
        counts.withLock {
            $0.asked += 1
            $0.asksOfLoop[request.loop, default: 0] += 1
        }
        return request
    }

    func ended(_ request: SimulatedRequest, _ wasAnswered: Bool) {
        counts.withLock {
            $0.endsOfLoop[request.loop, default: 0] += 1
            if wasAnswered { $0.answered += 1 }
        }
    }

    func check(answered: Int) {
        counts.withLock {
            #expect($0.asksOfLoop == $0.endsOfLoop)
            #expect($0.answered == answered)
        }
    }
}
