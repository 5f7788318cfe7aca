import Control
import Proxy
import Testing
import Wire

@testable import App

/// The configuration of a text that is expected to be valid.
func configuration(_ text: String, environment: [String: String] = [:]) throws -> Configuration {
    try ConfigurationLoader.load(text: text, file: "test.yaml", environment: environment).get()
}

/// The messages for a text that is expected to be invalid, without the file's name.
func problems(_ text: String, environment: [String: String] = [:]) -> [String] {
    switch ConfigurationLoader.load(text: text, file: "f", environment: environment) {
    case .success: []
    case .failure(let problems): problems.list.map { String($0.description.dropFirst("f:".count)) }
    }
}

/// A file with one server and what is given.
func withServer(_ rest: String) -> String { "servers: { a: { url: 'http://h:1' } }\n" + rest }

@Suite("Configuration values") struct ConfigurationValueTests {
    @Test("left out keys have the documented defaults")
    func defaults() throws {
        let found = try configuration(withServer(""))
        #expect(found.listen == .init(.everywhere(port: 18000)))
        #expect(found.models == nil)
        #expect(found.fallback == .firstServer)
        #expect(found.sticky.ttl == .seconds(180))
        #expect(found.queue.maxWaiting == 256)
        #expect(found.queue.maxWait == .seconds(600))
        #expect(found.timeouts.connect == .seconds(5))
        #expect(found.timeouts.firstByte == nil)
        #expect(found.timeouts.betweenBytes == nil)
        #expect(found.health.interval == .seconds(1))
        #expect(found.health.timeout == .seconds(2))
        #expect(found.health.window == 5)
        #expect(found.keepAliveComments == .seconds(15))
        #expect(found.limits.body == 268_435_456)
        #expect(found.limits.header == 65_536)
        #expect(found.limits.connections == 8192)
        #expect(found.limits.retryBody == 33_554_432)
        #expect(found.shutdownGrace == .seconds(30))
        #expect(found.accessLog == .off)
        #expect(found.trustedProxies == nil)
        #expect(found.modelRules == ModelRule.builtIn)
        let server = try #require(found.servers.first)
        #expect(server == ServerSettings(name: "a", baseURL: BaseURL(scheme: .http, host: "h", port: 1)))
    }

