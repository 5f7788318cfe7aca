import Foundation
import Routing
import Simulation
import Wire

/// What `simulate` prints for people.
enum SimulationTable {
    /// The servers cannot keep up with requests that come by themselves when the last answer ends so much later than they do: by
    /// this factor, and some seconds for the answers themselves.
    private static let overload = (factor: 1.2, seconds: 60.0)
    /// The time-scale that is recommended then leaves a fifth of the servers' time free.
    private static let spare = 1.25

    static func text(_ runs: [SimulationRun], _ load: SimulatedLoad, _ setup: SimulationSetup, hasSeeds: Bool) -> String {
        let hasJobs = runs.contains { $0.report.jobs > 0 }
        let hasLosses = runs.contains { $0.report.refused + $0.report.failed > 0 }
        var heading = ["RULE"]
        if hasSeeds { heading.append("SEED") }
        heading += [
            "REQUESTS", "FIRST TOKEN", "MEDIAN", "90 %", "99 %", "WHOLE ANSWER", "CACHED", "MOVED", "PER HOUR", "ALL DONE",
        ]
        if hasJobs { heading += ["JOBS", "JOB", "JOBS DONE", "TOKENS/S"] }
        if hasLosses { heading += ["REFUSED", "FAILED"] }
        let rows = runs.map { run in
            let report = run.report
            var row = [report.rule.rawValue]
            if hasSeeds { row.append(String(run.seed)) }
            row.append(String(report.requests))
            let figures =
                [
                    report.ttftMeanSeconds, report.ttftP50Seconds, report.ttftP90Seconds, report.ttftP99Seconds,
                    report.totalMeanSeconds,
                ].map(Figures.seconds) + [Figures.percent(report.cacheHitRatio), Figures.percent(report.movedShare)]
                + [String(format: "%.0f", report.requestsPerHour)]
            // Of no request at all, there is none.
            row += report.requests > 0 ? figures : figures.map { _ in "-" }
            row.append(report.makespanSeconds > 0 ? Figures.seconds(report.makespanSeconds) : "-")
            if hasJobs {
                let times = [report.jobMeanSeconds, report.jobsMakespanSeconds].map(Figures.seconds)
                row += [String(report.jobs)] + (report.jobs > 0 ? times : times.map { _ in "-" })
                row.append(String(format: "%.0f", report.tokensPerSecond))
            }
            if hasLosses { row += [String(report.refused), String(report.failed)] }
            return row
        }
        var lines = ["\(load.summary); \(servers(setup))", ""] + columns([heading] + rows)
        if let note = nothingNote(runs, load) ?? overloadNote(runs, load) { lines += ["", note] }
        return lines.joined(separator: "\n")
    }

    /// "4 servers with 4000, 2500 tokens/s and 4 slots".
    private static func servers(_ setup: SimulationSetup) -> String {
        let count = setup.servers.count
        let speeds = setup.servers.prefix(12).map { Figures.plain($0.prefillTokensPerSecond) }.joined(separator: ", ")
        let slots = Set(setup.servers.map(\.slots)).sorted().map { String($0) }.joined(separator: " or ")
        return "\(count) \(count == 1 ? "server" : "servers") with \(speeds)\(count > 12 ? ", …" : "") prompt tokens/s, "
            + "\(slots) \(slots == "1" ? "slot" : "slots")\(count == 1 ? "" : " each")"
    }

    private static func nothingNote(_ runs: [SimulationRun], _ load: SimulatedLoad) -> String? {
        let without = Set(runs.filter { $0.report.requests == 0 }.map(\.report.rule.rawValue))
        guard !without.isEmpty else { return nil }
        let isAll = runs.allSatisfy { $0.report.requests == 0 }
        return
            "No request that counts was answered\(isAll ? "" : " (\(without.sorted().joined(separator: ", ")))"): these servers cannot "
            + "keep up. Add servers, "
            + (load.timeScale == nil ? "ask less often, or give more --minutes." : "or give a larger --time-scale.")
    }

    private static func overloadNote(_ runs: [SimulationRun], _ load: SimulatedLoad) -> String? {
        guard let last = load.lastArrival, last > 0, let best = runs.map(\.report.makespanSeconds).min(),
            best > last * overload.factor + overload.seconds
        else { return nil }
        let problem =
            "These servers cannot keep up: the requests come in \(Figures.plain(last)) s, and the last answer ends after "
            + "\(Figures.plain(best)) s at best. "
        guard let timeScale = load.timeScale else { return problem + "Ask less often, or add servers." }
        let enough = Figures.plain((timeScale * best / last * spare).rounded(.up))
        return problem + "Add servers, or let the requests come more slowly: --time-scale \(enough)."
    }

    /// The first column begins at the left, numbers end at the right.
    private static func columns(_ rows: [[String]]) -> [String] {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).enumerated().map { column, cell in
                let space = String(repeating: " ", count: cell.1 - cell.0.count)
                return column == 0 ? cell.0 + space : space + cell.0
            }.joined(separator: "  ")
        }
    }
}

/// What `simulate --json` prints: an array, an object on each line.
enum SimulationDocument {
    static func text(_ runs: [SimulationRun]) -> String {
        "[\n" + runs.map { "  " + object($0).text }.joined(separator: ",\n") + "\n]"
    }

    static func object(_ run: SimulationRun) -> JSON {
        let report = run.report
        func figure(_ number: Double) -> JSON { report.requests > 0 ? rounded(number) : .null }
        return [
            "rule": .string(report.rule.rawValue), "requests": JSON(report.requests),
            "ttft_mean_s": figure(report.ttftMeanSeconds), "ttft_p50_s": figure(report.ttftP50Seconds),
            "ttft_p90_s": figure(report.ttftP90Seconds), "ttft_p99_s": figure(report.ttftP99Seconds),
            "cache_hit_ratio": figure(report.cacheHitRatio), "makespan_s": rounded(report.makespanSeconds),
            "total_mean_s": figure(report.totalMeanSeconds), "total_p90_s": figure(report.totalP90Seconds),
            "moved_share": figure(report.movedShare), "requests_per_hour": rounded(report.requestsPerHour),
            "recomputed_tokens": JSON(report.recomputedTokens), "refused": JSON(report.refused), "failed": JSON(report.failed),
            "seed": .number(String(run.seed)), "jobs": JSON(report.jobs), "job_mean_s": rounded(report.jobMeanSeconds),
            "jobs_makespan_s": rounded(report.jobsMakespanSeconds), "tokens_per_second": rounded(report.tokensPerSecond),
        ]
    }

    /// To millionths: further digits say nothing.
    private static func rounded(_ number: Double) -> JSON { JSON((number * 1e6).rounded() / 1e6) }
}

/// Numbers for people.
enum Figures {
    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// As people write it: 5, not 5.0.
    static func typed(_ number: some Any) -> String {
        let text = "\(number)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    static func seconds(_ seconds: Double) -> String { String(format: seconds < 100 ? "%.2f s" : "%.0f s", seconds) }
    static func percent(_ share: Double) -> String { String(format: "%.1f %%", share * 100) }

    /// Whole numbers without a point, others with about four digits.
    static func plain(_ number: Double) -> String {
        Int(exactly: number).map { String($0) } ?? String(format: number >= 1000 ? "%.0f" : "%.4g", number)
    }
}
