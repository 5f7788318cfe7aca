import FakeBackend
import Proxy
import Testing

@Suite("Header fields")
struct HeaderTests {
    /// What the engine received for a request with those fields.
    private func received(
        _ fields: [String], _ setup: Setup = Setup(), target: String = "/v1/chat/completions"
    ) async throws -> Observations.Request {
        var request: Observations.Request?
        try await withBalancer(setup) { balancer in
            _ = try await balancer.ask(post(target, chatBody(), fields: fields))
            request = try balancer.engine("A").observations.work.last
        }
        return try #require(request)
    }

    @Test("hop-by-hop fields and those that Connection names end here")
    func hopByHop() async throws {
        let seen = try await received([
            "Connection: keep-alive, X-Secret , x-other", "X-Secret: 1", "X-OTHER: 2", "Keep-Alive: timeout=5", "TE: trailers",
            "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eA==", "Upgrade: h2c", "X-Kept: 3",
        ])
        let gone = [
            "Connection", "X-Secret", "X-Other", "Keep-Alive", "TE", "Proxy-Connection", "Proxy-Authorization", "Upgrade",
        ]
        for name in gone { #expect(seen.field(name) == nil, "\(name)") }
        #expect(seen.field("X-Kept") == "3")
    }

    @Test("Connection cannot take away what frames the message")
    func connectionNamesFraming() async throws {
        let seen = try await received(["Connection: Content-Length, Host, Content-Type", "Content-Type: application/json"])
        #expect(seen.bodyText == chatBody())
        #expect(seen.field("Host")?.hasPrefix("127.0.0.1:") == true)
        #expect(seen.field("Content-Type") == nil)
    }

    @Test("Host is the server's; the client's is told in X-Forwarded-Host, once each")
    func host() async throws {
        let seen = try await received([])
        #expect(seen.fields.filter { $0.name.lowercased() == "host" }.count == 1)
        #expect(seen.field("Host")?.hasPrefix("127.0.0.1:") == true)
        #expect(seen.field("X-Forwarded-Host") == "balancer.example")
        #expect(seen.field("X-Forwarded-Proto") == (RawClient.areAllEncrypted ? "https" : "http"))
        #expect(seen.field("X-Forwarded-For") == "127.0.0.1")
        #expect(seen.field("Via")?.wholeMatch(of: /1\.1 llama-balancer-[0-9a-f]{14}/) != nil)
    }

    @Test("what proxies in front have said is kept and added to")
    func proxyInFront() async throws {
        let seen = try await received([
            "X-Forwarded-For: 10.0.0.1, 10.0.0.2", "X-Forwarded-Proto: https", "X-Forwarded-Host: front.example",
            "Via: 1.1 front",
        ])
        #expect(seen.field("X-Forwarded-For") == "10.0.0.1, 10.0.0.2, 127.0.0.1")
        #expect(seen.fields.filter { $0.name.lowercased() == "x-forwarded-proto" }.map(\.value) == ["https"])
        #expect(seen.fields.filter { $0.name.lowercased() == "x-forwarded-host" }.map(\.value) == ["front.example"])
        let via = seen.fields.filter { $0.name.lowercased() == "via" }.map(\.value)
        #expect(via.count == 2 && via[0] == "1.1 front" && via[1].hasPrefix("1.1 llama-balancer-"))
    }

    @Test("X-Forwarded-For in several lines is one list")
    func repeatedForwardedFor() async throws {
        let seen = try await received(["X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2"])
        #expect(
            seen.fields.filter { $0.name.lowercased() == "x-forwarded-for" }.map(\.value) == ["10.0.0.1, 10.0.0.2, 127.0.0.1"])
    }

