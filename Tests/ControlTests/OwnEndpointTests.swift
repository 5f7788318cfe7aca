import FakeBackend
import Routing
import Testing
import Wire

@testable import Control
@testable import Proxy

@Suite("Endpoints of our own", .timeLimit(.minutes(2))) struct OwnEndpointTests {
    private func names(_ json: JSON?) -> [String] { (json?.objectValue ?? []).map(\.name) }

    @Test("/llmhealth tells this machine's load in the original's words")
    func llmhealth() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.get("/llmhealth")
            #expect(answer.status == 200)
            #expect(answer.field("Content-Type") == "application/json")
            #expect(answer.body == #"{"status":"idle","gpu_util_max5s":0.0,"window_seconds":5}"#)
            balancer.load.record(50)
            #expect(
                try await balancer.get("/llmhealth/?x=1").body == #"{"status":"busy","gpu_util_max5s":50.0,"window_seconds":5}"#)
        }
    }

    @Test(
        "a client that has closed its sending side gets its answer, also one that takes a while",
        arguments: ["/metrics", "/v1/models", "/api/version", "/llmhealth-monitor/dashboard.js"])
    func halfClosed(path: String) async throws {
        try await withBalancer { balancer in
            let client = try await TextClient.connect(port: balancer.proxy.port)
            let request = "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            try await client.send(request + request)
            try await client.endInput()
            let text = try await client.text("both answers, and the end") { _, hasEnded in hasEnded }
            #expect(text.split(separator: "HTTP/1.1 ").count == 2)
        }
    }

    @Test("a client that has closed its sending side has left its request to a server")
    func halfClosedForwarded() async throws {
        let slow = Behaviour {
            $0.models = ["m"]; $0.decodeTokensPerSecond = 1
        }
        try await withBalancer(slow, slow) { balancer in
            let client = try await TextClient.connect(port: balancer.proxy.port)
            let page = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            try await client.send(page)
            try await client.send("POST", "/v1/chat/completions", body: TestBalancer.chatBody("m", maxTokens: 100))
            try await balancer.fleet.server("A", is: "at work") { $0.inFlight == 1 }
            try await client.endInput()
            try await balancer.fleet.server("A", is: "free again") { $0.inFlight == 0 }
            let text = try await client.text("the first answer, and the end") { _, hasEnded in hasEnded }
            #expect(text.split(separator: "HTTP/1.1 ").count == 1)
        }
    }

    @Test("/llmhealth-snapshot has every key of the original and ours")
    func snapshot() async throws {
        try await withBalancer { balancer in
            #expect(try await balancer.chat(user: "anna").status == 200)
            try await balancer.fleet.server("A", is: "free again") { $0.inFlight == 0 }
            let snapshot = try await balancer.get("/llmhealth-snapshot").json
            for key in ["local", "backends", "servers", "models", "sticky_count", "sticky", "now", "waiting", "config"] {
                #expect(snapshot[key] != nil, "\(key) is missing")
            }
            #expect(names(snapshot["local"]) == ["status", "gpu_util_max5s", "window_seconds"])

            let backend = try #require(snapshot["backends"]?[0])
            for key in [
                "base", "status", "last", "total_inflight", "model_inflight", "request_max", "name", "kind", "state", "reason",
                "slots", "prefill_tokens_per_second", "decode_tokens_per_second", "draining",
            ] {
                #expect(backend[key] != nil, "\(key) is missing")
            }
            let url = "http://127.0.0.1:\(balancer.engines[0].port)"
            #expect(backend["name"] == "A")
            #expect(backend["base"]?.stringValue == url)
            #expect(backend["status"] == "idle")
            #expect(backend["state"] == "up")
            #expect(backend["kind"] == "llama-server")
            #expect(backend["total_inflight"] == 0)
            #expect(backend["model_inflight"] == [:])
            #expect(backend["draining"] == false)
            #expect(backend["slots"]?["total"] == 4)
            #expect(names(backend["slots"]) == ["total", "busy"])
            #expect(names(backend["last"]) == ["status", "gpu_util_max5s", "updated_at", "url"])
            #expect(backend["last"]?["url"]?.stringValue == url + "/llmhealth")

            #expect(names(snapshot["servers"]) == ["A", "B"])
            #expect(
                snapshot["servers"]?["A"]
                    == ["health_base": .string(url), "model_base": .string(url), "request_max": 2])
            #expect(names(snapshot["servers"]?["B"]) == ["health_base", "model_base"])
            #expect(snapshot["models"] == ["m.*": ["A", "B"]])

            #expect(snapshot["sticky_count"] == 1)
            let sticky = try #require(snapshot["sticky"]?[0])
            #expect(names(sticky) == ["key", "ip", "model", "backend", "updated_at"])
            #expect(sticky["key"]?.stringValue?.hasSuffix("anna|m") == true)
            #expect(sticky["ip"] == "127.0.0.1")
            #expect(sticky["model"] == "m")
            #expect(sticky["backend"]?.stringValue == url)
            for time in [snapshot["now"], sticky["updated_at"], backend["last"]?["updated_at"]] {
                #expect(
                    time?.stringValue?.wholeMatch(of: /20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil, "\(time?.text ?? "")")
            }
            #expect(snapshot["waiting"] == ["count": 0, "requests": []])
            #expect(snapshot["config"]?["file"] == "server-list.yaml")
            #expect(snapshot["config"]?["loaded_at"]?.stringValue?.hasPrefix("2026-11-23T20:15:00") == true)
            #expect(snapshot["config"]?["error"] == .null)
        }
    }

    @Test("a dead server is invalid in the original's words, with the reason beside it")
    func deadServer() async throws {
        try await withBalancer { balancer in
            try await balancer.engines[1].stop()
            try await balancer.fleet.server("B", is: "down") { $0.isDown }
            let backend = try #require(try await balancer.get("/llmhealth-snapshot").json["backends"]?[1])
            #expect(backend["status"] == "invalid")
            #expect(backend["last"]?["status"] == "invalid" && backend["last"]?["gpu_util_max5s"] == .null)
            #expect(backend["state"] == "down")
            #expect(backend["reason"]?.stringValue?.isEmpty == false)
        }
    }

    @Test("/access-log-stats counts the model requests of the last hour, and nothing else")
    func statistics() async throws {
        try await withBalancer { balancer in
            for _ in 0..<3 { _ = try await balancer.chat() }
            _ = try await balancer.chat("m-other")
            _ = try await balancer.get("/v1/models")
            let statistics = try await wait(
                for: "four counted requests", { try await balancer.get("/access-log-stats").json },
                where: { $0["total_requests"] == 4 })
            #expect(
                names(statistics) == [
                    "total_requests", "unique_ips", "unique_models", "unique_usernames", "ip_counts", "model_counts",
                    "username_counts", "time_series", "retention_hours", "oldest_log", "newest_log",
                ])
            #expect(statistics["model_counts"] == ["m": 3, "m-other": 1])
            #expect(statistics["ip_counts"] == ["127.0.0.1": 4])
            #expect(statistics["retention_hours"] == 1)
        }
    }

    @Test("/v1/models, /models, /api/tags and /api/ps are merged lists of the servers that are up")
    func models() async throws {
        let (a, b) = (Behaviour { $0.models = ["x", "m", "m-2"] }, Behaviour { $0.models = ["m", "b"] })
        try await withBalancer(a, b) { balancer in
            func ids() async throws -> [String] {
                try await balancer.get("/v1/models").json["data"]?.arrayValue?.compactMap { $0["id"]?.stringValue } ?? []
            }
            #expect(try await ids() == ["b", "m", "x"])
            let first = try #require(try await balancer.get("/v1/models/").json["data"]?[0])
            #expect(first["owned_by"] == "llamacpp")
            #expect(first["meta"]?["n_ctx"] != nil)
            #expect(try await balancer.get("/models").body == balancer.get("/v1/models").body)
            let tags = try await balancer.get("/api/tags").json["models"]?.arrayValue
            #expect(tags?.map { $0["name"] } == ["b", "m", "x"])
            #expect(try await balancer.get("/api/ps").json["models"] == [], "nobody says that a model is loaded")
            try await balancer.engines[0].stop()
            try await balancer.fleet.server("A", is: "down") { $0.isDown }
            #expect(try await ids() == ["b", "m"])
        }
    }

    @Test("/health is 200 while a server can take work, else 503 with an error, also when all are draining")
    func health() async throws {
        try await withBalancer { balancer in
            let good = try await balancer.get("/health")
            #expect((good.status, good.body) == (200, #"{"status":"ok"}"#))
            #expect(try await balancer.ask("POST", "/admin/servers/A/drain").status == 200)
            #expect(try await balancer.get("/health").status == 200)
            #expect(try await balancer.ask("POST", "/admin/servers/B/drain").status == 200)
            let bad = try await balancer.get("/health")
            #expect(bad.status == 503)
            #expect(try bad.json["error"]?["message"]?.stringValue?.isEmpty == false)
            #expect(try await balancer.ask("POST", "/admin/servers/A/undrain").status == 200)
            #expect(try await balancer.get("/health").status == 200)
        }
    }

    @Test("a server whose requests fail while its probes are fine is shown as suspect, with the reason, and counted")
    func failingServer() async throws {
        try await withBalancer { balancer in
            for number in 1...5 {
                let ticket = Ticket(owner: 0, sequence: UInt64(1_000_000 + number))
                balancer.router.send(.requestArrived(ticket, RequestTraits(destination: .model("m"), client: "me")))
                balancer.router.send(.finished(ticket, Outcome(.broken("reset by the engine"))))
            }
            let backends = try #require(try await balancer.get("/llmhealth-snapshot").json["backends"]?.arrayValue)
            let failing = try #require(backends.first { $0["state"] == "suspect" })
            #expect(
                failing["reason"]?.stringValue
                    == "failed several requests in a row for m, the last one: reset by the engine")
            let name = failing["name"]?.stringValue ?? ""
            let page = try await balancer.get("/metrics").body
            #expect(page.contains("llama_balancer_server_circuits_open{server=\"\(name)\"} 1\n"))
        }
    }

    @Test("/metrics is a page that Prometheus can read, with a line for each server")
    func metrics() async throws {
        try await withBalancer { balancer in
            _ = try await balancer.chat()
            let page = try await wait(
                for: "one counted request", { try await balancer.get("/metrics") },
                where: { $0.body.contains("llama_balancer_requests_total{class=\"2xx\"} 1\n") })
            #expect(page.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
            var types: [String: String] = [:]
            for line in page.body.split(separator: "\n") {
                if let match = line.wholeMatch(of: /# TYPE (llama_balancer_[a-z_]+) (counter|gauge|histogram)/) {
                    types[String(match.1)] = String(match.2)
                } else if !line.hasPrefix("# HELP ") {
                    let sample = try #require(
                        line.wholeMatch(of: /(llama_balancer_[a-z_]+)(\{[a-z]+="[^"]*"\})? (-?[0-9.e+-]+|NaN|[+-]Inf)/), "\(line)"
                    )
                    let family = String(sample.1).replacing(/_(bucket|sum|count)$/, with: "")
                    #expect(
                        types[String(sample.1)] != nil || types[family] == "histogram", "\(line) comes before its type")
                }
            }
            #expect(types["llama_balancer_requests_total"] == "counter")
            #expect(page.body.contains("llama_balancer_decision_seconds_count 1\n"))
            for server in ["A", "B"] {
                #expect(page.body.contains("llama_balancer_server_up{server=\"\(server)\"} 1\n"))
                #expect(page.body.contains("llama_balancer_server_limit{server=\"\(server)\"} 4\n"))
            }
        }
    }

    @Test("/favicon.ico is empty; the page and its files are there, and its address with a slash leads to it")
    func page() async throws {
        try await withBalancer { balancer in
            let icon = try await balancer.get("/favicon.ico")
            #expect((icon.status, icon.body) == (204, ""))
            for (path, type) in [
                ("/llmhealth-monitor", "text/html; charset=utf-8"), ("/llmhealth-monitor?x", "text/html; charset=utf-8"),
                ("/llmhealth-monitor/dashboard.js", "text/javascript; charset=utf-8"),
                ("/llmhealth-monitor/style.css", "text/css; charset=utf-8"),
            ] {
                let answer = try await balancer.get(path)
                #expect(answer.status == 200, "\(path)")
                #expect(answer.field("Content-Type") == type)
                #expect(answer.field("Content-Security-Policy")?.contains("default-src 'none'") == true)
                #expect(answer.body.utf8.count == answer.field("Content-Length").flatMap { Int($0) })
            }
            let redirect = try await balancer.get("/llmhealth-monitor/")
            #expect((redirect.status, redirect.field("Location")) == (308, "../llmhealth-monitor"))
            #expect(try await balancer.get("/llmhealth-monitor/nothing").status == 404)
        }
    }

    @Test("HEAD gets the head alone", arguments: ["/health", "/llmhealth-snapshot", "/llmhealth-monitor", "/metrics"])
    func head(path: String) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask("HEAD", path)
            #expect(answer.status == 200)
            #expect(answer.body == "")
            #expect(answer.field("Content-Length").flatMap { Int($0) }.map { $0 > 0 } == true)
        }
    }

    @Test(
        "our pages answer to GET and HEAD only; another method is passed on like everything else",
        arguments: [
            "/health", "/llmhealth", "/llmhealth-snapshot", "/metrics", "/access-log-stats", "/v1/models",
        ])
    func otherMethods(path: String) async throws {
        try await withBalancer { balancer in
            let request = LocalRequest(method: "POST", target: path, body: [], via: "")
            guard case .now(let answer) = balancer.routes.answer(request) else {
                Issue.record("not answered at once")
                return
            }
            #expect(answer.status == 405)
            #expect(Routes.kind(method: "POST", target: path) == .passed)
        }
    }

    @Test("keys and headers of servers, and prompts, appear on no page")
    func secrets() async throws {
        try await withBalancer(
            Behaviour {
                $0.models = ["m"]; $0.apiKey = TestBalancer.secrets[0]
            }, Behaviour { $0.models = ["m"] }
        ) { balancer in
            #expect(try await balancer.chat(id: "seen").status == 200)
            // Straight to A, whatever its probes say at the moment.
            #expect(try await balancer.ask("GET", "/upstream/A/echo/x").status == 200)
            #expect(balancer.engines[0].observations.work.last?.field("X-Token") == TestBalancer.secrets[1])
            for path in [
                "/llmhealth-snapshot", "/metrics", "/access-log-stats", "/admin/requests", "/admin/requests/seen", "/v1/models",
                "/health", "/llmhealth",
            ] {
                let answer = try await balancer.get(path)
                #expect(answer.status == 200, "\(path)")
                for secret in TestBalancer.secrets + ["PROMPT-TEXT"] {
                    #expect(!(answer.head + answer.body).contains(secret), "\(path) shows \(secret)")
                }
            }
        }
    }
}
