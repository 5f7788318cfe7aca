import Proxy
import Routing

/// Makes a `Configuration` from a file's tree. It goes on after a problem, so that one run shows all of them; a value that
/// cannot be used leaves the default in its place, and the result counts only if there are no problems.
struct ConfigurationDecoder {
    let file: String
    let environment: [String: String]
    private(set) var problems: [Problem] = []
    /// Further files that the configuration names.
    var files: [String] = []

    init(file: String, environment: [String: String]) {
        self.file = file
        self.environment = environment
    }

    mutating func decode(_ tree: ConfigurationNode) -> Configuration {
        let root = filled(Field(path: "", node: tree, keyPosition: tree.position))
        let fields = object(root, .file)
        let serverFields = members(fields["servers"])
        var result = Configuration(servers: servers(serverFields, of: fields["servers"], in: root))
        let names = serverFields.map(\.name)

        _ = text(fields["$schema"])
        result.listen = listen(fields["listen"])
        result.models = models(fields["models"], servers: names)
        result.fallback = fallback(fields, servers: names)
        result.pullServer = pullServer(fields["pull-server"], servers: names)
        result.defaultModel = modelName(fields["default-model"])
        result.aliases = aliases(fields["aliases"])
        result.routing.rule = rule(object(fields["routing"], .routing)["rule"]) ?? result.routing.rule
        result.sticky = sticky(fields["sticky"])
        result.queue = queue(fields["queue"])
        result.timeouts = timeouts(fields["timeouts"])
        result.health = health(fields["health"])
        result.keepAliveComments = durationOrOff(fields["keep-alive-comments"], default: result.keepAliveComments)
        result.limits = limits(fields["limits"])
        result.shutdownGrace = duration(fields["shutdown-grace"]) ?? result.shutdownGrace
        result.accessLog = accessLog(fields["access-log"])
        result.stateFile = stateFile(fields["state-file"])
        result.trustedProxies = trustedProxies(fields["trusted-proxies"])
        result.privacy = privacy(fields["privacy"])
        result.volatilePrompts = volatilePrompts(fields["volatile-prompts"])
        result.modelRules = modelRules(fields["model-rules"])
        result.origins = origins(object(fields["cors"], .cors)["origins"])
        if let field = fields.including(null: "keys"), field.node.content == .null {
            report(field, "has no value, so nobody would need a key", hint: "leave it out if that is meant")
        }
        result.keys = keys(fields["keys"])
        if let field = fields.including(null: "keys-file"), field.node.content == .null {
            report(field, "has no value, so its keys would be missing", hint: "leave it out if that is meant")
        }
        result.keysFile = text(fields["keys-file"])
        if let field = fields["keys-file"], let file = result.keysFile {
            result.keys = keys(inFile: file, field, beside: result.keys)
        }
        let hasKeys = fields["keys"] != nil || fields["keys-file"] != nil
        result.forwardsClientKey = forwardsClientKey(fields["forward-client-key"], hasKeys: hasKeys)
        result.otherFiles = files
        return result
    }

    /// Adds the problems of another file.
    mutating func take(_ others: [Problem]) { problems += others }

    mutating func report(_ field: Field, _ message: String, hint: String? = nil) {
        report(at: field.node.position, path: field.path, message, hint: hint)
    }

    mutating func report(atKeyOf field: Field, _ message: String, hint: String? = nil) {
        report(at: field.keyPosition, path: field.path, message, hint: hint)
    }

    mutating func report(at position: TextPosition, path: String, _ message: String, hint: String? = nil) {
        problems.append(Problem(file: file, position: position, keyPath: path, message: message, hint: hint))
    }
}

// MARK: - The sections with plain values

extension ConfigurationDecoder {
    private mutating func sticky(_ field: Field?) -> Configuration.Sticky {
        let fields = object(field, .sticky)
        var result = Configuration.Sticky()
        result.ttl = duration(fields["ttl"]) ?? result.ttl
        if let pattern = regex(fields["username-pattern"]), let field = fields["username-pattern"] {
            if Self.groupCount(pattern) == 0 {
                report(field, "the pattern has no group", hint: "put ( ) around the part that is the user's name")
            }
            result.usernamePattern = pattern
        }
        return result
    }

    mutating func rule(_ field: Field?) -> PickingRule? {
        guard let field, let text = text(field) else { return nil }
        if let rule = PickingRule(rawValue: text) { return rule }
        report(field, "unknown rule", hint: Suggestion.hint(for: text, among: Simulate.rules.map(\.rawValue)))
        return nil
    }

    mutating func priority(_ field: Field?) -> PriorityClass? {
        guard let field, let text = text(field) else { return nil }
        if let priority = PriorityClass(rawValue: text) { return priority }
        report(field, "unknown class", hint: Suggestion.hint(for: text, among: PriorityClass.allCases.map(\.rawValue)))
        return nil
    }

