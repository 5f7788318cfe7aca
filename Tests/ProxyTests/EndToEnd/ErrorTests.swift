import FakeBackend
import Proxy
import Routing
import Testing
import Wire

@Suite("Errors, each in the caller's API")
struct ErrorTests {
    /// A path of each API with a body that names the model.
    enum API: String, CaseIterable, Sendable {
        case openAI = "/v1/chat/completions"
        case anthropic = "/v1/messages"
        case ollama = "/api/chat"

        func request(_ body: String = chatBody(), fields: [String] = []) -> String { post(rawValue, body, fields: fields) }

        /// Checks the shape and returns the message.
        func message(of answer: HTTPAnswer, code: String) throws -> String {
            let json = try JSON(parsing: answer.body)
            #expect(answer["Content-Type"]?.hasPrefix("application/json") == true)
            switch self {
            case .openAI:
                let error = try #require(json["error"])
                #expect(error["code"]?.stringValue == code)
                #expect(error["type"]?.stringValue != nil && error["param"] == .null)
                return try #require(error["message"]?.stringValue)
            case .anthropic:
                #expect(json["type"] == "error")
                #expect(json["error"]?["type"]?.stringValue != nil)
                return try #require(json["error"]?["message"]?.stringValue)
            case .ollama: return try #require(json["error"]?.stringValue)
            }
        }
    }

