import ArgumentParser
import Foundation
import Routing
import Simulation
import Testing
import Wire

@testable import App

@Suite("Simulations from the command line") struct SimulateTests {
    private static let trace: [TraceWorkload.Entry] = (0..<60).map { number in
        let first = UInt64(number % 7) * 100
        return .init(
            milliseconds: Double(number) * 400, promptTokens: 1500, answerTokens: 20 + number % 5,
            blocks: [first, first + 1, first + 2 + UInt64(number / 20)])
    }

    private func load(timeScale: Double = 1) -> SimulatedLoad {
        SimulatedLoad(.trace(Self.trace, timeScale: timeScale, .one), countedFrom: 0, countedUntil: nil)
    }

    private func setup(_ speeds: Double..., incidents: [SimulationSetup.Incident] = []) -> SimulationSetup {
        var setup = SimulationSetup(
            servers: speeds.map { EngineModel(prefillTokensPerSecond: $0, slots: 2, cacheTokens: 10_000) }, rule: .sticky)
        setup.speedNoise = 0.2
        setup.incidents = incidents
        return setup
    }

    @Test("a row for each rule and seed, in their order, the same every time")
    func deterministic() async {
        let setup = setup(4000, 1500)
        let runs = await SimulationRun.play(load(), setup, rules: Simulate.rules, seeds: [1, 9])
        #expect(runs.map(\.report.rule) == Simulate.rules.flatMap { [$0, $0] })
        #expect(runs.map(\.seed) == Simulate.rules.flatMap { _ in [1, 9] as [UInt64] })
        #expect(runs.allSatisfy { $0.report.requests == Self.trace.count })
        let again = await SimulationRun.play(load(), setup, rules: Simulate.rules, seeds: [1, 9])
        #expect(runs.map(\.report) == again.map(\.report))
        #expect(runs[0].report.ttftMeanSeconds != runs[1].report.ttftMeanSeconds, "another seed, other speeds")
        #expect(Set(runs.map(\.report.ttftMeanSeconds)).count > 2, "the rules differ")
    }