    private mutating func queue(_ field: Field?) -> Configuration.Queue {
        let fields = object(field, .queue)
        var result = Configuration.Queue()
        result.maxWaiting = integer(fields["max-waiting"], in: 0...1_000_000) ?? result.maxWaiting
        result.maxWait = duration(fields["max-wait"]) ?? result.maxWait
        let predicted = object(fields["max-predicted-wait"], .maxPredictedWait, hint: "name the class, as in { bulk: 30s }")
        result.maxPredictedWait.interactive = duration(predicted["interactive"])
        result.maxPredictedWait.normal = duration(predicted["normal"])
        result.maxPredictedWait.bulk = duration(predicted["bulk"])
        return result
    }

    private mutating func timeouts(_ field: Field?) -> Configuration.Timeouts {
        let fields = object(field, .timeouts)
        var result = Configuration.Timeouts()
        result.connect = duration(fields["connect"], atLeast: Self.shortest) ?? result.connect
        result.firstByte = durationOrOff(fields["first-byte"], default: result.firstByte)
        result.betweenBytes = durationOrOff(fields["between-bytes"], default: result.betweenBytes)
        return result
    }

    private mutating func health(_ field: Field?) -> Configuration.Health {
        let fields = object(field, .health)
        var result = Configuration.Health()
        result.interval = duration(fields["interval"], atLeast: Self.shortest) ?? result.interval
        result.timeout = duration(fields["timeout"], atLeast: Self.shortest) ?? result.timeout
        result.window = integer(fields["window"], in: 1...64) ?? result.window
        result.busyTimeout = duration(fields["busy-timeout"], atLeast: Self.shortest) ?? result.busyTimeout
        return result
    }

    private mutating func limits(_ field: Field?) -> Configuration.Limits {
        let fields = object(field, .limits)
        var result = Configuration.Limits()
        result.body = size(fields["body"], atLeast: 1) ?? result.body
        result.header = size(fields["header"], atLeast: 1024) ?? result.header
        result.connections = integer(fields["connections"], in: 1...1_000_000) ?? result.connections
        result.retryBody = size(fields["retry-body"], atLeast: 0) ?? result.retryBody
        return result
    }

    private mutating func accessLog(_ field: Field?) -> Configuration.AccessLog {
        if field.map(isFalse) == true { return .off }
        guard let field, let text = text(field) else { return .off }
        switch text {
        case "off": return .off
        case "-": return .standardOutput
        case "":
            report(field, "is empty", hint: #"write off, "-" (standard output) or a file's path"#)
            return .off
        default:
            if text.utf8.contains(0) { report(field, "a path cannot contain a NUL") }
            return .file(text)
        }
    }

    private mutating func stateFile(_ field: Field?) -> Configuration.StateFileSetting {
        if field.map(isFalse) == true { return .off }
        guard let field, let text = text(field) else { return .besideConfiguration }
        if text.isEmpty { report(field, "is empty", hint: "write off, or a file's path") }
        if text.utf8.contains(0) { report(field, "a path cannot contain a NUL") }
        return text == "off" ? .off : .file(text)
    }

    private mutating func privacy(_ field: Field?) -> Configuration.Privacy {
        if field.map(isFalse) == true { return .off }
        guard let field, let text = text(field) else { return .off }
        if let privacy = Configuration.Privacy(rawValue: text) { return privacy }
        report(
            field, "unknown value", hint: Suggestion.hint(for: text, among: Configuration.Privacy.allCases.map(\.rawValue)))
        return .off
    }

    private mutating func volatilePrompts(_ field: Field?) -> Configuration.VolatilePrompts {
        guard let field else { return .replace(patterns: []) }
        if case .list = field.node.content { return .replace(patterns: items(field).compactMap { regex($0) }) }
        guard let text = text(field) else { return .replace(patterns: []) }
        if text == "keep" { return .keep }
        if text != "replace" {
            report(field, "unknown value", hint: "write replace, keep, or a list of regular expressions")
        }
        return .replace(patterns: [])
    }

    private mutating func forwardsClientKey(_ field: Field?, hasKeys: Bool) -> Bool {
        guard let field, let forwards = boolean(field) else { return false }
        if !hasKeys {
            report(
                field, "there are no keys", hint: "without keys, the client's own key always reaches the server; remove this line"
            )
        }
        return forwards
    }

    private mutating func trustedProxies(_ field: Field?) -> [AddressRange]? {
        guard let field else { return nil }
        var ranges: [AddressRange] = []
        for item in items(field) {
            guard let text = text(item) else { continue }
            if let range = AddressRange(text) {
                ranges.append(range)
            } else {
                report(item, "not an address range", hint: "for example 10.0.0.0/8, fd00::/8 or 192.168.1.20")
            }
        }
        return ranges
    }

    /// Shorter times can only be mistakes, and would keep a processor busy.
    private static let shortest = Duration.milliseconds(10)
}
