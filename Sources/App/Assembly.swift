import Control
import Proxy
import Routing

/// What a configuration means to each part of the program.
struct Assembly {
    var fleet: Fleet
    var settings: ProxySettings
    var monitored: [MonitoredServer]
    var timing: HealthMonitor.Timing
    var board: ConfigurationBoard.Contents

    /// - Parameter known: state of the previous configuration, so that servers that stay are not disturbed.
    /// - Throws: when the system's certificates are needed and cannot be read.
    init(_ configuration: Configuration, file: String?, loadedAt: Int, known: inout Known) throws {
        let transports = try known.contexts.transports(of: configuration.servers)
        let servers = zip(configuration.servers, transports).map { server, transport in
            (settings: server, id: known.identities.id(of: server), transport: transport)
        }
        let idByName = Dictionary(servers.map { ($0.settings.name, $0.id) }, uniquingKeysWith: { first, _ in first })

        var policy = RoutingPolicy()
        policy.stickyTTL = Interval(configuration.sticky.ttl)
        policy.maxWaiting = configuration.queue.maxWaiting
        policy.maxWait = Interval(configuration.queue.maxWait)
        let predicted = configuration.queue.maxPredictedWait
        policy.longestPrediction = LongestPredictions(
            interactive: predicted.interactive.map { Interval($0) }, normal: predicted.normal.map { Interval($0) },
            bulk: predicted.bulk.map { Interval($0) })
        policy.busyWindow = configuration.health.window
        let fallback: BackendID? =
            switch configuration.fallback {
            case .firstServer: servers.first?.id
            case .server(let name): idByName[name]
            case .noServer: nil
            }
        fleet = Fleet(
            servers: servers.map {
                .init(
                    id: $0.id, name: $0.settings.name, requestMax: $0.settings.requestMax, hasInstances: $0.settings.hasInstances)
            },
            routes: configuration.models.map { patterns in
                patterns.map {
                    .init(
                        pattern: ModelPattern($0.pattern), servers: $0.servers.compactMap { idByName[$0] },
                        rule: $0.rule ?? configuration.routing.rule, priority: $0.priority)
                }
            },
            fallback: fallback, policy: policy)
        fleet.rule = configuration.routing.rule
        fleet.keyLimits = Dictionary(configuration.keys.map { ($0.name, $0.limits) }) { first, _ in first }
        fleet.keyShares = Dictionary(
            configuration.keys.filter { $0.share != KeyShare() }.map { ($0.name, $0.share) }
        ) { first, _ in first }
        fleet.defaultModel = configuration.defaultModel
        fleet.aliases = Dictionary(configuration.aliases.map { ($0.name, $0.models) }) { first, _ in first }

        settings = ProxySettings()
        settings.endpoints = servers.map { server in
            Self.endpoint(
                server.settings, server.id, server.transport, keepsVolatilePrompts: configuration.volatilePrompts == .keep)
        }
        settings.limits.body = configuration.limits.body
        settings.limits.retryBody = configuration.limits.retryBody
        settings.limits.header = configuration.limits.header
        settings.timeouts.connect = Interval(configuration.timeouts.connect)
        settings.timeouts.firstByte = configuration.timeouts.firstByte.map { Interval($0) }
        settings.timeouts.betweenBytes = configuration.timeouts.betweenBytes.map { Interval($0) }
        settings.keepAliveInterval = configuration.keepAliveComments.map { Interval($0) }
        settings.usernamePattern = configuration.sticky.usernamePattern
        settings.pullServer = configuration.pullServer
        settings.modelRules = configuration.modelRules
        if case .replace(let patterns) = configuration.volatilePrompts { settings.volatilePatterns = patterns }
        if let trusted = configuration.trustedProxies {
            settings.forwardingTrust = .proxies(trusted)
        }

        settings.keys = KeyRing(configuration.keys)
        settings.allowedOrigins = configuration.allowedOrigins
        settings.forwardsClientKey = configuration.forwardsClientKey
        settings.localAccess = LocalAccess(names: Self.localNames(configuration.listen, hostName: known.hostName))

        monitored = servers.map { Self.monitored($0.settings, $0.id, $0.transport) }
        timing = .init(
            interval: configuration.health.interval, timeout: configuration.health.timeout,
            busyTimeout: configuration.health.busyTimeout)

        board = ConfigurationBoard.Contents()
        board.file = file
        board.loadedAt = loadedAt
        board.hidesClients = configuration.privacy == .hideClients
        board.servers = servers.map { server in
            .init(
                id: server.id, name: server.settings.name, modelURL: server.settings.baseURL.description,
                healthURL: server.settings.llmhealthURL?.origin ?? server.settings.baseURL.description,
                probedURL: server.settings.llmhealthURL?.description ?? server.settings.baseURL.description,
                requestMax: server.settings.requestMax)
        }
        board.patterns = (configuration.models ?? []).map { .init(pattern: $0.pattern, servers: $0.servers) }
        board.aliases = configuration.aliases.map(\.name)
    }

