import ArgumentParser
import Control
import Foundation
import NIOCore
import NIOPosix
import Proxy
import Wire

/// `llama-balancer status`.
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows a running balancer as a table.",
        discussion: """
            A balancer with keys wants one with admin: true. It is taken from the environment variable LLAMA_BALANCER_KEY.

            Examples:
              llama-balancer status
              llama-balancer status --url http://192.168.1.5:18000 --watch
            """)

    @Option(help: "Where the balancer listens.")
    var url = "http://127.0.0.1:\(Configuration.Listener.defaultPort)"

    @Flag(help: "Show it again every second until interrupted.")
    var watch = false

    init() {}

    func run() async throws {
        let balancer = try RunningBalancer(url)
        repeat {
            let document = try await balancer.get("/llmhealth-snapshot", wants: "backends")
            try say((watch ? "\u{1B}[2J\u{1B}[H" : "") + StatusTable.text(document))
            if watch { try await Task.sleep(for: .seconds(1)) }
        } while watch
    }
}

/// The snapshot as text.
enum StatusTable {
    static func text(_ snapshot: JSON) -> String {
        let heading = ["SERVER", "STATE", "LOAD", "IN FLIGHT", "SLOTS", "PREFILL/S", "DECODE/S", "KIND", "REASON"]
        let rows = (snapshot["backends"]?.arrayValue ?? []).map { row($0) }
        let sticky = snapshot["sticky"]?.arrayValue ?? []
        var lines = columns([heading] + rows)
        let waiting = snapshot["waiting"]?["count"]?.intValue ?? 0
        lines.append("")
        lines.append(
            "waiting \(waiting), running \(snapshot["running"]?.intValue ?? 0), "
                + "sticky \(snapshot["sticky_count"]?.intValue ?? 0), at \(TerminalText.plain(snapshot["now"]?.stringValue ?? "?"))"
        )
        if !sticky.isEmpty {
            lines.append("")
            lines += columns(
                [["CLIENT|MODEL", "INSTANCE", "SERVER"]]
                    + sticky.prefix(20).map {
                        [$0["key"], $0["model"], $0["backend"]].map { TerminalText.plain($0?.stringValue ?? "–") }
                    })
        }
        if let problems = snapshot["config"]?["error"]?.stringValue {
            lines +=
                ["", "The configuration could not be read again:"]
                + problems.split(separator: "\n").map { TerminalText.plain(String($0)) }
        }
        return lines.joined(separator: "\n")
    }

    private static func row(_ backend: JSON) -> [String] {
        func number(_ name: String) -> String {
            backend[name]?.doubleValue.flatMap { Int(exactly: $0.rounded()) }.map { String($0) } ?? "–"
        }
        let inFlight = backend["total_inflight"]?.intValue ?? 0
        let limit = backend["limit"]?.intValue.map { " of \($0)" } ?? ""
        let slots = backend["slots"]
        let isDraining = backend["draining"]?.boolValue == true
        return [
            TerminalText.plain(backend["name"]?.stringValue ?? "?"),
            TerminalText.plain(backend["state"]?.stringValue ?? "?") + (isDraining ? ", draining" : ""),
            TerminalText.plain(backend["status"]?.stringValue ?? "?"), "\(inFlight)\(limit)",
            slots?["total"]?.intValue.map { "\(slots?["busy"]?.intValue ?? 0)/\($0)" } ?? "–",
            number("prefill_tokens_per_second"), number("decode_tokens_per_second"),
            TerminalText.plain(backend["kind"]?.stringValue ?? "?"), TerminalText.plain(backend["reason"]?.stringValue ?? ""),
        ]
    }

    static func columns(_ rows: [[String]]) -> [String] {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { text, width in
                text + String(repeating: " ", count: max(0, width - text.count))
            }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }
}
