import FakeBackend
import Proxy
import Testing

@Suite("What steers the balancer")
struct AccessTests {
    private static let targets = ["/admin/requests", "/admin", "/upstream/A/slots", "/upstream", "/admin/servers/A/drain"]
    /// There is nothing at them, for anybody.
    private static let emptyTargets = ["/upstream//A/slots", "/upstream/"]

    private static let intruders: [(what: String, fields: [String])] = [
        ("a page whose name was rebound to this machine", ["Origin: http://evil.example", "Host: evil.example"]),
        ("a rebound page that sends no Origin", ["Host: evil.example:18000"]),
        ("a page of another site", ["Host: 127.0.0.1", "Origin: http://evil.example"]),
        ("a browser that tells of another site", ["Host: 127.0.0.1", "Sec-Fetch-Site: cross-site"]),
        ("a proxy on this machine", ["Host: 127.0.0.1", "X-Forwarded-For: 10.0.0.1"]),
        ("a proxy that says Forwarded", ["Host: 127.0.0.1", "Forwarded: for=10.0.0.1"]),
        ("a proxy that says X-Real-IP", ["Host: 127.0.0.1", "X-Real-IP: 10.0.0.1"]),
        ("a proxy that says Via", ["Host: 127.0.0.1", "Via: 1.1 front"]),
        ("a proxy that says X-Forwarded-Port alone", ["Host: 127.0.0.1", "X-Forwarded-Port: 443"]),
        ("a proxy that says CF-Connecting-IP", ["Host: 127.0.0.1", "CF-Connecting-IP: 10.0.0.1"]),
    ]

    private func request(_ method: String, _ target: String, _ fields: [String], body: String = "") -> String {
        (["\(method) \(target) HTTP/1.1"] + fields + ["Content-Length: \(body.utf8.count)"]).joined(separator: "\r\n")
            + "\r\n\r\n" + body
    }

    @Test("is refused to whoever is not this machine's own user")
    func intruders() async throws {
        try await withBalancer { balancer in
            for intruder in Self.intruders {
                for target in Self.targets + Self.emptyTargets {
                    for method in ["GET", "POST"] {
                        let answer = try await balancer.ask(request(method, target, intruder.fields))
                        #expect(answer.status == 403, "\(intruder.what): \(method) \(target)")
                        #expect(answer.text.contains("\"forbidden\""))
                    }
                }
            }
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }

    @Test("answers to this machine's own user")
    func ownUser() async throws {
        try await withBalancer { balancer in
            for fields in [
                ["Host: 127.0.0.1:18000"], ["Host: localhost", "Origin: http://localhost", "Sec-Fetch-Site: same-origin"],
            ] {
                for target in Self.targets {
                    let answer = try await balancer.ask(request("GET", target, fields))
                    #expect(answer.status == 200, "\(target)")
                }
            }
        }
    }

    @Test(
        "is refused at the head, before a body is taken", arguments: ["Content-Length: 200000000", "Transfer-Encoding: chunked"])
    func beforeTheBody(framing: String) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(
                head("POST", "/admin/reload", [framing, "Expect: 100-continue", "X-Forwarded-For: 10.0.0.1"]))
            let answer = try await client.answer()
            #expect(answer.status == 403)
            #expect(answer["Connection"] == "close")
            await client.close()
        }
    }

    @Test("takes bodies of 64 KB at most")
    func ownBodies() async throws {
        try await withBalancer { balancer in
            let fits = post("/admin/reload", String(repeating: "x", count: 64 << 10))
            #expect(try await balancer.ask(fits).status == 200)
            for framing in ["Content-Length: \(64 << 10 + 1)", "Content-Length: 200000000"] {
                let client = try await balancer.connect()
                try await client.send(head("POST", "/admin/reload", [framing]))
                let answer = try await client.answer()
                #expect(answer.status == 413 && answer.text.contains("/admin/reload takes 65536"))
                await client.close()
            }
            let body = String(repeating: "x", count: 64 << 10 + 1)
            #expect(try await balancer.ask(chunked("/admin/reload", body, sizes: [9000])).status == 413)
        }
    }
}

@Suite("A request that comes back")
struct LoopTests {
    /// Balancers ask each other in plain text.
    private static let plain = Setup { $0.identity = nil }

    private static func behind(_ near: TestBalancer) -> Setup {
        Setup {
            $0.identity = nil
            $0.servers = [.init("A", port: near.port)]
        }
    }

    @Test("is recognised at its first return, when a server is the balancer itself")
    func itself() async throws {
        try await withBalancer(Self.plain) { balancer in
            var settings = balancer.currentSettings()
            settings.endpoints = [BackendEndpoint(id: try balancer.id("A"), name: "A", host: "127.0.0.1", port: balancer.port)]
            try await balancer.proxy.reload(settings, fleet: balancer.setup.fleet)
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 508)
            #expect(answer.text.contains("\"loop_detected\""))
            try await balancer.isAtRest()
            let ended = try await balancer.records(2)
            #expect(ended.count == 2, "one pass and its return")
        }
    }

    @Test("is recognised when two balancers have each other")
    func eachOther() async throws {
        try await withBalancer(Self.plain) { near in
            try await withBalancer(Self.behind(near)) { far in
                var settings = near.currentSettings()
                settings.endpoints = [BackendEndpoint(id: try near.id("A"), name: "A", host: "127.0.0.1", port: far.port)]
                try await near.proxy.reload(settings, fleet: near.setup.fleet)
                #expect(try await near.ask(get("/props")).status == 508)
                #expect(try await near.ask(chat()).status == 508)
            }
        }
    }

    @Test("is not suspected because another balancer of this kind has passed it on")
    func chain() async throws {
        try await withBalancer(Self.plain) { near in
            try await withBalancer(Self.behind(near)) { far in
                let answer = try await far.ask(chat())
                #expect(answer.status == 200)
            }
        }
    }
}
