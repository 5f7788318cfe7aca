import Control
import Proxy
import Routing
import Wire

extension Configuration {
    /// The configuration as it was understood, as text for people: servers, patterns in order, fallback, and every value that
    /// differs from its default. Shows no secrets. Lines end without a line break after the last one.
    package var summary: String {
        var blocks = ["listens on " + listenText]
        blocks.append(Self.block("\(Self.count(servers.count, "server"))", servers.map(Self.row)))
        if let models {
            let rows = models.map {
                [
                    $0.pattern, "-> " + $0.servers.joined(separator: ", "), $0.rule.map { "rule \($0.rawValue)" } ?? "",
                    $0.priority == .normal ? "" : "priority \($0.priority.rawValue)",
                ]
            }
            blocks.append(Self.block(models.isEmpty ? "no model patterns" : "models, first match wins", rows))
        } else {
            blocks.append("models: whatever a server lists, on the servers that list it")
        }
        if !aliases.isEmpty {
            let rows = aliases.map { [$0.name, "-> " + $0.models.joined(separator: ", else ")] }
            blocks.append(Self.block("aliases", rows))
        }
        if let defaultModel { blocks.append("requests without a model: \(defaultModel)") }
        if let pullServer { blocks.append("new models are pulled by: \(pullServer)") }
        blocks.append("everything else: \(fallbackText)")
        let hasOwn = models?.contains { $0.rule != nil } == true
        blocks.append("rule\(hasOwn ? ", where a pattern has none of its own" : ""): \(routing.rule.rawValue)")
        blocks.append(Self.block(Self.count(modelRules.count, "model rule") + rulesOrigin, modelRules.map(Self.row)))
        if !keys.isEmpty {
            let title = "\(Self.count(keys.count, "key")); requests without one are refused"
            blocks.append(Self.block(title, keys.map(Self.row)))
        }
        let changed = zip(values, Configuration(servers: []).values).filter { $0.text != $1.text }
        if !changed.isEmpty {
            let rows = changed.map { [$0.key, $0.text, "(default \($1.text))"] }
            blocks.append(Self.block("changed from the default", rows))
        }
        return blocks.joined(separator: "\n\n")
    }

    private var listenText: String {
        listen.listeners.map { listener in
            var text = listener.address.description
            if let tls = listener.tls {
                text += " with TLS (\(tls.identity.certificates.path)"
                text += tls.clientAuthorities.map { ", clients need a certificate from \($0.path))" } ?? ")"
            }
            return text
        }.joined(separator: "; ")
    }

    private var fallbackText: String {
        switch fallback {
        case .firstServer: servers.first.map { "\($0.name), the first server" } ?? "no server"
        case .server(let name): name
        case .noServer: "no server; answered with 404"
        }
    }

    private var rulesOrigin: String { modelRules == ModelRule.builtIn ? ", built in" : "" }

    // MARK: Rows

    private static func row(_ server: ServerSettings) -> [String] {
        var notes: [String] = []
        if let url = server.llmhealthURL { notes.append("health from \(url)") }
        if server.apiKey != nil { notes.append("with an API key") }
        if !server.headers.isEmpty { notes.append("sends \(server.headers.map(\.name).joined(separator: ", "))") }
        if let authorities = server.tls.authorities { notes.append("trusts \(authorities.path)") }
        if let name = server.tls.serverName { notes.append("as \(name)") }
        if let identity = server.tls.identity { notes.append("shows \(identity.certificates.path)") }
        if !server.tls.verifies { notes.append("takes any certificate") }
        if !server.hasInstances { notes.append("numbered models are models of their own") }
        let limit = server.requestMax.map { "at most \(count($0, "request"))" } ?? "as many requests as slots"
        return [
            server.name, server.baseURL.description, "kind \(server.kind?.rawValue ?? "auto")", limit,
            notes.joined(separator: ", "),
        ]
    }

    private static func row(_ key: ClientKey) -> [String] {
        let models = key.models.map { $0.map(\.source).joined(separator: ", ") } ?? "all models"
        let expiry = key.expiresAt.map { "until \(UTCTimestamp.text(seconds: $0 / 1000))" } ?? ""
        let limits: [(Int?, KeyLimits.Kind)] = [
            (key.limits.requestMax, .requestMax), (key.limits.requestsPerMinute, .requestsPerMinute),
            (key.limits.tokensPerMinute, .tokensPerMinute), (key.limits.tokensPerDay, .tokensPerDay),
        ]
        let paths = key.paths.map { $0.map(\.rawValue).sorted().joined(separator: ", ") } ?? ""
        var share = key.share.priority.map { "priority \($0.rawValue)" } ?? ""
        if key.share.weight != 1 { share += "\(share.isEmpty ? "" : ", ")weight \(key.share.weight)" }
        let limited = limits.compactMap { limit, kind in limit.map { "\(kind.rawValue) \($0)" } }.joined(separator: ", ")
        return [key.name, models, paths, key.isAdmin ? "admin" : "", expiry, limited, share]
    }