    @Test("404 model_not_found names the model and where to look", arguments: API.allCases)
    func modelNotFound(api: API) async throws {
        try await withBalancer(Setup { $0.fallback = nil }) { balancer in
            let answer = try await balancer.ask(api.request(chatBody(model: "no \\\"such\\\" one")))
            #expect(answer.status == 404)
            #expect(answer["X-Request-Id"] != nil)
            let message = try api.message(of: answer, code: "model_not_found")
            #expect(message.contains("no \"such\" one") && message.contains("/v1/models"))
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }

    @Test("400 for malformed JSON says where; nothing is sent on, and the connection lives on", arguments: API.allCases)
    func malformed(api: API) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            for body in [#"{"model":"m","#, #"{"model":"m"}}"#, #"{"model":"m" "x":1}"#, "not json", #"{"model":"\ud800x"#, ""] {
                try await client.send(api.request(body))
                let answer = try await client.answer()
                #expect(answer.status == 400, "\(body)")
                let message = try api.message(of: answer, code: "invalid_request")
                #expect(message.contains("byte"), "\(message)")
            }
            #expect(try balancer.engine("A").observations.requests.isEmpty)
            try await client.send(chat())
            #expect(try await client.answer().status == 200)
        }
    }

    @Test("413 names the limit, for a length announced and for one that only shows", arguments: API.allCases)
    func tooLarge(api: API) async throws {
        try await withBalancer(Setup { $0.settings.limits.body = 1000 }) { balancer in
            let body = chatBody(content: String(repeating: "x", count: 1000))
            for request in [api.request(body), chunked(api.rawValue, body, sizes: [100])] {
                let client = try await balancer.connect()
                try await client.send(request)
                let answer = try await client.answer()
                #expect(answer.status == 413 && answer["Connection"] == "close")
                #expect(try api.message(of: answer, code: "request_too_large").contains("limits.body"))
                try await client.ended()
            }
            #expect(try balancer.engine("A").observations.requests.isEmpty)
            _ = try await balancer.ask(api.request())
            #expect(try balancer.engine("A").observations.received == 1)
        }
    }

    @Test("a refused upload can read its answer although it goes on sending")
    func refusedUpload() async throws {
        try await withBalancer(Setup { $0.settings.limits.body = 1000 }) { balancer in
            let client = try await balancer.connect()
            try await client.send(head("POST", "/v1/chat/completions", ["Content-Length: 50000000"]))
            try? await client.send([UInt8](repeating: 0x20, count: 4 << 20))
            #expect(try await client.answer().status == 413)
        }
    }

    @Test("431 for a head over the limit, in size or in number of fields")
    func headTooLarge() async throws {
        try await withBalancer(Setup { $0.settings.limits.header = 4096 }) { balancer in
            let long = chat(fields: ["X-Long: " + String(repeating: "x", count: 5000)])
            let many = chat(fields: (0..<201).map { "a\($0): b" })
            let endless = "GET /" + String(repeating: "x", count: 5000)
            for request in [long, many, endless] {
                let client = try await balancer.connect()
                try await client.send(request)
                let answer = try await client.answer()
                #expect(answer.status == 431 && answer["Connection"] == "close")
                _ = try API.openAI.message(of: answer, code: "request_too_large")
                try await client.ended()
            }
        }
    }

    @Test("429 queue_full says how many wait and when to come again", arguments: API.allCases)
    func queueFull(api: API) async throws {
        let setup = Setup {
            $0.servers = [.init("A", requestMax: 1)]
            $0.policy.maxWaiting = 0
        }
        try await withBalancer(setup) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let answer = try await balancer.ask(api.request())
            #expect(answer.status == 429)
            #expect((answer["Retry-After"].flatMap { Int($0) } ?? 0) >= 1)
            #expect(try api.message(of: answer, code: "queue_full").contains("queue.max-waiting"))
        }
    }

    @Test("429 queue_wait_too_long at once, when its class may not wait as long as predicted", arguments: API.allCases)
    func waitTooLong(api: API) async throws {
        let setup = Setup {
            $0.servers = [.init("A", requestMax: 1)]
            $0.policy.longestPrediction.bulk = .milliseconds(1)
        }
        try await withBalancer(setup) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let answer = try await balancer.ask(api.request(fields: ["X-Priority: Bulk"]))
            #expect(answer.status == 429)
            #expect((answer["Retry-After"].flatMap { Int($0) } ?? 0) >= 1)
            #expect(try api.message(of: answer, code: "queue_wait_too_long").contains("queue.max-predicted-wait"))
        }
    }

    @Test("503 queue_timeout once the longest wait is over", arguments: API.allCases)
    func queueTimeout(api: API) async throws {
        let setup = Setup {
            $0.servers = [.init("A", requestMax: 1)]
            $0.policy.maxWait = .milliseconds(20)
        }
        try await withBalancer(setup) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let answer = try await balancer.ask(api.request())
            #expect(answer.status == 503)
            #expect((answer["Retry-After"].flatMap { Int($0) } ?? 0) >= 1)
            #expect(try api.message(of: answer, code: "queue_timeout").contains("queue.max-wait"))
            #expect(try balancer.engine("A").observations.received == 1)
        }
    }

    @Test("503 no_server_available when nobody is up, after one try", arguments: API.allCases)
    func nobodyUp(api: API) async throws {
        let port = try await closedPort()
        try await withBalancer(Setup { $0.servers = [.init("A", port: port)] }) { balancer in
            try balancer.isDown("A")
            let answer = try await balancer.ask(api.request())
            #expect(answer.status == 503 && answer["Retry-After"] != nil)
            #expect(try api.message(of: answer, code: "no_server_available").contains("A could not connect: connection refused"))
        }
    }

    @Test("502 upstream_failed tells what was tried last", arguments: API.allCases)
    func upstreamFailed(api: API) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(api.request(fields: ["X-Fake-Fault: reset-before-answer"]))
            #expect(answer.status == 502)
            #expect(try api.message(of: answer, code: "upstream_failed").contains("A broke before its answer"))
        }
    }

    @Test("504 when timeouts.first-byte is configured and has passed", arguments: API.allCases)
    func firstByteTimeout(api: API) async throws {
        try await withBalancer(Setup { $0.settings.timeouts.firstByte = .milliseconds(50) }) { balancer in
            let answer = try await balancer.ask(api.request(fields: ["X-Fake-Fault: stall-before-answer"]))
            #expect(answer.status == 504)
            #expect(try api.message(of: answer, code: "upstream_timeout").contains("timeouts.first-byte"))
            try await balancer.engine("A").observations { $0.cancelled == 1 }
        }
    }

    @Test(
        "a head of the server that cannot be trusted is 502, and never passed on",
        arguments: [
            "two-lengths", "malformed-head=status-line", "malformed-head=bare-lf", "malformed-head=space-in-name",
            "malformed-head=folded-line",
        ])
    func badUpstreamHead(fault: String) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat(fault: fault))
            #expect(answer.status == 502)
            #expect(try API.openAI.message(of: answer, code: "upstream_failed").contains("not HTTP that can be trusted"))
        }
    }

    @Test("the server's own errors go through untouched", arguments: [400, 401, 404, 418, 500, 501, 503])
    func ownErrors(status: Int) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat(fault: "status=\(status)"))
            #expect(answer.status == status)
            #expect(answer.text.contains("fault status=\(status)"))
            #expect(answer["X-Balancer-Server"] == "A")
        }
    }

    @Test("what is refused here is logged with the id that the client was told, its address and what it was sent")
    func refusedIsLogged() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(post("/v1/chat/completions", #"{"model":"#, fields: ["X-Request-Id: mine"]))
            #expect(answer.status == 400 && answer["X-Request-Id"] == "mine")
            let broken = try await balancer.ask("GET / HTTP/1.1\n\n")
            let records = try await balancer.records(2)
            #expect(records.map(\.requestID) == ["mine", broken["X-Request-Id"]])
            for record in records { #expect(record.address == "127.0.0.1" && record.bytesSent > 100) }
        }
    }

    @Test("what is refused is in the books with a sensible time, and an access-log line without the prompt")
    func records() async throws {
        try await withBalancer(Setup { $0.fallback = nil }) { balancer in
            let before = Clock.wallMilliseconds
            _ = try await balancer.ask(chat(model: "none", content: "SECRET PROMPT"))
            _ = try await balancer.ask("GET / HTTP/1.1\n\n")
            _ = try await balancer.ask(chat(content: "SECRET PROMPT", system: "SECRET SYSTEM"))
            let records = try await balancer.records(3)
            #expect(records.map(\.status) == [404, 400, 200])
            #expect(records.map(\.ending) == [.refused, .refused, .complete])
            for record in records {
                #expect(record.startedAt >= before)
                #expect(record.totalMilliseconds < 60_000)
            }
            #expect(records[2].usage?.predictedTokens == 4)
            try await wait(for: "three lines in the access log", { balancer.notes.log }) { $0.split(separator: "\n").count == 3 }
            #expect(!balancer.notes.log.contains("SECRET"))
        }
    }
}