    /// State that is kept when the configuration changes.
    struct Known: Sendable {
        var identities = BackendIdentities()
        var contexts = TLSContexts()
        var certificates = ListenerCertificates()
        /// This machine's own name, if it is known.
        var hostName: String?
    }

    /// In lower case, because `Host` is compared in lower case. A machine answers to its full name and to the first part of it.
    private static func localNames(_ listen: Configuration.Listen, hostName: String?) -> Set<String> {
        var names = Set(["localhost"] + listen.names + listen.listeners.compactMap(\.address.host))
        if let hostName {
            names.insert(hostName)
            names.insert(String(hostName.prefix { $0 != "." }))
        }
        return Set(names.map { $0.lowercased() })
    }

    private static func endpoint(
        _ server: ServerSettings, _ id: BackendID, _ transport: Transport, keepsVolatilePrompts: Bool
    ) -> BackendEndpoint {
        let keepsConnectionAfterStream =
            switch server.kind {
            case nil, .llamaServer: false
            case .ollama, .vllm, .sglang, .lmStudio, .llamaSwap, .openai: true
            }
        return BackendEndpoint(
            id: id, name: server.name, host: server.baseURL.host, port: server.baseURL.port,
            transport: transport, pathPrefix: server.baseURL.pathPrefix,
            authorization: server.apiKey.map { "Bearer \($0.exposed)" },
            extraHeaders: server.headers,
            keepsConnectionAfterStream: keepsConnectionAfterStream,
            // A cloud may want them.
            keepsVolatilePrompts: keepsVolatilePrompts || server.kind == .openai,
            speaksResponsesOverWebSocket: server.kind == .openai)
    }

    private static func monitored(
        _ server: ServerSettings, _ id: BackendID, _ transport: Transport
    ) -> MonitoredServer {
        var headers = server.headers
        if let key = server.apiKey { headers.append(.init(name: "Authorization", value: "Bearer \(key.exposed)")) }
        return MonitoredServer(
            id: id, name: server.name, engine: target(server.baseURL, transport, headers: headers),
            llmhealth: server.llmhealthURL.map { target($0, transport, headers: []) }, kind: server.kind,
            hasInstances: server.hasInstances)
    }

    private static func target(_ url: BaseURL, _ transport: Transport, headers: [HeaderField]) -> ProbeTarget {
        var prefix = url.pathPrefix
        if prefix.hasSuffix("/llmhealth") { prefix = String(prefix.dropLast("/llmhealth".count)) }
        return ProbeTarget(
            host: url.host, port: url.port, transport: transport, pathPrefix: prefix, headers: headers)
    }
}

/// Gives every server an identity that stays the same as long as its name and address stay the same.
struct BackendIdentities: Sendable {
    private struct Key: Hashable, Sendable {
        var name: String
        var url: BaseURL
    }

    private var known: [Key: BackendID] = [:]
    private var next = 0

    mutating func id(of server: ServerSettings) -> BackendID {
        let key = Key(name: server.name, url: server.baseURL)
        if let id = known[key] { return id }
        let id = BackendID(rawValue: next)
        next += 1
        known[key] = id
        return id
    }
}
