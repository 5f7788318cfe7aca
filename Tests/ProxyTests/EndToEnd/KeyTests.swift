import FakeBackend
import Proxy
import Routing
import Testing

@Suite("A balancer with keys")
struct KeyTests {
    private static let secret = "lb-0123456789abcdefghij"
    private static let adminSecret = "lb-admin-0123456789abcdefghij"

    private static func setup(models: [String]? = nil, forwards: Bool = false) -> Setup {
        var setup = Setup()
        setup.servers = [.init("A", Behaviour { $0.models = ["m", "n"] }, models: ["m", "n"])]
        setup.settings.keys = KeyRing([
            ClientKey(name: "alice", digest: KeyDigest(of: secret.utf8), models: models.map { $0.map { ModelPattern($0) } }),
            ClientKey(name: "operator", digest: KeyDigest(of: adminSecret.utf8), isAdmin: true),
        ])
        setup.settings.forwardsClientKey = forwards
        return setup
    }

    @Test("refuses who has none, in the caller's API, before a body is taken, and asks no engine")
    func missing() async throws {
        try await withBalancer(Self.setup()) { balancer in
            let client = try await balancer.connect()
            try await client.send(head("POST", "/v1/chat/completions", ["Content-Length: 100000", "Expect: 100-continue"]))
            let answer = try await client.answer()
            #expect(answer.status == 401 && answer["WWW-Authenticate"] == #"Bearer realm="llama-balancer""#)
            #expect(answer.text.contains(#""code":"invalid_api_key""#) && answer.text.contains("Authorization: Bearer KEY"))
            await client.close()
            let anthropic = try await balancer.ask(post("/v1/messages", "{}", fields: ["x-api-key: sk-ant-wrong"]))
            #expect(anthropic.status == 401 && anthropic.text.contains("authentication_error"))
            #expect(try await balancer.ask(get("/metrics"))["WWW-Authenticate"]?.hasPrefix("Basic ") == true)
            #expect(try balancer.engine("A").observations.requests.isEmpty)
            let record = try #require(try await balancer.records(2).first)
            #expect(record.status == 401 && record.keyName == nil)
        }
    }

    @Test(
        "takes it in the fields of OpenAI's, Anthropic's and Azure's clients, and keeps it to itself",
        arguments: ["Authorization: Bearer \(secret)", "x-api-key: \(secret)", "api-key: \(secret)", "API-Key: \(secret)"])
    func forms(field: String) async throws {
        try await withBalancer(Self.setup()) { balancer in
            #expect(try await balancer.ask(chat(fields: [field])).status == 200)
            let seen = try #require(try balancer.engine("A").observations.work.last)
            #expect(!seen.fields.contains { $0.value.contains(Self.secret) })
            let record = try #require(try await balancer.records(1).first)
            #expect(record.keyName == "alice" && record.line.contains(#""key":"alice""#))
            #expect(!record.line.contains(Self.secret))
        }
    }

    @Test("passes it on where the configuration says so")
    func forwarded() async throws {
        try await withBalancer(Self.setup(forwards: true)) { balancer in
            let answer = try await balancer.ask(chat(fields: ["Authorization: Bearer \(Self.secret)"]))
            #expect(answer.status == 200)
            #expect(try balancer.engine("A").observations.work.last?.field("Authorization") == "Bearer \(Self.secret)")
        }
    }

