import ArgumentParser
import Routing
import Simulation
import Testing

@testable import App

@Suite("Options of simulate") struct SimulateOptionsTests {
    private func parsed(_ arguments: String...) throws -> Simulate {
        try #require(try Program.parseAsRoot(["simulate"] + arguments) as? Simulate)
    }

    /// What the program says to a command line that it refuses.
    private func refusal(_ arguments: String...) -> String {
        do {
            _ = try Program.parseAsRoot(["simulate"] + arguments)
            Issue.record("accepted: \(arguments)")
            return ""
        } catch {
            #expect(Program.exitCode(for: error).rawValue == 64, "EX_USAGE")
            return Program.message(for: error)
        }
    }

    @Test("the defaults are those of the documentation")
    func defaults() throws {
        let simulate = try parsed("--agents", "6", "--servers", "4000,2500")
        let models = try simulate.fleet.models()
        #expect(models.map(\.prefillTokensPerSecond) == [4000, 2500])
        #expect(models.allSatisfy { $0.slots == 4 && $0.cacheTokens == 262_144 })
        #expect(simulate.fleet.speedNoise == 0.2)
        #expect((simulate.rule, simulate.seed, simulate.json) == ([], [], false))
        #expect(Simulate.rules.map(\.rawValue).first == "expected-cost")
        #expect(Set(Simulate.rules) == Set(PickingRule.allCases) && Simulate.rules.count == PickingRule.allCases.count)
        let load = try simulate.load.load()
        #expect((load.countedFrom, load.countedUntil) == (120, 1800))
        #expect(load.summary == "6 coding agents for 30 minutes, counted after 120 s")
    }

