import Control
import Proxy
import Routing

// `servers`, and the keys that name them: `models` and `fallback_server`.

extension ConfigurationDecoder {
    mutating func servers(_ entries: [Field], of servers: Field?, in root: Field) -> [ServerSettings] {
        let example = #"for example PC1: { url: "http://192.168.1.20:8080" }"#
        if servers == nil {
            if case .object = root.node.content {
                report(at: root.node.position, path: "servers", "missing", hint: "name at least one server, \(example)")
            }
        } else if let servers, case .object([]) = servers.node.content {
            report(servers, "no server", hint: "name at least one, \(example)")
        }
        return entries.compactMap { server($0) }
    }

    private mutating func server(_ field: Field) -> ServerSettings? {
        checkServerName(field)
        let fields = object(field, .server)
        guard case .object = field.node.content else { return nil }
        let baseURL = fields["url"] != nil ? urlForm(fields) : addrForm(fields, of: field)
        let healthPort = integer(fields["health-port"], in: 1...65535)
        let kind = kind(fields["kind"])
        let requestMax = integer(fields["request-max"], in: 0...1_000_000)
        let apiKey = apiKey(fields["api-key"])
        let headers = headers(fields["headers"], withAPIKey: apiKey != nil)
        let hasInstances = hasInstances(fields["instances"])
        let tls = tls(fields["tls"], for: baseURL, at: fields["url"] ?? fields["addr"])
        guard let baseURL else { return nil }

        var result = ServerSettings(name: field.name, baseURL: baseURL)
        result.llmhealthURL = healthPort.map { port in
            BaseURL(scheme: baseURL.scheme, host: baseURL.host, port: port, pathPrefix: "/llmhealth")
        }
        result.kind = kind
        // Zero was "no limit" in the original.
        result.requestMax = requestMax == 0 ? nil : requestMax
        result.apiKey = apiKey
        result.headers = headers
        result.hasInstances = hasInstances
        result.tls = tls
        return result
    }

    private mutating func checkServerName(_ field: Field) {
        let isPrintable = field.name.unicodeScalars.allSatisfy { !($0.properties.generalCategory == .control) }
        let hasOuterSpace = field.name.first?.isWhitespace == true || field.name.last?.isWhitespace == true
        if field.name.isEmpty || !isPrintable || hasOuterSpace {
            report(
                at: field.keyPosition, path: "servers",
                "a server's name is empty, begins or ends with a space, or has a control character",
                hint: "choose a name such as PC1")
        }
    }

    // MARK: Addresses

    private mutating func urlForm(_ fields: Fields) -> BaseURL? {
        for name in ["addr", "model-port"] {
            if let extra = fields[name] {
                report(atKeyOf: extra, "given together with url", hint: "use either url, or addr with model-port")
            }
        }
        guard let field = fields["url"], let text = text(field) else { return nil }
        return url(text, field)?.url
    }

    private mutating func addrForm(_ fields: Fields, of server: Field) -> BaseURL? {
        let port = integer(fields["model-port"], in: 1...65535)
        guard let field = fields["addr"] else {
            guard !fields.hasUnknown else { return nil }
            report(
                atKeyOf: server, "has no address",
                hint: #"add url: "http://192.168.1.20:8080", or addr with model-port"#)
            return nil
        }
        guard let text = text(field), let parsed = url(text, field) else { return nil }
        guard !parsed.namesPort, parsed.url.pathPrefix.isEmpty else {
            let extra = parsed.namesPort ? "port" : "path"
            var url = parsed.url
            if !parsed.namesPort, let port { url.port = port }
            report(
                field, "addr is only scheme and host, but has a \(extra)",
                hint: "write url: \"\(url)\" instead of addr and model-port")
            return nil
        }
        guard fields["model-port"] != nil else {
            guard !fields.hasUnknown else { return nil }
            report(
                atKeyOf: server, "addr without model-port",
                hint: "add model-port, or write url: \"\(parsed.url.scheme.rawValue)://HOST:PORT\" instead")
            return nil
        }
        var url = parsed.url
        if let port { url.port = port }
        return url
    }

    private mutating func url(_ text: String, _ field: Field) -> BaseURL.Parsed? {
        do {
            return try BaseURL.parse(text)
        } catch {
            report(field, error.message, hint: error.hint)
            return nil
        }
    }

    private mutating func kind(_ field: Field?) -> EngineKind? {
        guard let field, let text = text(field), text != "auto" else { return nil }
        if let kind = EngineKind(rawValue: text) { return kind }
        report(field, "unknown kind", hint: Suggestion.hint(for: text, among: ["auto"] + EngineKind.allCases.map(\.rawValue)))
        return nil
    }

    private mutating func hasInstances(_ field: Field?) -> Bool {
        if field.map(isFalse) == true { return false }
        guard let field, let text = text(field) else { return true }
        if text != "auto", text != "off" {
            report(field, "unknown value", hint: Suggestion.hint(for: text, among: ["auto", "off"]))
        }
        return text != "off"
    }

    // MARK: Credentials: reports about them never show their values

    private mutating func apiKey(_ field: Field?) -> Secret? {
        guard let field, let text = text(field) else { return nil }
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            report(
                field, text.isEmpty ? "is empty" : "has a space, a line break or a character outside ASCII",
                hint: text.isEmpty ? "leave it out if the server needs none" : "check the key or the variable that holds it")
            return nil
        }
        return Secret(text)
    }