    @Test("a value in the wrong form is answered with the right one; of the rules, the default comes first")
    func hints() {
        #expect(
            problems(withServer("queue: { max-predicted-wait: 30s }"))
                == [
                    "2:30: error: queue.max-predicted-wait: expected an object, found the text \"30s\"; name the class, as in { bulk: 30s }"
                ])
        #expect(
            problems(withServer("routing: { rule: fastest }")).first?
                .hasPrefix("2:18: error: routing.rule: unknown rule; valid: expected-cost, sticky, ") == true)
    }

    @Test("what is in force is shown: where it listens, and by which rule it chooses")
    func inForce() throws {
        let plain = try configuration(withServer("")).summary
        #expect(plain.hasPrefix("listens on all addresses, port 18000\n"))
        #expect(plain.contains("\n\nrule: expected-cost\n"))
        let other = try configuration(
            withServer(
                "listen: { host: '::1', port: 0 }\nrouting: { rule: sticky }\nmodels: { m: { servers: [a], rule: round-robin } }")
        ).summary
        #expect(other.hasPrefix("listens on ::1, any free port\n"))
        #expect(other.contains("\n\nrule, where a pattern has none of its own: sticky\n"))
    }

    @Test("every key changes the value it names")
    func everyKey() throws {
        let found = try configuration(
            """
            $schema: x
            listen: { host: "::1", port: 0 }
            servers:
              b: { url: "https://engine.example/base/", kind: vllm, request-max: 4, api-key: k, headers: { X-A: one, X-B: "2" } }
              a: { addr: "http://10.0.0.1/", health-port: 18000, model-port: 8081 }
            models: { 'z.*': [a, b], 'a.*': [b] }
            fallback-server: a
            sticky: { ttl: 5m, username-pattern: 'user: (\\w+)' }
            queue: { max-waiting: 0, max-wait: 90 }
            timeouts: { connect: 1s, first-byte: 1h, between-bytes: 0.5 }
            health: { interval: 500ms, timeout: 1500ms, window: 3 }
            keep-alive-comments: off
            limits: { body: 1GB, header: 8KB, connections: 10, retry-body: 1024 }
            shutdown-grace: 0
            access-log: "-"
            trusted-proxies: [10.0.0.0/8]
            privacy: hide-clients
            model-rules: []
            """)
        var expected = Configuration(servers: [
            ServerSettings(name: "b", baseURL: BaseURL(scheme: .https, host: "engine.example", port: 443, pathPrefix: "/base")),
            ServerSettings(name: "a", baseURL: BaseURL(scheme: .http, host: "10.0.0.1", port: 8081)),
        ])
        expected.servers[0].kind = .vllm
        expected.servers[0].requestMax = 4
        expected.servers[0].apiKey = Secret("k")
        expected.servers[0].headers = [.init(name: "X-A", value: Secret("one")), .init(name: "X-B", value: Secret("2"))]
        expected.servers[1].llmhealthURL = BaseURL(scheme: .http, host: "10.0.0.1", port: 18000, pathPrefix: "/llmhealth")
        expected.listen = .init(.tcp(host: "::1", port: 0))
        expected.models = [.init(pattern: "z.*", servers: ["a", "b"]), .init(pattern: "a.*", servers: ["b"])]
        expected.fallback = .server("a")
        expected.sticky.ttl = .seconds(300)
        expected.sticky.usernamePattern = #"user: (\w+)"#
        expected.queue.maxWaiting = 0
        expected.queue.maxWait = .seconds(90)
        expected.timeouts.connect = .seconds(1)
        expected.timeouts.firstByte = .seconds(3600)
        expected.timeouts.betweenBytes = .milliseconds(500)
        expected.health.interval = .milliseconds(500)
        expected.health.timeout = .milliseconds(1500)
        expected.health.window = 3
        expected.keepAliveComments = nil
        expected.limits.body = 1 << 30
        expected.limits.header = 8192
        expected.limits.connections = 10
        expected.limits.retryBody = 1024
        expected.shutdownGrace = .zero
        expected.accessLog = .standardOutput
        expected.trustedProxies = [try #require(AddressRange("10.0.0.0/8"))]
        expected.privacy = .hideClients
        expected.modelRules = []
        #expect(found == expected)
    }

    @Test("a model rule keeps the values it sets as the JSON they are")
    func modelRule() throws {
        let found = try configuration(
            withServer(
                """
                model-rules:
                  - match: { model: "Qwen.*", model-suffix: [-a, -b], system-starts-with: You are }
                    strip-suffix: true
                    set: { n: 1e3, t: 0.20, yes: yes, on: true, none: null, list: [1, "1"], deep: { z: 1, a: "" } }
                  - set: { x: 1 }
                """))
        #expect(
            found.modelRules == [
                ModelRule(
                    modelPattern: "Qwen.*", modelSuffixes: ["-a", "-b"], systemPrefixes: ["You are"], stripSuffix: true,
                    set: [
                        .init(name: "n", value: .number("1e3")), .init(name: "t", value: .number("0.20")),
                        .init(name: "yes", value: "yes"), .init(name: "on", value: true), .init(name: "none", value: nil),
                        .init(name: "list", value: [1, "1"]), .init(name: "deep", value: ["z": 1, "a": ""]),
                    ]),
                ModelRule(set: [.init(name: "x", value: 1)]),
            ])
    }

    @Test("the built-in rules know the effort suffixes, and leave other endings alone")
    func builtInRules() {
        #expect(ModelRule.builtIn.map(\.modelSuffixes) == [["-low"], ["-medium"], ["-high"]])
        #expect(ModelRule.builtIn.allSatisfy { $0.modelPattern == "gpt-oss" && !$0.stripSuffix })
        #expect(
            ModelRule.builtIn.first?.set
                == [.init(name: "chat_template_kwargs", value: ["reasoning_effort": "low"])])
    }

    @Test("null is the same as leaving a key out, but for the fallback server")
    func null() throws {
        let text = withServer("fallback_server: null\nmodels:\nsticky: ~\nqueue: { max-wait: null }\nmodel-rules: null")
        var expected = Configuration(servers: try configuration(withServer("")).servers)
        expected.fallback = .noServer
        #expect(try configuration(text) == expected)
    }

    @Test("no model patterns at all is not the same as no `models`")
    func emptyModels() throws {
        #expect(try configuration(withServer("models: {}")).models == [])
        #expect(try configuration(withServer("model-rules: []")).modelRules == [])
        #expect(try configuration(withServer("trusted-proxies: []")).trustedProxies == [])
    }

    @Test("the original's zero means no limit of its own, and a server listed twice counts once")
    func originalTolerance() throws {
        let found = try configuration(
            #"{"servers":{"a":{"addr":"http://h","health-port":1,"model-port":2,"request-max":0}},"models":{"x":["a","a"]}}"#)
        #expect(found.servers.first?.requestMax == nil)
        #expect(found.models == [.init(pattern: "x", servers: ["a"])])
    }

    @Test(
        "the default user name pattern finds the name in each of the original's quotes",
        arguments: ["「太郎」", "『太郎』", "“太郎”", "\"太郎\"", "'太郎'"])
    func usernamePattern(quoted: String) throws {
        let regex = try Regex(Configuration.Sticky().usernamePattern)
        let match = try #require("前置き。ユーザーの名前は\(quoted)です。".firstMatch(of: regex))
        #expect(match.output[1].substring == "太郎")
    }

    @Test("a secret cannot be printed by accident")
    func secrets() throws {
        let found = try configuration("servers: { a: { url: 'http://h:1', api-key: sk-secret, headers: { X-Key: sk-secret } } }")
        var dumped = ""
        dump(found, to: &dumped)
        for text in ["\(found)", String(reflecting: found), dumped, found.summary] {
            #expect(!text.contains("sk-secret"))
        }
        #expect(found.servers.first?.apiKey?.exposed == "sk-secret")
    }
}

