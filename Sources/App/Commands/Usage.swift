import ArgumentParser
import Control
import Foundation
import NIOCore
import NIOPosix
import Wire

/// `llama-balancer usage`.
struct Usage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What the clients' keys have used, of a running balancer.",
        discussion: """
            Tokens of prompts are those that were computed; those that came from an engine's cache stand beside them. Days are in UTC.

            Examples:
              llama-balancer usage                    by day, key and model
              llama-balancer usage --by key
              llama-balancer usage --csv > usage.csv
              LLAMA_BALANCER_KEY=… llama-balancer usage --url https://llm.example.com
            """)

    @Option(help: "Where the balancer listens.")
    var url = "http://127.0.0.1:\(Configuration.Listener.defaultPort)"

    @Option(help: "Summed up by key, model or day.")
    var by: UsageLedger.Grouping?

    @Flag(help: "Comma-separated values, for a spreadsheet.")
    var csv = false

    init() {}

    func run() async throws {
        let path = "/admin/usage" + (by.map { "?by=\($0.rawValue)" } ?? "")
        let document = try await RunningBalancer(url).get(path, wants: "usage")
        let table = Self.table(document["usage"]?.arrayValue ?? [], by: by)
        try say(
            csv
                ? Self.csv(table)
                : table.count == 1 ? "No key has been used." : StatusTable.columns(table).joined(separator: "\n"))
    }

    /// A heading, then a row for each entry.
    static func table(_ entries: [JSON], by grouping: UsageLedger.Grouping?) -> [[String]] {
        let groups = grouping.map { [$0.rawValue] } ?? ["day", "key", "model"]
        let numbers = ["requests", "prompt_tokens", "cached_tokens", "output_tokens"]
        let rows = entries.map { entry in
            groups.map { TerminalText.plain(entry[$0]?.stringValue ?? "") } + numbers.map { String(entry[$0]?.intValue ?? 0) }
        }
        return [groups + numbers] + rows
    }

    /// RFC 4180. A spreadsheet takes a text that begins like a formula for one, and clients choose names of models.
    static func csv(_ table: [[String]]) -> String {
        table.map { row in
            row.map { text in
                let safe = text.first.map { "=+-@\t\r".contains($0) } == true ? "'" + text : text
                return safe.contains { ",\"\n\r".contains($0) } ? "\"" + safe.replacing("\"", with: "\"\"") + "\"" : safe
            }.joined(separator: ",")
        }.joined(separator: "\n")
    }
}

extension UsageLedger.Grouping: ExpressibleByArgument {}