    private mutating func headers(_ field: Field?, withAPIKey: Bool) -> [HeaderField] {
        var headers: [HeaderField] = []
        for member in members(field) {
            let name = member.name.lowercased()
            let value = text(member)
            if !isToken(member.name) {
                report(atKeyOf: member, "not a header's name", hint: "use letters, digits and hyphens")
            } else if Self.ownHeaders.contains(name) {
                report(atKeyOf: member, "this header is set by the balancer itself", hint: "remove it")
            } else if name == "authorization", withAPIKey {
                report(atKeyOf: member, "given together with api-key", hint: "keep one of the two")
            } else if headers.contains(where: { $0.name.lowercased() == name }) {
                report(atKeyOf: member, "the same header twice", hint: "capitals make no difference; keep one")
            } else if let value {
                if isHeaderValue(value) {
                    headers.append(HeaderField(name: member.name, value: value))
                } else {
                    report(
                        member, "the value has a line break or another control character, or a space at an end",
                        hint: "check the value or the variable that holds it")
                }
            }
        }
        return headers
    }

    /// Fields for connection, framing and forwarding: if the configuration set them, every request would break.
    private static let ownHeaders: Set<String> = [
        "host", "connection", "content-length", "transfer-encoding", "keep-alive", "te", "trailer", "upgrade", "expect",
        "proxy-connection", "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id",
    ]

    private func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || "0123456789!#$%&'*+-.^_`|~".unicodeScalars.contains($0))
            }
    }

    private func isHeaderValue(_ value: String) -> Bool {
        let isPrintable = value.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }
        return isPrintable && value.first?.isWhitespace != true && value.last?.isWhitespace != true
    }
}

// MARK: - Keys that name models

extension ConfigurationDecoder {
    mutating func modelName(_ field: Field?) -> String? {
        guard let field, let name = text(field) else { return nil }
        if name.isEmpty { report(field, "is empty", hint: "write a model's name, or leave the key out") }
        return name
    }

    /// A model, or a list of models in order of preference, for each name.
    mutating func aliases(_ field: Field?) -> [Configuration.Alias] {
        let members = members(field)
        let names = Set(members.map(\.name))
        return members.map { member in
            let items = oneOrMore(member)
            if items.isEmpty { report(member, "names no model") }
            let models = items.compactMap { item -> String? in
                guard let model = modelName(item) else { return nil }
                if names.contains(model) {
                    report(item, "\"\(model)\" is an alias itself", hint: "name models that servers list")
                }
                return model
            }
            return Configuration.Alias(name: member.name, models: models)
        }
    }
}

// MARK: - Keys that name servers

extension ConfigurationDecoder {
    mutating func models(_ field: Field?, servers: [String]) -> [Configuration.ModelPattern]? {
        guard let field else { return nil }
        return members(field).map { member in
            _ = checkRegex(member.name, at: member.keyPosition, path: member.path)
            var names: [String] = []
            var (list, rule, priority) = (member, PickingRule?.none, PriorityClass.normal)
            if case .object = member.node.content {
                let fields = object(member, .modelPattern)
                rule = self.rule(fields["rule"])
                priority = self.priority(fields["priority"]) ?? priority
                guard let servers = fields["servers"] else {
                    report(member, "names no server", hint: "add servers: [\(servers.joined(separator: ", "))]")
                    return Configuration.ModelPattern(pattern: member.name, servers: [], rule: rule)
                }
                list = servers
            }
            for item in items(list) {
                guard let name = text(item), isServer(name, item, servers), !names.contains(name) else { continue }
                names.append(name)
            }
            if case .list([]) = list.node.content {
                report(list, "names no server", hint: "valid: \(servers.joined(separator: ", "))")
            }
            return Configuration.ModelPattern(pattern: member.name, servers: names, rule: rule, priority: priority)
        }
    }

    mutating func fallback(_ fields: Fields, servers: [String]) -> Configuration.Fallback {
        let original = fields.including(null: "fallback_server")
        let hyphenated = fields.including(null: "fallback-server")
        if original != nil, let hyphenated {
            report(atKeyOf: hyphenated, "given together with fallback_server", hint: "keep one of the two")
        }
        guard let field = original ?? hyphenated else { return .firstServer }
        if field.node.content == .null { return .noServer }
        guard let name = text(field), isServer(name, field, servers) else { return .firstServer }
        return .server(name)
    }

    /// `pull-server`; nil: the fallback.
    mutating func pullServer(_ field: Field?, servers: [String]) -> String? {
        guard let field, let name = text(field), isServer(name, field, servers) else { return nil }
        return name
    }

    private mutating func isServer(_ name: String, _ field: Field, _ servers: [String]) -> Bool {
        if servers.contains(name) { return true }
        // If there is no server at all, that is the problem, and it is reported already.
        if !servers.isEmpty {
            report(field, "no server is named \"\(name)\"", hint: Suggestion.hint(for: name, among: servers))
        }
        return false
    }
}
