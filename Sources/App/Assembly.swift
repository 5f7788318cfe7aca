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

    /// - Parameter ids: gives a server that stays (same name, same address) the identity it had.
    init(_ configuration: Configuration, file: String?, loadedAt: Int, ids: inout BackendIdentities) {
        let servers = configuration.servers.map { (settings: $0, id: ids.id(of: $0)) }
        let idByName = Dictionary(servers.map { ($0.settings.name, $0.id) }, uniquingKeysWith: { first, _ in first })

        var policy = RoutingPolicy()
        policy.stickyTTL = Interval(configuration.sticky.ttl)
        policy.maxWaiting = configuration.queue.maxWaiting
        policy.maxWait = Interval(configuration.queue.maxWait)
        policy.busyWindow = configuration.health.window
        let fallback: BackendID? =
            switch configuration.fallback {
            case .firstServer: servers.first?.id
            case .server(let name): idByName[name]
            case .noServer: nil
            }
        fleet = Fleet(
            servers: servers.map { .init(id: $0.id, name: $0.settings.name, requestMax: $0.settings.requestMax) },
            routes: configuration.models.map { patterns in
                patterns.map { .init(pattern: ModelPattern($0.pattern), servers: $0.servers.compactMap { idByName[$0] }) }
            },
            fallback: fallback, policy: policy)

        settings = ProxySettings()
        settings.endpoints = servers.map { Self.endpoint($0.settings, $0.id) }
        settings.maxBody = configuration.limits.body
        settings.retryBody = configuration.limits.retryBody
        settings.maxHeader = configuration.limits.header
        settings.connectTimeout = Interval(configuration.timeouts.connect)
        settings.firstByteTimeout = configuration.timeouts.firstByte.map { Interval($0) }
        settings.betweenBytesTimeout = configuration.timeouts.betweenBytes.map { Interval($0) }
        settings.keepAliveInterval = configuration.keepAliveComments.map { Interval($0) }
        settings.usernamePattern = configuration.sticky.usernamePattern
        settings.modelRules = configuration.modelRules.map {
            ModelRule(
                modelPattern: $0.modelPattern, modelSuffixes: $0.modelSuffixes, systemPrefixes: $0.systemPrefixes,
                stripSuffix: $0.stripSuffix, set: $0.set)
        }
        if let trusted = configuration.trustedProxies {
            settings.trustsForwardedFor = { peer in trusted.contains { $0.contains(peer) } }
        }

        monitored = servers.map { Self.monitored($0.settings, $0.id) }
        timing = .init(interval: configuration.health.interval, timeout: configuration.health.timeout)

        board = ConfigurationBoard.Contents()
        board.file = file
        board.loadedAt = loadedAt
        board.hidesClients = configuration.privacy == .hideClients
        board.servers = servers.map { server in
            .init(
                id: server.id, name: server.settings.name, modelURL: server.settings.baseURL.description,
                healthURL: server.settings.llmhealthURL?.origin ?? server.settings.baseURL.description,
                requestMax: server.settings.requestMax)
        }
        board.patterns = (configuration.models ?? []).map { .init(pattern: $0.pattern, servers: $0.servers) }
    }

    private static func endpoint(_ server: ServerSettings, _ id: BackendID) -> BackendEndpoint {
        let keepsConnectionAfterStream =
            switch server.kind {
            case .auto, .llamaServer: false
            case .ollama, .vllm, .sglang, .openai: true
            }
        return BackendEndpoint(
            id: id, name: server.name, host: server.baseURL.host, port: server.baseURL.port,
            usesTLS: server.baseURL.scheme == .https, pathPrefix: server.baseURL.pathPrefix,
            authorization: server.apiKey.map { "Bearer \($0.exposed)" },
            extraHeaders: server.headers.map { .init(name: $0.name, value: $0.value.exposed) },
            keepsConnectionAfterStream: keepsConnectionAfterStream,
            speaksResponsesOverWebSocket: server.kind == .openai)
    }

    private static func monitored(_ server: ServerSettings, _ id: BackendID) -> MonitoredServer {
        var headers = server.headers.map { ProbeTarget.Header(name: $0.name, value: $0.value.exposed) }
        if let key = server.apiKey { headers.append(.init(name: "Authorization", value: "Bearer \(key.exposed)")) }
        let kind: DetectedKind =
            switch server.kind {
            case .auto: .unknown
            case .llamaServer: .llamaServer
            case .ollama: .ollama
            case .vllm: .vllm
            case .sglang: .sglang
            case .openai: .openai
            }
        return MonitoredServer(
            id: id, name: server.name, engine: target(server.baseURL, headers: headers),
            llmhealth: server.llmhealthURL.map { target($0, headers: []) }, kind: kind)
    }

    private static func target(_ url: BaseURL, headers: [ProbeTarget.Header]) -> ProbeTarget {
        var prefix = url.pathPrefix
        if prefix.hasSuffix("/llmhealth") { prefix = String(prefix.dropLast("/llmhealth".count)) }
        return ProbeTarget(
            host: url.host, port: url.port, usesTLS: url.scheme == .https, pathPrefix: prefix, headers: headers)
    }
}

/// Gives every server an identity that lasts while its name and address do.
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