    @Test("every option has its effect")
    func everyOption() throws {
        let simulate = try parsed(
            "--documents", "2.5", "--servers", "800", "--slots", "2", "--cache-tokens", "0", "--rule", "sticky", "--rule",
            "round-robin", "--speed-noise", "0", "--seed", "3", "--seed", "4", "--json", "--minutes", "10", "--warm-up", "0",
            "--max-waiting", "7", "--slower", "60:0:0.5", "--restart", "90:0:30")
        #expect(try simulate.fleet.models() == [EngineModel(prefillTokensPerSecond: 800, slots: 2, cacheTokens: 0)])
        #expect((simulate.rule, simulate.seed, simulate.json) == (["sticky", "round-robin"], [3, 4], true))
        #expect(simulate.maxWaiting == 7)
        #expect(
            try simulate.fleet.incidents() == [
                .init(at: 60, server: 0, .speed(0.5)), .init(at: 90, server: 0, .restart(downSeconds: 30)),
            ])
        let load = try simulate.load.load()
        #expect(load.summary == "2.5 questions with one long system prompt a second for 10 minutes")
        #expect((load.countedFrom, load.countedUntil) == (0, 600))
    }

    @Test("jobs come together after the warm-up, or are always in flight")
    func bulkJobs() throws {
        let together = try parsed("--bulk-jobs", "50", "--servers", "800").load.load()
        #expect(
            together.summary
                == "four people who chat for 30 minutes, and 50 jobs of 30000 tokens that come together, counted after 120 s")
        let kept = try parsed("--bulk-jobs", "5", "--keep-jobs", "--job-priority", "bulk", "--servers", "800").load.load()
        #expect(kept.summary.contains("5 jobs of 30000 tokens in flight all the time with X-Priority: bulk"))
        #expect(throws: (any Error).self) { try parsed("--agents", "5", "--keep-jobs", "--servers", "800") }
        #expect(throws: (any Error).self) { try parsed("--bulk-jobs", "5", "--job-priority", "low", "--servers", "800") }
    }

    @Test(
        "servers have a short form: how many there are, and their slots",
        arguments: [
            ("2000x4", [2000, 2000, 2000, 2000], [3, 3, 3, 3]), ("4000/8,800", [4000, 800], [8, 3]),
            ("500, 2000x2/8", [500, 2000, 2000], [3, 8, 8]), ("1.5e3", [1500], [3]),
        ] as [(String, [Double], [Int])])
    func servers(text: String, speeds: [Double], slots: [Int]) throws {
        let models = try parsed("--agents", "1", "--slots", "3", "--servers", text).fleet.models()
        #expect(models.map(\.prefillTokensPerSecond) == speeds)
        #expect(models.map(\.slots) == slots)
    }

    @Test(
        "servers that make no sense are refused with what was written and an example",
        arguments: ["fast", "4000,", "0", "-5", "nan", "inf", "2000x", "2000x0", "2000x513", "2000/0", "2000/x", "x4", "/4"])
    func wrongServers(text: String) {
        let message = refusal("--agents", "1", "--servers=\(text)")
        let entry = text.split(separator: ",", omittingEmptySubsequences: false).last ?? ""
        #expect(message.contains("--servers: \"\(entry)\""), "\(message)")
        #expect(message.contains("2000x4/8"))
    }

    @Test("what makes no sense is refused with option, value and remedy")
    func refused() {
        let fleet = "--servers=1000,2000"
        #expect(refusal("--agents", "6").contains("--servers"))
        #expect(throws: ExitCode(64), "EX_USAGE") { try parsed(fleet).load.load() }
        #expect(refusal(fleet, "--agent", "3").contains("--agent"))
        #expect(
            refusal(fleet, "--bulk-jobs", "5", "--job-priority", "urgent").contains("give one of interactive, normal, bulk"))
        #expect(refusal(fleet, "--agents", "6", "--chats", "1").contains("only one of"))
        #expect(refusal(fleet, "--agents", "6", "--time-scale", "2").contains("--time-scale 2: only a trace"))
        #expect(refusal(fleet, "--agents", "6", "--conversation-clients").contains("leave it out"))
        #expect(refusal(fleet, "--trace", "x", "--minutes", "5").contains("--minutes 5: a trace is played to its end"))
        #expect(refusal(fleet, "--trace", "x", "--one-address").contains("--agents"))
        #expect(refusal(fleet, "--agents", "0").contains("--agents 0: give a number from 1"))
        #expect(refusal(fleet, "--agents", "1", "--minutes", "1").contains("--warm-up 120"))
        #expect(refusal(fleet, "--agents", "1", "--minutes", "nan").contains("--minutes"))
        #expect(refusal(fleet, "--chats", "1000", "--minutes", "60").contains("give fewer --minutes"))
        #expect(refusal(fleet, "--agents", "1", "--slots", "0").contains("--slots 0: give a number from 1 to 1024"))
        #expect(refusal(fleet, "--agents", "1", "--cache-tokens=-1").contains("--cache-tokens -1"))
        #expect(refusal(fleet, "--agents", "1", "--speed-noise", "9").contains("--speed-noise 9: give a number from 0 to 2."))
        #expect(refusal(fleet, "--agents", "1", "--max-waiting=-1").contains("--max-waiting -1"))
        #expect(refusal(fleet, "--agents", "1", "--seed=x").contains("--seed"))
        #expect(refusal("--agents", "1", "--servers=1000x512,1").contains("more than 512 servers"))
        let rule = refusal(fleet, "--agents", "1", "--rule", "expected-costs")
        #expect(rule.contains("--rule expected-costs: there is no such rule; did you mean \"expected-cost\"?"))
        #expect(rule.contains("sticky, least-in-flight, round-robin, cache-aware, prefix-hash"))
    }

    @Test("incidents that make no sense are refused with option, value and remedy")
    func wrongIncidents() {
        let fleet = "--servers=1000,2000"
        #expect(refusal(fleet, "--agents", "1", "--slower", "60:0").contains("--slower 60:0: write three numbers"))
        #expect(refusal(fleet, "--agents", "1", "--restart", "60:0:soon").contains("for example 600:0:30"))
        #expect(refusal(fleet, "--agents", "1", "--restart", "60:2:5").contains("no server 2; they count from 0 to 1"))
        #expect(refusal(fleet, "--agents", "1", "--slower", "60:0:0").contains("--slower 60:0:0: give"))
        #expect(refusal(fleet, "--agents", "1", "--slower=-1:0:2").contains("a time from 0"))
    }
}
