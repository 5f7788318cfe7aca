import FakeBackend
import Routing
import Testing
import Wire

@testable import Control
@testable import Proxy

@Suite("Administration", .timeLimit(.minutes(2))) struct AdminTests {
    /// One slot, and answers that take as long as the test wants.
    private static let slow = Behaviour {
        $0.models = ["m"]; $0.slots = 1; $0.decodeTokensPerSecond = 0.01
    }
    private static let idle = Behaviour { $0.models = ["other"] }

    /// Starts a request without waiting for its answer.
    private func begin(_ id: String, on balancer: TestBalancer) async throws -> TextClient {
        let client = try await TextClient.connect(port: balancer.proxy.port)
        try await client.send(
            "POST", "/v1/chat/completions", fields: ["X-Request-Id: \(id)", "X-Session-Id: \(id)"],
            body: TestBalancer.chatBody("m", maxTokens: 1000))
        return client
    }

    @Test("requests are listed while they run and wait, explained, and can be cancelled in either state")
    func requests() async throws {
        try await withEngines(Self.slow, Self.idle) { engines in
            let balancer = try await TestBalancer.start(engines)
            let running = try await begin("first", on: balancer)
            try await balancer.fleet.server("A", is: "at work") { $0.inFlight == 1 }
            let waiting = try await begin("second", on: balancer)
            let list = try await wait(
                for: "one request waits", { try await balancer.get("/admin/requests").json },
                where: { $0["waiting"]?.arrayValue?.count == 1 })
            let first = try #require(list["running"]?[0])
            #expect(first["id"] == "first")
            #expect(first["server"] == "A")
            #expect(first["model"] == "m")
            #expect(first["instance"] == "m")
            #expect(first["address"] == "127.0.0.1")
            #expect(first["path"]?.stringValue?.contains("/v1/chat/completions") == true)
            #expect(first["running_ms"]?.intValue != nil)
            let second = try #require(list["waiting"]?[0])
            #expect(second["id"] == "second")
            #expect(second["server"] == .null)
            #expect(second["ahead"] == 0)

            let snapshot = try await balancer.get("/llmhealth-snapshot").json
            #expect(snapshot["waiting"]?["count"] == 1)
            #expect(snapshot["waiting"]?["requests"]?[0]?["id"] == "second")
            #expect(snapshot["backends"]?[0]?["model_inflight"] == ["m": 1])

            let why = try await balancer.get("/admin/requests/first").json
            #expect(why["state"] == "running")
            #expect(why["decisions"]?[0]?["verdict"]?["granted"] == true)
            let candidate = try #require(why["decisions"]?[0]?["candidates"]?[0])
            #expect(candidate["server"] == "A")
            #expect(candidate["chosen"] == true)
            #expect(candidate["reason"]?.stringValue?.isEmpty == false)
            #expect(try await balancer.get("/admin/requests/second").json["state"] == "waiting")

            let cancelled = try await balancer.ask("DELETE", "/admin/requests/second")
            #expect((cancelled.status, cancelled.body) == (200, #"{"cancelled":"second"}"#))
            _ = try await waiting.text("the end of the waiting request") { $1 }
            #expect(engines[0].observations.received == 1, "it never reached the engine")

            #expect(try await balancer.ask("DELETE", "/admin/requests/first").status == 200)
            _ = try await running.text("the end of the running request") { $1 }
            try await engines[0].observations(within: .seconds(20)) { $0.cancelled == 1 && $0.concurrency == 0 }
            try await balancer.fleet.server("A", is: "free again") { $0.inFlight == 0 }

            #expect(try await balancer.get("/admin/requests/first").json["state"] == "ended")
            #expect(try await balancer.ask("DELETE", "/admin/requests/first").status == 404)
            #expect(try await balancer.get("/admin/requests").json == ["waiting": [], "running": []])
            let unknown = try await balancer.get("/admin/requests/nobody")
            #expect(unknown.status == 404)
            #expect(try unknown.json["error"]?["message"]?.stringValue?.contains("nobody") == true)
            await balancer.stop()
        }
    }

    @Test("a request whose id has characters that a path cannot have is found by the escaped id")
    func escapedIDs() async throws {
        try await withEngines(Self.slow) { engines in
            let balancer = try await TestBalancer.start(engines)
            let id = #"a/b"<%41"#
            let client = try await begin(id, on: balancer)
            try await balancer.fleet.server("A", is: "at work") { $0.inFlight == 1 }
            let path = "/admin/requests/a%2Fb%22%3c%2541"
            let why = try await balancer.get(path).json
            #expect(why["id"] == .string(id) && why["state"] == "running")
            #expect(try await balancer.ask("DELETE", path).json == ["cancelled": .string(id)])
            _ = try await client.text("the end of the request") { $1 }
            await balancer.stop()
        }
    }

    @Test("a draining server gets nothing new until it is undrained; names may be escaped")
    func drain() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask("POST", "/admin/servers/%41/drain")
            #expect((answer.status, answer.body) == (200, #"{"server":"A","draining":true}"#))
            #expect(try await balancer.get("/llmhealth-snapshot").json["backends"]?[0]?["draining"] == true)
            for number in 0..<3 {
                #expect(try await balancer.chat(user: "u\(number)").field("X-Balancer-Server") == "B")
            }
            #expect(try await balancer.ask("POST", "/admin/servers/A/undrain").body == #"{"server":"A","draining":false}"#)
            #expect(try await balancer.get("/llmhealth-snapshot").json["backends"]?[0]?["draining"] == false)
            #expect(try await balancer.chat(user: "new").field("X-Balancer-Server") == "A")
        }
    }

    @Test(
        "what does not exist is told by name",
        arguments: [
            ("POST", "/admin/servers/C/drain", "C"), ("POST", "/admin/servers/A/explode", "explode"),
            ("POST", "/admin/servers/%zz/drain", "%zz"), ("GET", "/admin/nothing", "/admin/nothing"), ("GET", "/admin", "/admin"),
            ("GET", "/admin/reload", "/admin/reload"), ("POST", "/admin/requests", "/admin/requests"),
            ("PUT", "/admin/servers/A/drain", "PUT"), ("POST", "/admin/servers//drain", "/admin/servers"),
        ])
    func unknown(method: String, target: String, word: String) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(method, target)
            #expect(answer.status == 404)
            #expect(try answer.json["error"]?["message"]?.stringValue?.contains(word) == true, "\(answer.body)")
            #expect(balancer.router.snapshot().servers.allSatisfy { !$0.isDraining })
        }
    }

    @Test("reload answers 200 when it went well and 422 with the problems when not")
    func reload() async throws {
        try await withBalancer { balancer in
            let nothing = try await balancer.ask("POST", "/admin/reload")
            #expect(nothing.status == 422)
            #expect(nothing.body.contains("no configuration file"))
            balancer.board.onReload { "server-list.yaml:3:5: error: a problem" }
            let bad = try await balancer.ask("POST", "/admin/reload")
            #expect(bad.status == 422)
            #expect(try bad.json["error"]?["message"] == "server-list.yaml:3:5: error: a problem")
            #expect(try bad.json["error"]?["code"] == "invalid_configuration")
            balancer.board.note(problems: "server-list.yaml:3:5: error: a problem")
            #expect(
                try await balancer.get("/llmhealth-snapshot").json["config"]?["error"]
                    == "server-list.yaml:3:5: error: a problem")
            balancer.board.onReload { nil }
            let good = try await balancer.ask("POST", "/admin/reload")
            #expect((good.status, good.body) == (200, #"{"reloaded":true}"#))
        }
    }

    @Test("events send the snapshot at once, and again when something changes")
    func events() async throws {
        try await withBalancer { balancer in
            let client = try await TextClient.connect(port: balancer.proxy.port)
            try await client.send("GET", "/admin/events")
            func events(_ text: String) -> [JSON] {
                text.replacing("\r\n", with: "\n").components(after: "data: ").compactMap { try? JSON(parsing: Array($0.utf8)) }
            }
            let first = try await client.text("the first event") { text, _ in !events(text).isEmpty }
            #expect(first.contains("Content-Type: text/event-stream\r\n"))
            #expect(events(first).first?["backends"]?.arrayValue?.count == 2)
            #expect(try await balancer.ask("POST", "/admin/servers/A/drain").status == 200)
            let later = try await client.text("an event that shows the draining server") { text, _ in
                events(text).last?["backends"]?[0]?["draining"] == true
            }
            for secret in TestBalancer.secrets { #expect(!later.contains(secret)) }
            await client.close()
        }
    }
}

extension String {
    /// The rest of each line that begins so.
    fileprivate func components(after prefix: String) -> [String] {
        split(separator: "\n", omittingEmptySubsequences: false).filter { $0.hasPrefix(prefix) }
            .map { String($0.dropFirst(prefix.count)) }
    }
}