    @Test("JSON has the keys that are promised, in their order, an object for each row")
    func json() async throws {
        let runs = await SimulationRun.play(load(), setup(4000, 1500), rules: [.expectedCost, .roundRobin], seeds: [5])
        let text = SimulationDocument.text(runs)
        #expect(text.split(separator: "\n").count == 4)
        let rows = try #require(try JSON(parsing: Array(text.utf8)).arrayValue)
        #expect(rows.map { $0["rule"]?.stringValue } == ["expected-cost", "round-robin"])
        for (row, run) in zip(rows, runs) {
            #expect(
                row.objectValue?.map(\.name) == [
                    "rule", "requests", "ttft_mean_s", "ttft_p50_s", "ttft_p90_s", "ttft_p99_s", "cache_hit_ratio", "makespan_s",
                    "total_mean_s", "total_p90_s", "moved_share", "requests_per_hour", "recomputed_tokens", "refused", "failed",
                    "seed", "jobs", "job_mean_s", "jobs_makespan_s", "tokens_per_second",
                ])
            #expect(row["requests"]?.intValue == 60)
            #expect(row["seed"]?.intValue == 5)
            #expect(row["refused"]?.intValue == 0)
            let mean = try #require(row["ttft_mean_s"]?.doubleValue)
            #expect(abs(mean - run.report.ttftMeanSeconds) < 1e-6 && mean > 0)
            let ratio = try #require(row["cache_hit_ratio"]?.doubleValue)
            #expect(ratio > 0 && ratio < 1)
        }
    }

    @Test("the table says what was played, and has a row for each rule")
    func table() async {
        let (load, setup) = (load(timeScale: 2), setup(4000, 1500))
        let runs = await SimulationRun.play(load, setup, rules: [.expectedCost, .sticky], seeds: [1])
        let text = SimulationTable.text(runs, load, setup, hasSeeds: false)
        let lines = text.split(separator: "\n")
        #expect(
            lines.first
                == """
                60 requests of a trace in 47.2 s (times x 2); 2 servers with 4000, 1500 prompt tokens/s, 2 slots each
                """)
        #expect(lines.count == 4, "\(text)")
        #expect(lines[1].hasPrefix("RULE           REQUESTS  FIRST TOKEN"))
        #expect(lines[2].hasPrefix("expected-cost        60 "))
        #expect(lines[3].hasPrefix("sticky               60 "))
        #expect(Set(lines[1...].map(\.count)).count == 1, "all end in one column")
        #expect(!text.contains("SEED") && !text.contains("REFUSED"))
        #expect(SimulationTable.text(runs, load, setup, hasSeeds: true).contains("RULE           SEED  REQUESTS"))
    }

    @Test("servers that cannot keep up are told of, with a remedy")
    func overload() async {
        let (load, setup) = (load(), setup(100))
        let runs = await SimulationRun.play(load, setup, rules: [.sticky], seeds: [1])
        let text = SimulationTable.text(runs, load, setup, hasSeeds: false)
        #expect(text.contains("1 server with 100 prompt tokens/s, 2 slots\n"))
        #expect(text.contains("These servers cannot keep up: the requests come in 23.6 s"))
        #expect(text.contains("Add servers, or let the requests come more slowly: --time-scale "))
    }

    @Test("a run that counted no request has no figures, and says why")
    func nothingCounted() async throws {
        let load = SimulatedLoad(.agents(1, seconds: 600, haveAddresses: true), countedFrom: 300, countedUntil: 600)
        var setup = setup(1)
        (setup.countedFrom, setup.countedUntil) = (load.countedFrom, load.countedUntil)
        let runs = await SimulationRun.play(load, setup, rules: [.sticky], seeds: [1])
        #expect(runs[0].report.requests == 0)
        let text = SimulationTable.text(runs, load, setup, hasSeeds: false)
        let cells = try #require(text.split(separator: "\n").first { $0.hasPrefix("sticky") }).split(separator: " ")
        #expect(cells.prefix(10) == ["sticky", "0", "-", "-", "-", "-", "-", "-", "-", "-"], "\(text)")
        let why = "these servers cannot keep up. Add servers, ask less often, or give more --minutes."
        #expect(text.hasSuffix("\n\nNo request that counts was answered: \(why)"))
        let row = SimulationDocument.object(runs[0])
        #expect(row["ttft_mean_s"] == .null && row["moved_share"] == .null)
    }

    @Test("a single one is not called many")
    func singular() {
        func summary(_ kind: SimulatedLoad.Kind) -> String { SimulatedLoad(kind, countedFrom: 0, countedUntil: nil).summary }
        #expect(summary(.trace(Array(Self.trace.prefix(1)), timeScale: 1, .one)) == "1 request of a trace in 0 s")
        #expect(
            summary(.steady(.chats, .init(one: "short chat", many: "short chats"), perSecond: 1, seconds: 60))
                == "1 short chat a second for 1 minute")
        #expect(
            summary(.bulk(.together(at: 0), jobs: 1, seconds: 120, nil))
                == "four people who chat for 2 minutes, and 1 job of 30000 tokens that comes")
        #expect(summary(.agents(1, seconds: 60, haveAddresses: true)) == "1 coding agent for 1 minute")
    }

    @Test("an open loop that is too much has its remedy, too")
    func openLoop() async {
        let load = SimulatedLoad(
            .steady(.documents, .init(one: "question", many: "questions"), perSecond: 0.5, seconds: 200), countedFrom: 0,
            countedUntil: 200)
        let runs = await SimulationRun.play(load, setup(100), rules: [.roundRobin], seeds: [1])
        let text = SimulationTable.text(runs, load, setup(100), hasSeeds: false)
        #expect(text.hasPrefix("0.5 questions a second for 3.333 minutes; 1 server"))
        #expect(text.hasSuffix("Ask less often, or add servers."))
    }

    @Test("requests that are refused or break off get columns of their own")
    func losses() async {
        let load = load()
        var setup = setup(300, incidents: [.init(at: 12, server: 0, .restart(downSeconds: 1))])
        setup.policy.maxWaiting = 3
        let runs = await SimulationRun.play(load, setup, rules: [.sticky], seeds: [1])
        #expect(runs[0].report.refused > 0)
        #expect(SimulationTable.text(runs, load, setup, hasSeeds: false).contains("REFUSED  FAILED"))
    }

    @Test("numbers are short")
    func figures() {
        #expect([3.0, 0.5, 1234.5, 2e18].map(Figures.plain) == ["3", "0.5", "1234", "2000000000000000000"])
        #expect([0.123, 99.99, 123.4].map(Figures.seconds) == ["0.12 s", "99.99 s", "123 s"])
        #expect(Figures.percent(0.9651) == "96.5 %")
    }
}