    private static func row(_ rule: ModelRule) -> [String] {
        var conditions: [String] = []
        if let pattern = rule.modelPattern { conditions.append("model has \(pattern)") }
        if !rule.modelSuffixes.isEmpty { conditions.append("ends in \(rule.modelSuffixes.joined(separator: " or "))") }
        if !rule.systemPrefixes.isEmpty {
            let starts = rule.systemPrefixes.map { "\"\($0)\"" }.joined(separator: " or ")
            conditions.append("system message begins \(starts)")
        }
        var changes: [String] = []
        if rule.stripSuffix { changes.append("strip the suffix") }
        if !rule.set.isEmpty { changes.append("set \(rule.set.map(\.name).joined(separator: ", "))") }
        return [conditions.isEmpty ? "always" : conditions.joined(separator: ", "), "-> " + changes.joined(separator: ", ")]
    }

    /// Every value with a default, by its key.
    private var values: [(key: String, text: String)] {
        [
            ("listen", listenText),
            ("listen.names", listen.names.isEmpty ? "none" : listen.names.joined(separator: ", ")),
            ("routing.rule", routing.rule.rawValue),
            ("sticky.ttl", Quantities.text(sticky.ttl)),
            ("sticky.username-pattern", sticky.usernamePattern),
            ("queue.max-waiting", "\(queue.maxWaiting)"),
            ("queue.max-wait", Quantities.text(queue.maxWait)),
            ("queue.max-predicted-wait.interactive", Self.textOrOff(queue.maxPredictedWait.interactive)),
            ("queue.max-predicted-wait.normal", Self.textOrOff(queue.maxPredictedWait.normal)),
            ("queue.max-predicted-wait.bulk", Self.textOrOff(queue.maxPredictedWait.bulk)),
            ("timeouts.connect", Quantities.text(timeouts.connect)),
            ("timeouts.first-byte", Self.textOrOff(timeouts.firstByte)),
            ("timeouts.between-bytes", Self.textOrOff(timeouts.betweenBytes)),
            ("health.interval", Quantities.text(health.interval)),
            ("health.timeout", Quantities.text(health.timeout)),
            ("health.window", "\(health.window)"),
            ("health.busy-timeout", Quantities.text(health.busyTimeout)),
            ("keep-alive-comments", Self.textOrOff(keepAliveComments)),
            ("limits.body", Quantities.text(bytes: limits.body)),
            ("limits.header", Quantities.text(bytes: limits.header)),
            ("limits.connections", "\(limits.connections)"),
            ("limits.retry-body", Quantities.text(bytes: limits.retryBody)),
            ("shutdown-grace", Quantities.text(shutdownGrace)),
            ("access-log", accessLogText),
            ("state-file", stateFileText),
            ("trusted-proxies", trustedProxiesText),
            ("privacy", privacy.rawValue),
            ("volatile-prompts", volatilePromptsText),
            ("cors.origins", originsText),
            ("forward-client-key", forwardsClientKey ? "true" : "false"),
        ]
    }

    private var accessLogText: String {
        switch accessLog {
        case .off: "off"
        case .standardOutput: "-"
        case .file(let path): path
        }
    }

    private var stateFileText: String {
        switch stateFile {
        case .besideConfiguration: "beside this file"
        case .off: "off"
        case .file(let path): path
        }
    }

    private var trustedProxiesText: String {
        guard let trustedProxies else { return "everyone" }
        return trustedProxies.isEmpty ? "no one" : trustedProxies.map(\.description).joined(separator: ", ")
    }

    private var originsText: String {
        guard let origins else { return "all pages, or none if there are keys" }
        return origins.isEmpty ? "none" : origins.contains("*") ? "all pages" : origins.sorted().joined(separator: ", ")
    }

    private var volatilePromptsText: String {
        switch volatilePrompts {
        case .keep: "keep"
        case .replace(let patterns): patterns.isEmpty ? "replace" : "replace, also \(patterns.joined(separator: ", "))"
        }
    }

    private static func textOrOff(_ duration: Duration?) -> String {
        duration.map(Quantities.text) ?? "off"
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        number == 1 ? "1 \(noun)" : "\(number == 0 ? "no" : "\(number)") \(noun)s"
    }
}

// MARK: - Alignment

extension Configuration {
    /// A title and aligned rows below it.
    private static func block(_ title: String, _ rows: [[String]]) -> String {
        guard let columns = rows.map(\.count).max() else { return title }
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? width($0[column]) : 0 }.max() ?? 0
        }
        let lines = rows.map { row in
            let cells = zip(row, widths).map { cell, width in cell + String(repeating: " ", count: width - Self.width(cell)) }
            let line = "  " + cells.joined(separator: "  ")
            return String(line.prefix(upTo: line.lastIndex { $0 != " " }.map(line.index(after:)) ?? line.startIndex))
        }
        return ([title] + lines).joined(separator: "\n")
    }

    /// Columns on a terminal: Chinese, Japanese and Korean characters take two.
    private static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { sum, scalar in
            switch scalar.value {
            case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
                0xFFE0...0xFFE6, 0x20000...0x3FFFD:
                sum + 2
            default: sum + 1
            }
        }
    }
}
