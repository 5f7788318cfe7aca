// The simulator for development: plays agents, a trace or an open loop with several rules and prints a table. See `Options.usage`.
//   BENCHMARKS=1 CORE_ONLY=1 swift run -c release --scratch-path .build-core-release simulate-dev --agents 6 --warm 120

import Routing
import Simulation

func workload(_ options: Options, _ entries: [TraceWorkload.Entry], seed: UInt64) -> any Workload {
    let seconds = options.minutes * 60
    if let agents = options.agents {
        return AgentsWorkload(agents, seconds: seconds, seed: seed, haveAddresses: !options.oneAddress)
    }
    if let (shape, perSecond) = options.steady {
        return SteadyWorkload(shape, perSecond: perSecond, seconds: seconds, seed: seed)
    }
    return TraceWorkload(
        entries, timeScale: options.timeScale, clients: options.conversationClients ? .conversations : .one)
}

/// With so many digits behind the point, and spaces before it.
func text(_ number: Double, _ digits: Int, width: Int) -> String {
    var factor = 1.0
    for _ in 0..<digits { factor *= 10 }
    let scaled = Int((number * factor).rounded())
    let whole = String(scaled / Int(factor))
    let rest = digits > 0 ? "." + padded(String(scaled % Int(factor)), digits, with: "0") : ""
    return padded(whole + rest, width)
}

func padded(_ text: String, _ width: Int, with filler: Character = " ") -> String {
    String(repeating: filler, count: max(0, width - text.count)) + text
}

func row(_ report: SimulationReport, seed: UInt64, took: Duration) -> String {
    let name = report.rule.rawValue + String(repeating: " ", count: max(0, 16 - report.rule.rawValue.count))
    let times = [
        report.ttftMeanSeconds, report.ttftP50Seconds, report.ttftP90Seconds, report.ttftP99Seconds, report.totalMeanSeconds,
        report.totalP90Seconds,
    ].map { text($0, 2, width: 8) }.joined()
    let rest =
        text(report.cacheHitRatio * 100, 1, width: 7) + padded(String(report.recomputedTokens / 1000), 9)
        + text(report.movedShare * 100, 1, width: 7) + text(report.makespanSeconds, 0, width: 8)
        + text(report.requestsPerHour, 0, width: 7)
    return name + padded(String(seed), 4) + padded(String(report.requests), 7) + times + rest
        + padded(String(report.refused), 6) + padded(String(report.failed), 6) + text(took / .seconds(1), 2, width: 8)
}

do throws(OptionError) {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if arguments.contains("--help") {
        print(Options.usage)
    } else {
        let options = try Options(arguments)
        let entries = if let trace = options.trace { try TraceFile.read(trace) } else { [TraceWorkload.Entry]() }
        print(
            "rule            seed      n    ttft     p50     p90     p99   total     p90   hit%  computed  moved    span"
                + "     /h   ref  fail    took")
        for rule in options.rules {
            for seed in options.seeds {
                var setup = SimulationSetup(
                    servers: options.servers.map {
                        EngineModel(prefillTokensPerSecond: $0, slots: options.slots, cacheTokens: options.cacheTokens)
                    }, rule: rule)
                setup.speedNoise = options.speedNoise
                setup.seed = seed
                setup.countedFrom = options.warm
                if options.trace == nil { setup.countedUntil = options.minutes * 60 }
                setup.incidents = options.incidents
                if let maxWaiting = options.maxWaiting { setup.policy.maxWaiting = maxWaiting }
                let started = ContinuousClock.now
                let report = Simulator.play(workload(options, entries, seed: seed), setup)
                print(row(report, seed: seed, took: ContinuousClock.now - started))
            }
        }
    }
} catch {
    print("simulate-dev: \(error.message)")
}