    @Test("lets a key use its models only, whichever way a request names them")
    func models() async throws {
        try await withBalancer(Self.setup(models: ["m.*"])) { balancer in
            let field = "Authorization: Bearer \(Self.secret)"
            func status(_ request: String) async throws -> Int { try await balancer.ask(request).status }
            #expect(try await status(chat(model: "m", fields: [field])) == 200)
            #expect(try await status(chat(model: "n", fields: [field])) == 403)
            #expect(try await status(get("/v1/models/n", fields: [field])) == 403)
            #expect(try await status(post("/v1/score", #"{"model":"m"}"#, fields: [field])) == 403)
            for body in [
                #"{"model":"n","model":"m"}"#, #"{"model":"m","Model":"n"}"#, #"{"MODEL":"n","\u006dodel":"m"}"#,
                #"{"model":["n"]}"#, #"{"model":null}"#, #"[{"model":"n"}]"#, #"{"name":"n"}"#,
            ] {
                #expect(try await status(post("/api/chat", body, fields: [field])) == 403, "\(body)")
            }
            #expect(try await status(post("/api/show", #"{"model":"m","name":"n"}"#, fields: [field])) == 403)
            #expect(try await status(post("/api/show", #"{"name":"n","source":"m"}"#, fields: [field])) == 403)
            // An engine with one model answers under any name.
            #expect(try await status(chat(model: "mystery", fields: [field])) == 404)
            let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"
            let upload = post(
                "/v1/audio/transcriptions", form + "m\r\n--b--\r\n",
                fields: [field, "Content-Type: multipart/form-data; boundary=b"])
            #expect(try await status(upload) == 403)
            for body in ["model=m", "{\"model\":\"m\",\"x\":NaN}"] {
                let answer = try await status(
                    post("/v1/audio/speech", body, fields: [field, "Content-Type: application/x-www-form-urlencoded"]))
                #expect(answer == 400 || answer == 403, "\(body)")
            }
            let answer = try await balancer.ask(chat(model: "n", fields: [field]))
            #expect(answer.text.contains(#""code":"forbidden""#) && answer.text.contains("GET /v1/models"))
            let seen = try balancer.engine("A").observations.requests
            #expect(seen.count == 1)
        }
    }

    @Test("lets an administrator's key steer it from another machine, and nobody else")
    func steering() async throws {
        try await withBalancer(Self.setup()) { balancer in
            let far = "X-Forwarded-For: 10.0.0.1"
            for target in ["/admin/requests", "/upstream/A/slots", "/metrics"] {
                let stranger = try await balancer.ask(get(target, fields: [far]))
                #expect(stranger.status == 401)
                #expect(try await balancer.ask(get(target, fields: [far, "api-key: \(Self.secret)"])).status == 403)
                #expect(try await balancer.ask(get(target, fields: [far, "api-key: \(Self.adminSecret)"])).status == 200)
            }
            // A browser that knows the password sends it for every page.
            let basic = "Authorization: Basic eDpsYi1hZG1pbi0wMTIzNDU2Nzg5YWJjZGVmZ2hpag=="
            #expect(try await balancer.ask(get("/upstream/A/slots", fields: [basic])).status == 403)
            #expect(try await balancer.ask(get("/admin/requests", fields: [basic])).status == 200)
            #expect(try await balancer.ask(get("/admin/requests", fields: [basic, "Sec-Fetch-Site: cross-site"])).status == 403)
            #expect(try await balancer.ask(chat(fields: [basic])).status == 401)
        }
    }

    @Test("lets such a key send many requests on one connection, and keeps keys apart when the configuration is read again")
    func keptConnection() async throws {
        let keys = (0..<20).map { number in
            ("lb-key-number-\(number)-0123456789", "k\(number)", number % 2 == 0 ? "m" : "n")
        }
        func ring() -> KeyRing {
            KeyRing(keys.map { ClientKey(name: $0.1, digest: KeyDigest(of: $0.0.utf8), models: [ModelPattern($0.2)]) })
        }
        var setup = Self.setup()
        setup.settings.keys = ring()
        try await withBalancer(setup) { balancer in
            let client = try await balancer.connect()
            for round in 0..<10 {
                // Equal keys, but other objects, where the old ones were.
                var new = balancer.currentSettings()
                new.keys = ring()
                try await balancer.proxy.reload(new, fleet: balancer.setup.fleet)
                for (key, name, model) in keys {
                    for asked in ["m", "n"] {
                        try await client.send(chat(model: asked, fields: ["api-key: \(key)"]))
                        let answer = try await client.answer()
                        #expect(answer.status == (asked == model ? 200 : 403), "\(name) \(asked) in round \(round)")
                    }
                }
            }
            await client.close()
        }
    }