    @Test("repeated fields pass in their order")
    func repeated() async throws {
        let seen = try await received(["Cookie: a=1", "Accept: text/a", "cookie: b=2", "Accept: text/b"])
        #expect(
            seen.fields.filter { ["cookie", "accept"].contains($0.name.lowercased()) }.map(\.value) == [
                "a=1", "text/a", "b=2", "text/b",
            ])
        #expect(seen.fields.contains { $0.name == "cookie" })
    }

    @Test("X-Request-Id is kept, and told to both sides")
    func requestIDKept() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat(fields: ["X-Request-Id: my-id.7"]))
            #expect(answer.values(of: "X-Request-Id") == ["my-id.7"])
            #expect(try balancer.engine("A").observations.work.last?.field("X-Request-Id") == "my-id.7")
            #expect(try await balancer.records(1).first?.requestID == "my-id.7")
        }
    }

    @Test(
        "X-Request-Id is made when there is none or it is unfit",
        arguments: [nil, "", "two words", String(repeating: "x", count: 129)])
    func requestIDMade(given: String?) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat(fields: given.map { ["X-Request-Id: \($0)"] } ?? []))
            let made = try #require(answer["X-Request-Id"])
            #expect(made.count == 14 && made.allSatisfy(\.isHexDigit))
            let seen = try #require(try balancer.engine("A").observations.work.last)
            #expect(seen.fields.filter { $0.name.lowercased() == "x-request-id" }.map(\.value) == [made])
        }
    }

    @Test("the client's Authorization goes through")
    func authorizationPasses() async throws {
        let seen = try await received(["Authorization: Bearer client", "X-Api-Key: client"])
        #expect(seen.field("Authorization") == "Bearer client")
        #expect(seen.field("X-Api-Key") == "client")
    }

    @Test("a server's own key replaces the client's, and its extra headers are added")
    func authorizationReplaced() async throws {
        var setup = Setup()
        setup.servers[0].authorization = "Bearer server"
        setup.servers[0].extraHeaders = [.init(name: "X-Team", value: "blue")]
        let seen = try await received(["Authorization: Bearer client", "X-Api-Key: client"], setup)
        #expect(seen.fields.filter { $0.name.lowercased() == "authorization" }.map(\.value) == ["Bearer server"])
        #expect(seen.field("X-Api-Key") == nil)
        #expect(seen.field("X-Team") == "blue")
    }

    @Test("compression is not asked for when a stream may have to begin before its answer", arguments: [true, false])
    func noCompressionOfStreams(stream: Bool) async throws {
        try await withBalancer { balancer in
            _ = try await balancer.ask(chat(stream: stream, fields: ["Accept-Encoding: gzip, br"]))
            let seen = try #require(try balancer.engine("A").observations.work.last)
            #expect(seen.field("Accept-Encoding") == (stream ? nil : "gzip, br"))
        }
    }

    @Test("a configured field replaces the client's of the same name, whatever it is")
    func configuredFields() async throws {
        var setup = Setup()
        setup.servers[0].extraHeaders = [
            .init(name: "Authorization", value: "Basic c2VydmVy"), .init(name: "X-Tenant", value: "blue"),
            .init(name: "User-Agent", value: "balancer"), .init(name: "accept-encoding", value: "identity"),
        ]
        let seen = try await received(
            [
                "Authorization: Bearer client", "X-Api-Key: client", "x-tenant: red", "X-Tenant: green", "User-Agent: curl",
                "Accept-Encoding: gzip", "X-Tenant-2: kept",
            ], setup)
        for (name, value) in [
            ("authorization", "Basic c2VydmVy"), ("x-tenant", "blue"), ("user-agent", "balancer"),
            ("accept-encoding", "identity"), ("x-tenant-2", "kept"),
        ] {
            #expect(seen.fields.filter { $0.name.lowercased() == name }.map(\.value) == [value], "\(name)")
        }
        #expect(seen.field("X-Api-Key") == nil, "a server with a credential of its own gets none of the client's")
    }

    @Test("a configured X-Api-Key replaces the client's, and its Authorization")
    func configuredKey() async throws {
        var setup = Setup()
        setup.servers[0].extraHeaders = [.init(name: "X-API-Key", value: "server")]
        let seen = try await received(
            ["Authorization: Bearer client", "x-api-key: client", "Api-Key: client", "X-Goog-Api-Key: client", "Cookie: a=b"],
            setup)
        #expect(seen.fields.filter { $0.name.lowercased() == "x-api-key" }.map(\.value) == ["server"])
        for name in ["Authorization", "Api-Key", "X-Goog-Api-Key", "Cookie"] { #expect(seen.field(name) == nil, "\(name)") }
    }

    private static let forwardingFields = [
        "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: front.example", "X-Real-IP: 10.0.0.1",
        "Forwarded: for=10.0.0.1;proto=https", "X-Forwarded-Port: 443", "X-Client-IP: 10.0.0.1",
    ]

    @Test("forwarding fields of a client that is no trusted proxy are dropped")
    func untrustedForwarding() async throws {
        let seen = try await received(Self.forwardingFields, Setup { $0.settings.forwardingTrust = .proxies([]) })
        #expect(seen.fields.filter { $0.name.lowercased() == "x-forwarded-for" }.map(\.value) == ["127.0.0.1"])
        #expect(
            seen.fields.filter { $0.name.lowercased() == "x-forwarded-proto" }.map(\.value) == [
                RawClient.areAllEncrypted ? "https" : "http"
            ])
        #expect(seen.fields.filter { $0.name.lowercased() == "x-forwarded-host" }.map(\.value) == ["balancer.example"])
        for name in ["X-Real-IP", "Forwarded", "X-Forwarded-Port", "X-Client-IP"] { #expect(seen.field(name) == nil, "\(name)") }
    }

    @Test("forwarding fields of a trusted proxy pass")
    func trustedForwarding() async throws {
        let loopback = try #require(AddressRange("127.0.0.0/8"))
        let seen = try await received(
            Self.forwardingFields, Setup { $0.settings.forwardingTrust = .proxies([loopback]) })
        #expect(seen.field("X-Forwarded-For") == "10.0.0.1, 127.0.0.1")
        #expect(seen.field("X-Forwarded-Proto") == "https")
        #expect(seen.field("X-Real-IP") == "10.0.0.1")
        #expect(seen.field("X-Forwarded-Port") == "443")
        #expect(seen.field("Forwarded") == "for=10.0.0.1;proto=https")
    }

    @Test("Expect ends here")
    func expect() async throws {
        #expect(try await received(["Expect: 100-continue"]).field("Expect") == nil)
    }

    @Test("an answer says which server gave it; the rest only when there is something to say")
    func balancerFields() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer["X-Balancer-Server"] == "A")
            for name in ["X-Balancer-Model", "X-Balancer-Queued-Ms", "X-Balancer-Attempts", "X-Accel-Buffering"] {
                #expect(answer[name] == nil, "\(name)")
            }
        }
    }

    @Test("an event stream is marked so that no proxy in front buffers it, once")
    func accelBuffering() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat(stream: true))
            #expect(answer.values(of: "X-Accel-Buffering") == ["no"])
            #expect(answer["Content-Type"] == "text/event-stream")
        }
    }

    @Test("an engine can neither set our fields nor those of the connection")
    func engineFields() async throws {
        let engine = try await ScriptedEngine.start { _ in
            .send(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Balancer-Server: evil\r\nX-Balancer-Attempts: 9\r\n"
                    + "X-Request-Id: other\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
                    + "Proxy-Authenticate: Basic\r\nX-Kept: 1\r\n\r\nok")
        }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let answer = try await balancer.ask(chat(fields: ["X-Request-Id: mine"]))
            #expect(answer.values(of: "X-Balancer-Server") == ["A"])
            #expect(answer.values(of: "X-Request-Id") == ["mine"])
            for name in ["X-Balancer-Attempts", "X-Hop", "Keep-Alive", "Proxy-Authenticate", "Connection"] {
                #expect(answer[name] == nil, "\(name)")
            }
            #expect(answer["X-Kept"] == "1")
        }
        await engine.stop()
    }
}