@Suite("Durations and sizes") struct QuantityTests {
    @Test(
        "a duration is a number of seconds or has a unit",
        arguments: [
            ("300ms", Duration.milliseconds(300)), ("5s", .seconds(5)), ("3m", .seconds(180)), ("1h", .seconds(3600)),
            ("1.5s", .milliseconds(1500)), ("0s", .zero), ("0.1h", .seconds(360)),
        ])
    func durations(text: String, duration: Duration) {
        #expect(Quantities.duration(text) == duration)
    }

    @Test(
        "what is not a duration is refused",
        arguments: ["", "5", "s", "5 s", "-5s", "5S", "5d", ".5s", "5.s", "1.2.3s", "1m30s", "٥s", "5s\n"])
    func badDurations(text: String) {
        #expect(Quantities.duration(text) == nil)
    }

    @Test(
        "a size has a unit in powers of 1024",
        arguments: [
            ("64KB", 65_536), ("256MB", 268_435_456), ("1GB", 1_073_741_824), ("1.5kb", 1536), ("2MiB", 2_097_152), ("7B", 7),
        ])
    func sizes(text: String, bytes: Int) {
        #expect(Quantities.size(text) == bytes)
    }

    @Test("what is not a size is refused", arguments: ["", "5", "KB", "5 KB", "-5KB", "5XB", "5K", "5TB"])
    func badSizes(text: String) {
        #expect(Quantities.size(text) == nil)
    }

    @Test("values are written back in the largest unit that is exact")
    func written() {
        #expect([0, 180, 3600, 90].map { Quantities.text(.seconds($0)) } == ["0s", "3m", "1h", "90s"])
        #expect(Quantities.text(.milliseconds(1500)) == "1500ms")
        #expect(Quantities.text(.microseconds(2500)) == "2.5ms")
        #expect([0, 1000, 65_536, 1 << 30].map(Quantities.text(bytes:)) == ["0B", "1000B", "64KB", "1GB"])
    }

    @Test(
        "enormous numbers are out of range, never a trap", arguments: ["1e300", "99999999999999999999", "1e400", "-1", "1e-300"])
    func enormous(number: String) {
        for key in ["queue: { max-wait: \(number) }", "limits: { body: \(number) }", "queue: { max-waiting: \(number) }"] {
            // Only a duration may be a fraction as small as that.
            let isFine = number == "1e-300" && key.contains("max-wait:")
            #expect(problems(withServer(key)).isEmpty == isFine)
        }
        for key in ["queue: { max-wait: 9999999999999999999999999h }", "limits: { body: 9999999999999999999999999GB }"] {
            #expect(problems(withServer(key)).count == 1)
        }
    }
}

@Suite("Environment variables in a configuration") struct EnvironmentTests {
    @Test("each ${NAME} is replaced once, $${ stays as ${")
    func filled() throws {
        let environment = ["A": "1", "B_2": "${A}"]
        let cases = [
            "x${A}y${A}": "x1y1", "${B_2}": "${A}", "$${A}": "${A}", "$A": "$A", "${A}$": "1$", "$$${A}": "$${A}", "": "",
        ]
        for (text, expected) in cases {
            #expect(try EnvironmentSubstitution.fill(text, from: environment) == expected)
        }
    }

    @Test("what is unset or no name is refused", arguments: ["${NONE}", "${}", "${A", "${1A}", "${A-b}", "${A:-x}", "${ÄA}"])
    func refused(text: String) {
        #expect(throws: EnvironmentSubstitution.Failure.self) { try EnvironmentSubstitution.fill(text, from: ["A": "1"]) }
    }

    @Test("a value from the environment is read as the type that the key expects")
    func types() throws {
        let found = try configuration(
            #"{"servers":{"a":{"url":"http://${H}:1","api-key":"${N}","request-max":"${N}"}},"queue":{"max-wait":"${N}"}}"#,
            environment: ["H": "h", "N": "42"])
        #expect(found.servers.first?.apiKey == Secret("42"))
        #expect(found.servers.first?.requestMax == 42)
        #expect(found.queue.maxWait == .seconds(42))
    }

    @Test("a secret is not shown when the variable holds something unusable")
    func secretsStaySecret() {
        let text = "servers: { a: { url: 'http://user:${S}@h', api-key: 'x ${S}', headers: { X-K: \"${S}\\n\" } } }"
        let found = problems(text, environment: ["S": "sk-secret"])
        #expect(found.count == 3)
        #expect(!found.joined().contains("sk-secret"))
    }
}
