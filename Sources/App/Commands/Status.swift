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
        let base: BaseURL
        do { base = try BaseURL.parse(url, assumingHTTP: true).url } catch {
            throw CommandFailure.usage("--url \(url): \(error.message)")
        }
        let environment = ProcessInfo.processInfo.environment
        let transport = try Self.transport(to: base, environment)
        var target = ProbeTarget(host: base.host, port: base.port, transport: transport, pathPrefix: base.pathPrefix)
        if let key = environment["LLAMA_BALANCER_KEY"], !key.isEmpty {
            target.headers = [.init(name: "Authorization", value: "Bearer \(key)")]
        }
        let group = MultiThreadedEventLoopGroup.singleton
        repeat {
            let response: ProbeClient.Response
            do {
                response = try await ProbeClient().get(
                    "/llmhealth-snapshot", from: target, timeout: .seconds(5), on: group.next()
                ).get()
            } catch {
                throw CommandFailure.failed("No balancer answers at \(url): \(error). Is it running there? See --url.")
            }
            if response.status == 401 || response.status == 403 {
                throw CommandFailure.failed(
                    "The balancer at \(url) answered \(response.status). Set the environment variable LLAMA_BALANCER_KEY to a key "
                        + "with admin: true.")
            }
            guard response.status == 200, let document = try? JSON(parsing: response.body), document["backends"] != nil else {
                throw CommandFailure.failed(
                    "What answers at \(url) is no llama-balancer: /llmhealth-snapshot answered \(response.status). See --url.")
            }
            try say((watch ? "\u{1B}[2J\u{1B}[H" : "") + StatusTable.text(document))
            if watch { try await Task.sleep(for: .seconds(1)) }
        } while watch
    }

    /// The certificate of a balancer behind a TLS proxy is checked like the certificates of servers.
    static func transport(to base: BaseURL, _ environment: [String: String]) throws -> Transport {
        guard base.scheme == .https else { return .plain }
        do {
            var settings = TLSSettings()
            settings.authorities = try TLSSettings.systemAuthorities(environment)
            return .tls(try settings.context())
        } catch let problem as TLSSettings.EnvironmentProblem {
            throw CommandFailure.failed("\(problem.message); \(problem.hint)")
        } catch {
            throw CommandFailure.failed(
                "This system has no certificates of authorities that can be read. Install them (Debian's ca-certificates), "
                    + "or name the authority's file in the environment variable SSL_CERT_FILE.")
        }
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

    private static func columns(_ rows: [[String]]) -> [String] {
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