    @Test("tells what is left of a key's limits, and refuses what is more")
    func limits() async throws {
        var setup = Self.setup()
        setup.keyLimits = ["alice": KeyLimits(requestsPerMinute: 2, tokensPerMinute: 100_000)]
        try await withBalancer(setup) { balancer in
            let field = "Authorization: Bearer \(Self.secret)"
            let first = try await balancer.ask(chat(fields: [field]))
            #expect(first["x-ratelimit-limit-requests"] == "2" && first["x-ratelimit-remaining-requests"] == "1")
            #expect(first["x-ratelimit-limit-tokens"] == "100000" && first["x-ratelimit-reset-requests"] == "30s")
            #expect(try await balancer.ask(chat(fields: [field])).status == 200)
            let refused = try await balancer.ask(chat(fields: [field]))
            #expect(refused.status == 429 && refused["Retry-After"].flatMap { Int($0) }.map { (1...30).contains($0) } == true)
            #expect(refused.text.contains("rate_limit_exceeded") && refused.text.contains("2 requests in a minute"))
            // What computes nothing is not limited, and another key has limits of its own.
            #expect(try await balancer.ask(post("/tokenize", #"{"model":"m","content":"x"}"#, fields: [field])).status == 200)
            let other = try await balancer.ask(chat(fields: ["api-key: \(Self.adminSecret)"]))
            #expect(other.status == 200 && other["x-ratelimit-limit-requests"] == nil)
        }
    }

    @Test("looks at each request's key, also on a connection that has shown a good one")
    func everyRequest() async throws {
        try await withBalancer(Self.setup()) { balancer in
            let client = try await balancer.connect()
            func status(_ fields: [String], _ target: String = "/v1/models") async throws -> Int {
                try await client.send(get(target, fields: fields))
                return try await client.answer().status
            }
            let (good, admin) = ("Authorization: Bearer \(Self.secret)", "x-api-key: \(Self.adminSecret)")
            for _ in 0..<2 {
                #expect(try await status([good]) == 200)
                #expect(try await status([good]) == 200)
                #expect(try await status([good], "/metrics") == 403)
                #expect(try await status([]) == 401)
                #expect(try await status([good + "x"]) == 401)
                #expect(try await status(["x-api-key: \(Self.secret)"]) == 200, "the same key in another field")
                #expect(try await status([good, admin]) == 401, "two different ones")
                #expect(try await status([admin], "/metrics") == 200)
                #expect(try await status([good], "/metrics") == 403)
                #expect(try await status([], "/health") == 200)
            }
            await client.close()
        }
    }

    @Test("lets who tries many keys wait, and nobody else")
    func guessing() async throws {
        try await withBalancer(Self.setup()) { balancer in
            // Each loop counts for itself, so all on one connection.
            let client = try await balancer.connect()
            for _ in 0..<10 {
                try await client.send(get("/v1/models", fields: ["Authorization: Bearer wrong"]))
                #expect(try await client.answer().status == 401)
            }
            try await client.send(get("/v1/models", fields: ["Authorization: Bearer wrong"]))
            let start = ContinuousClock.now
            let late = try await client.answer()
            #expect(late.status == 401 && late["Connection"] == "close")
            #expect(ContinuousClock.now - start > .milliseconds(900))
            try await client.ended()
            #expect(try await balancer.counters().wrongKeys == 11)
            #expect(try await balancer.ask(chat(fields: ["x-api-key: \(Self.secret)"])).status == 200)
        }
    }

    @Test("names a key that is refused in the access log")
    func refusedKey() async throws {
        try await withBalancer(Self.setup()) { balancer in
            let answer = try await balancer.ask(get("/admin/requests", fields: ["api-key: \(Self.secret)"]))
            #expect(answer.status == 403)
            let record = try #require(try await balancer.records(1).first)
            #expect(record.status == 403 && record.keyName == "alice")
        }
    }

    @Test("answers a browser's question before a request without a key, and health checks")
    func open() async throws {
        try await withBalancer(Self.setup()) { balancer in
            let preflight = get(
                "/v1/chat/completions", method: "OPTIONS",
                fields: ["Origin: https://page.example", "Access-Control-Request-Method: POST"])
            let permission = try await balancer.ask(preflight)
            #expect(permission.status == 204)
            #expect(try await balancer.ask(get("/health")).status == 200)
            // With a body, it is no such question, and would be passed on.
            let other = head(
                "OPTIONS", "/v1/chat/completions",
                ["Origin: https://page.example", "Access-Control-Request-Method: POST", "Content-Length: 2"])
            #expect(try await balancer.ask(other + "{}").status == 401)
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }
}
