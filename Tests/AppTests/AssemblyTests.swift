import Control
import Proxy
import Routing
import Testing
import Wire

@testable import App

@Suite("What a configuration means to each part") struct AssemblyTests {
    private func assembly(_ text: String, file: String? = "f.yaml") throws -> Assembly {
        var known = Assembly.Known()
        return try Assembly(try configuration(text), file: file, loadedAt: 1_795_464_900_000, known: &known)
    }

    private static let two = """
        servers:
          PC1: { addr: "http://192.168.1.20/", health-port: 18000, model-port: 8081, request-max: 1 }
          PC2: { url: "https://[fd00::2]:8443/base/", kind: vllm, api-key: "k3y", headers: { X-Token: "t0ken" } }

        """

    @Test("servers become backends, in order, with their limits")
    func fleet() throws {
        let fleet = try assembly(Self.two).fleet
        #expect(fleet.servers.map(\.name) == ["PC1", "PC2"])
        #expect(fleet.servers.map(\.requestMax) == [1, nil])
        #expect(Set(fleet.servers.map(\.id)).count == 2)
        #expect(fleet.routes == nil)
    }

    @Test("patterns keep their order and refer to the servers' identities")
    func routes() throws {
        let fleet = try assembly(Self.two + "models: { 'gpt-oss.*': [PC2, PC1], '.*': [PC1] }").fleet
        let (first, second) = (fleet.servers[0].id, fleet.servers[1].id)
        #expect(
            fleet.routes == [
                .init(pattern: ModelPattern("gpt-oss.*"), servers: [second, first], rule: .expectedCost),
                .init(pattern: ModelPattern(".*"), servers: [first], rule: .expectedCost),
            ])
        #expect(try assembly(Self.two + "models: {}").fleet.routes == [])
    }

    @Test("a pattern has the rule of its own, else that of routing.rule")
    func rules() throws {
        let fleet = try assembly(
            Self.two + "routing: { rule: sticky }\nmodels: { a: { servers: [PC1], rule: round-robin }, b: [PC2] }"
        ).fleet
        #expect(fleet.rule == .sticky)
        #expect(fleet.routes?.map(\.rule) == [.roundRobin, .sticky])
        #expect(try assembly(Self.two).fleet.rule == .expectedCost)
    }

    @Test(
        "the fallback is the first server, the named one, or none",
        arguments: [
            ("", 0), ("fallback_server: PC2", 1), ("fallback-server: PC2", 1), ("fallback_server: PC1", 0),
            ("fallback_server: null", nil),
        ] as [(String, Int?)])
    func fallback(line: String, expected: Int?) throws {
        let fleet = try assembly(Self.two + line).fleet
        #expect(fleet.fallback == expected.map { fleet.servers[$0].id })
    }

    @Test("the router's numbers come from the file")
    func policy() throws {
        let policy = try assembly(
            Self.two + "sticky: { ttl: 7s }\nqueue: { max-waiting: 3, max-wait: 9s }\nhealth: { window: 2 }"
        ).fleet.policy
        #expect(policy.stickyTTL == .seconds(7))
        #expect(policy.maxWaiting == 3)
        #expect(policy.maxWait == .seconds(9))
        #expect(policy.busyWindow == 2)
        #expect(try assembly(Self.two).fleet.policy == RoutingPolicy(), "without keys everything is the router's default")
    }

    @Test("classes come from the file, and the longest predicted wait of each")
    func classes() throws {
        let fleet = try assembly(
            Self.two + "models: { a: { servers: [PC1], priority: bulk }, b: [PC2] }\n"
                + "queue: { max-predicted-wait: { interactive: 5s, bulk: 1h } }"
        ).fleet
        #expect(fleet.routes?.map(\.priority) == [.bulk, .normal])
        #expect(fleet.policy.longestPrediction == LongestPredictions(interactive: .seconds(5), bulk: .seconds(3600)))
    }

    @Test("each backend can be reached as the file says, with its key and headers")
    func endpoints() throws {
        let assembly = try assembly(Self.two)
        let endpoints = assembly.settings.endpoints
        #expect(endpoints.map(\.id) == assembly.fleet.servers.map(\.id))
        #expect(
            endpoints[0]
                == BackendEndpoint(id: endpoints[0].id, name: "PC1", host: "192.168.1.20", port: 8081))
        #expect(
            endpoints[1]
                == BackendEndpoint(
                    id: endpoints[1].id, name: "PC2", host: "fd00::2", port: 8443, transport: endpoints[1].address.transport,
                    pathPrefix: "/base",
                    authorization: "Bearer k3y", extraHeaders: [.init(name: "X-Token", value: "t0ken")],
                    keepsConnectionAfterStream: true))
    }

    @Test("names for models, instances and volatile prompts reach the parts that need them")
    func modelNames() throws {
        let text = """
            servers:
              A: { url: "http://a:1" }
              B: { url: "https://cloud:1", kind: openai, instances: off }
            default-model: m
            aliases: { best: [big, small] }
            volatile-prompts: ["Now: .*"]
            health: { busy-timeout: 1m }
            """
        let assembly = try assembly(text)
        #expect(assembly.fleet.defaultModel == "m" && assembly.fleet.aliases == ["best": ["big", "small"]])
        #expect(assembly.board.aliases == ["best"])
        #expect(assembly.fleet.servers.map(\.hasInstances) == [true, false])
        #expect(assembly.monitored.map(\.hasInstances) == [true, false])
        #expect(assembly.settings.volatilePatterns == ["Now: .*"])
        #expect(assembly.settings.endpoints.map(\.keepsVolatilePrompts) == [false, true], "a cloud may want them")
        #expect(assembly.timing.busyTimeout == .seconds(60))
        let kept = try self.assembly("servers: { A: { url: 'http://a:1' } }\nvolatile-prompts: keep")
        #expect(kept.settings.endpoints.map(\.keepsVolatilePrompts) == [true])
    }

    @Test("health is asked at the health port without secrets, else at the engine with them")
    func monitored() throws {
        let assembly = try assembly(Self.two)
        let (first, second) = (assembly.monitored[0], assembly.monitored[1])
        #expect(first.engine == ProbeTarget(host: "192.168.1.20", port: 8081))
        #expect(first.llmhealth == ProbeTarget(host: "192.168.1.20", port: 18000))
        #expect(first.kind == nil)
        #expect(second.llmhealth == nil)
        #expect(second.kind == .vllm)
        #expect(
            second.engine
                == ProbeTarget(
                    host: "fd00::2", port: 8443, transport: second.engine.address.transport, pathPrefix: "/base",
                    headers: [.init(name: "X-Token", value: "t0ken"), .init(name: "Authorization", value: "Bearer k3y")]))
        #expect(assembly.monitored.map(\.id) == assembly.fleet.servers.map(\.id))
    }

    @Test("every kind that can be written is watched as that kind", arguments: EngineKind.allCases)
    func kinds(kind: EngineKind) throws {
        let monitored = try assembly("servers: { a: { url: 'http://h:1', kind: \(kind.rawValue) } }").monitored
        #expect(monitored.first?.kind == kind)
    }

    @Test("a kind that is left out is found out", arguments: ["", ", kind: auto"])
    func foundOut(kind: String) throws {
        #expect(try assembly("servers: { a: { url: 'http://h:1'\(kind) } }").monitored.first?.kind == nil)
    }

    @Test("without keys everything is the proxy's default")
    func defaults() throws {
        let (found, standard) = (try assembly(Self.two).settings, ProxySettings())
        #expect(found.limits.body == standard.limits.body && found.limits.retryBody == standard.limits.retryBody)
        #expect(found.limits.header == standard.limits.header && found.timeouts.connect == standard.timeouts.connect)
        #expect(found.timeouts.firstByte == standard.timeouts.firstByte)
        #expect(found.timeouts.betweenBytes == standard.timeouts.betweenBytes)
        #expect(found.keepAliveInterval == standard.keepAliveInterval)
    }

    @Test("limits, time limits, rules and the rest reach the proxy")
    func settings() throws {
        let settings = try assembly(
            Self.two + """
                limits: { body: 5MB, header: 2KB }
                timeouts: { connect: 2s, first-byte: 3s, between-bytes: 4s }
                keep-alive-comments: off
                trusted-proxies: [10.0.0.0/8]
                sticky: { username-pattern: 'I am (\\w+)' }
                model-rules: [{ match: { model-suffix: [-x] }, strip-suffix: true, set: { top_k: 1 } }]
                """
        ).settings
        #expect(settings.limits.body == 5 << 20)
        #expect(settings.limits.header == 2048)
        #expect(settings.timeouts.connect == .seconds(2))
        #expect(settings.timeouts.firstByte == .seconds(3))
        #expect(settings.timeouts.betweenBytes == .seconds(4))
        #expect(settings.keepAliveInterval == nil)
        #expect(settings.usernamePattern == #"I am (\w+)"#)
        #expect(
            settings.modelRules == [
                ModelRule(modelSuffixes: ["-x"], stripSuffix: true, set: [.init(name: "top_k", value: 1)])
            ])
        let range = try #require(AddressRange("10.0.0.0/8"))
        #expect(settings.forwardingTrust == .proxies([range]))
        #expect(try assembly(Self.two).settings.forwardingTrust == .everyone, "left out: everybody's, as in the original")
    }

    @Test("/admin/ answers under the machine's name, its first part, and the names that are configured")
    func localNames() throws {
        var known = Assembly.Known(hostName: "PC1.lan")
        let text = "servers: { a: { url: 'http://h' } }\nlisten: { host: balancer.lan, names: [Other] }"
        let assembly = try Assembly(try configuration(text), file: nil, loadedAt: 0, known: &known)
        #expect(assembly.settings.localAccess.names == ["localhost", "pc1.lan", "pc1", "balancer.lan", "other"])
    }

    @Test("what is shown of the configuration has addresses and patterns, but no secret")
    func board() throws {
        let board = try assembly(Self.two + "models: { 'm.*': [PC2] }").board
        #expect(board.servers.map(\.modelURL) == ["http://192.168.1.20:8081", "https://[fd00::2]:8443/base"])
        #expect(board.servers.map(\.healthURL) == ["http://192.168.1.20:18000", "https://[fd00::2]:8443/base"])
        #expect(board.servers.map(\.requestMax) == [1, nil])
        #expect(board.patterns == [.init(pattern: "m.*", servers: ["PC2"])])
        #expect(board.file == "f.yaml")
        #expect(board.loadedAt == 1_795_464_900_000)
        #expect(board.problems == nil)
        let shown = String(reflecting: board)
        #expect(!shown.contains("k3y") && !shown.contains("t0ken"))
    }

    @Test("a server keeps its identity while name and address stay, and never gets another's")
    func identities() throws {
        var known = Assembly.Known()
        func load(_ servers: String) throws -> [String: BackendID] {
            let assembly = try Assembly(
                try configuration("servers: { \(servers) }"), file: nil, loadedAt: 0, known: &known)
            return Dictionary(uniqueKeysWithValues: assembly.fleet.servers.map { ($0.name, $0.id) })
        }
        let first = try load("a: { url: 'http://h:1' }, b: { url: 'http://h:2' }")
        let second = try load("b: { url: 'http://h:2', request-max: 5 }, c: { url: 'http://h:3' }, a: { url: 'http://h:1' }")
        #expect(second["a"] == first["a"])
        #expect(second["b"] == first["b"], "other settings do not matter, nor does the order")
        let moved = try load("a: { url: 'http://h:9' }, d: { url: 'http://h:2' }")
        #expect(Set(moved.values).isDisjoint(with: second.values))
        #expect(try load("a: { url: 'http://h:1' }")["a"] == first["a"], "it has come back")
    }
}
