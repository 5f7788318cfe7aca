import FakeBackend
import NIOCore
import Proxy
import Routing
import Testing

@Suite("A page of another origin")
struct CrossOriginTests {
    private static let origin = "Origin: https://page.example"

    private func preflight(_ target: String, _ method: String, _ fields: [String] = []) -> String {
        get(target, method: "OPTIONS", fields: [Self.origin, "Access-Control-Request-Method: \(method)"] + fields)
    }

    @Test(
        "may send what it asks for, which no engine is asked about",
        arguments: [
            ("/v1/chat/completions", "POST"), ("/v1/models", "GET"), ("/health", "GET"), ("/api/tags", "GET"),
            ("/v1/models/m", "DELETE"),
            ("/anything", "PUT"),
        ])
    func preflightAllowed(target: String, method: String) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(preflight(target, method, ["Access-Control-Request-Headers: authorization, content-type"]))
            let answer = try await client.answer()
            #expect(answer.status == 204 && answer["Access-Control-Allow-Origin"] == "https://page.example")
            #expect(answer["Access-Control-Allow-Methods"] == method && answer["Vary"] == "Origin")
            #expect(answer["Access-Control-Allow-Headers"] == "authorization, content-type")
            try await client.send(preflight(target, method))
            #expect(try await client.answer()["Access-Control-Allow-Headers"] == "*", "the connection lives on")
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }

    @Test(
        "may not send what reads or changes the balancer",
        arguments: ["/llmhealth-snapshot", "/access-log-stats", "/metrics", "/llmhealth-monitor", "/llmhealth", "/upstream/A/x"])
    func preflightRefused(target: String) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(preflight(target, "GET"))
            #expect(answer.status == 403 && answer["Access-Control-Allow-Origin"] == nil)
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }

    @Test("may read our refusals, and the head of a stream that has not begun")
    func refusals() async throws {
        let setup = Setup {
            $0.servers = [.init("A", requestMax: 1)]
            $0.settings.keepAliveInterval = .milliseconds(10)
        }
        try await withBalancer(setup) { balancer in
            let malformed = try await balancer.ask(post("/v1/chat/completions", "{", fields: [Self.origin]))
            #expect(malformed.status == 400 && malformed["Access-Control-Allow-Origin"] == "https://page.example")
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let second = try await balancer.connect()
            try await second.send(chat(stream: true, fields: [Self.origin]))
            try await second.receive("a sign of life") { $0.contains(": waiting, 0 ahead\n\n") }
            #expect(second.text.contains("Access-Control-Allow-Origin: https://page.example\r\n"))
            await first.close()
        }
    }

    @Test("may use the API only if its origin is named, where the configuration names origins")
    func named() async throws {
        let setup = Setup { $0.settings.allowedOrigins = .only(["https://page.example"]) }
        try await withBalancer(setup) { balancer in
            let allowed = try await balancer.ask(chat(fields: ["Origin: https://PAGE.example"]))
            #expect(allowed["Access-Control-Allow-Origin"] == "https://PAGE.example" && allowed["Vary"] == "Origin")
            #expect(allowed.fields.count { $0.name.lowercased() == "access-control-allow-origin" } == 1)
            for origin in ["https://other.example", "http://page.example", "https://page.example.evil", "null"] {
                let refused = try await balancer.ask(chat(fields: ["Origin: \(origin)"]))
                #expect(refused.status == 200 && refused["Access-Control-Allow-Origin"] == nil)
                let question = ["Origin: \(origin)", "Access-Control-Request-Method: POST"]
                #expect(try await balancer.ask(get("/v1/chat/completions", method: "OPTIONS", fields: question)).status == 403)
                #expect(
                    try await balancer.ask(post("/v1/chat/completions", "{", fields: ["Origin: \(origin)"]))[
                        "Access-Control-Allow-Origin"] == nil)
            }
            #expect(try await balancer.ask(preflight("/v1/chat/completions", "POST")).status == 204)
            #expect(try await balancer.ask(chat())["Vary"] == "Origin", "a cache must not give it to a page")
            // A page that opens a WebSocket could read what comes.
            let socket = [
                "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Origin: https://other.example",
            ]
            #expect(try await balancer.ask(get("/v1/realtime?model=m", fields: socket)).status == 403)
        }
    }

    @Test("may not read anything else of ours", arguments: ["/llmhealth-snapshot", "/metrics", "/llmhealth", "/upstream/A/x"])
    func own(target: String) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(get(target, fields: [Self.origin]))
            #expect(answer["Access-Control-Allow-Origin"] == nil)
        }
    }

    @Test("is not meant where there is no Origin: nothing is added")
    func noOrigin() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(post("/v1/chat/completions", "{"))
            #expect(answer.status == 400 && answer["Access-Control-Allow-Origin"] == nil && answer["Vary"] == nil)
            let plain = try await balancer.ask(get("/x", method: "OPTIONS", fields: [Self.origin]))
            #expect(plain["X-Balancer-Server"] == "A", "no preflight: passed on")
        }
    }
}
