import FakeBackend
import Testing

@Suite("Bodies and answers pass byte for byte")
struct FidelityTests {
    /// A balancer in front of an engine that answers every request with those bytes.
    private func withScript(
        _ reply: ScriptedEngine.Reply, _ body: (TestBalancer, ScriptedEngine) async throws -> Void
    ) async throws {
        let engine = try await ScriptedEngine.start { _ in reply }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            try await body(balancer, engine)
        }
        await engine.stop()
    }

    @Test(
        "a request, but for the model's name and the volatile characters of its system prompt, of which `kind: openai` gets all")
    func volatilePrompt() async throws {
        let body =
            #"{"system":"x-anthropic-billing-header: cch=36ee5;","model":"m","messages":[{"role":"user","content":"cch=1"}]}"#
        for isKept in [false, true] {
            var setup = Setup()
            setup.servers[0].keepsVolatilePrompts = isKept
            setup.servers[0].models = ["m", "m-2"]
            try await withBalancer(setup) { balancer in
                let holder = try await balancer.connect()
                try await holder.send(chat(fault: "stall-before-answer", fields: ["X-Session-Id: other"]))
                try await balancer.engine("A").observations { $0.concurrency == 1 }
                _ = try await balancer.ask(post("/v1/messages", body))
                let sent = try balancer.engine("A").observations.requests.last?.bodyText
                let expected = body.split(separator: "36ee5").joined(separator: isKept ? "36ee5" : "00000")
                #expect(sent == expected.split(separator: #""m""#).joined(separator: #""m-2""#))
                await holder.close()
            }
        }
    }

    @Test("an answer with a length")
    func contentLength() async throws {
        try await withScript(.send("HTTP/1.1 200 All fine\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n\u{0}\r\nab")) { balancer, _ in
            let answer = try await balancer.ask(chat())
            #expect(answer.body == Array("\u{0}\r\nab".utf8))
            #expect(answer.values(of: "Content-Length") == ["5"])
            #expect(answer["Transfer-Encoding"] == nil)
        }
    }

    @Test("the reason phrase, unknown fields in their order and spelling, repeated ones too")
    func headOrder() async throws {
        let fields = ["x-First: 1", "Set-Cookie: a=1; Path=/", "X-EMPTY:", "Set-Cookie: b=2", "Vary:  Origin  ", "Link: <é>"]
        let reply = "HTTP/1.1 299 Very Fine\r\n" + fields.map { $0 + "\r\n" }.joined() + "Content-Length: 0\r\n\r\n"
        try await withScript(.send(reply)) { balancer, _ in
            let client = try await balancer.connect()
            try await client.send(chat())
            let text = try await client.receive("a head") { $0.contains("\r\n\r\n") }
            #expect(text.hasPrefix("HTTP/1.1 299 Very Fine\r\n"))
            #expect(text.contains(fields.joined(separator: "\r\n") + "\r\n"))
        }
    }

    @Test("a chunked answer: the content is kept, whatever the chunks and wherever they are cut")
    func chunkedAnswer() async throws {
        try await withBalancer { balancer in
            let plain = try await balancer.ask(chat(stream: true, maxTokens: 20))
            #expect(plain.isWhole && plain.events.count == 23)
            #expect(plain.events.last == "[DONE]")
            for fault in ["split-events", "chunk-extensions", "slow-body=0", "slow-headers=1"] {
                let odd = try await balancer.ask(chat(stream: true, maxTokens: 20, fault: fault))
                #expect(odd.isWhole, "\(fault)")
                #expect(odd.events.count == 23, "\(fault)")
                #expect(odd.text.hasSuffix("data: [DONE]\n\n"), "\(fault)")
            }
        }
    }

    @Test("an answer whose chunk sizes are followed by white space reaches the client in plain chunks")
    func spaceAfterSize() async throws {
        let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 ;x=y\r\nhello\r\n1 \r\n!\r\n0\r\n\r\n"
        try await withScript(.send(reply)) { balancer, _ in
            let client = try await balancer.connect()
            try await client.send(chat())
            let text = try await client.receive("the answer") { $0.hasSuffix("0\r\n\r\n") }
            #expect(!text.contains("5 ;") && !text.contains("1 \r\n") && text.contains("hello") && text.contains("!"))
        }
    }

    @Test("a stream that comes with a length keeps it")
    func streamWithLength() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat(stream: true, fault: "content-length"))
            #expect(answer.isWhole && answer["Content-Length"] == "\(answer.body.count)")
            #expect(answer.events.last == "[DONE]")
        }
    }

    @Test("an answer until the connection's end comes in chunks, so that its end is told", arguments: ["until-close", "http10"])
    func untilClose(fault: String) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, fault: fault))
            let answer = try await client.answer()
            #expect(answer.isWhole && !answer.isUntilClose && answer["Transfer-Encoding"] == "chunked")
            #expect(answer.text.hasSuffix("data: [DONE]\n\n"))
            try await client.send(chat())
            #expect(try await client.answer().status == 200, "the connection lives on")
        }
    }

    @Test("a compressed answer stays compressed")
    func gzip() async throws {
        try await withBalancer { balancer in
            let direct = try await RawClient.connect(port: try balancer.engine("A").port, tls: nil)
            try await direct.send(chat(fault: "gzip"))
            let expected = try await direct.answer()
            let answer = try await balancer.ask(chat(fault: "gzip"))
            #expect(answer["Content-Encoding"] == "gzip")
            #expect(answer.body == expected.body && answer.body.first == 0x1f)
        }
    }

    @Test("204 and 304 have no body, and the connection lives on", arguments: [("no-content", 204), ("not-modified", 304)])
    func noBody(fault: String, status: Int) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(fault: fault))
            let answer = try await client.answer()
            #expect(answer.status == status && answer.body.isEmpty)
            #expect(answer["Transfer-Encoding"] == nil)
            try await client.send(chat())
            #expect(try await client.answer().status == 200)
        }
    }

    @Test("HEAD gets the head alone, length included, and the connection lives on")
    func headRequest() async throws {
        try await withScript(.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")) { balancer, _ in
            let client = try await balancer.connect()
            for _ in 0..<2 {
                try await client.send(get("/page", method: "HEAD"))
                let answer = try await client.answer(toHead: true)
                #expect(answer.status == 200 && answer["Content-Length"] == "1234")
            }
        }
    }

    @Test(
        "an event stream without a body is an answer, not something to wait for",
        arguments: ["Transfer-Encoding: chunked\r\n", "Content-Length: 0\r\n"])
    func emptyStream(framing: String) async throws {
        let reply = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\(framing)\r\n"
        try await withScript(.send(reply)) { balancer, _ in
            let toHead = try await balancer.ask(get("/page", method: "HEAD"))
            #expect(toHead.status == 200)
            guard framing.hasPrefix("Content-Length") else { return }
            #expect(try await balancer.ask(chat()).status == 200)
        }
    }

    @Test("an HTTP/1.0 client gets no chunks", arguments: [true, false])
    func http10Client(stream: Bool) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            let body = chatBody(stream: stream)
            try await client.send(
                head("POST", "/v1/chat/completions", ["Content-Length: \(body.utf8.count)"], version: "1.0") + body)
            let answer = try await client.answer()
            #expect(answer["Transfer-Encoding"] == nil)
            #expect(answer.isUntilClose == stream)
            #expect(answer.text.contains(stream ? "data: [DONE]" : "chat.completion"))
            #expect(try await client.ended() == .closed)
        }
    }

    @Test("an HTTP/1.0 client that asks for it keeps its connection")
    func http10KeepAlive() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            for _ in 0..<2 {
                let fields = ["Connection: keep-alive", "Content-Length: \(chatBody().utf8.count)"]
                try await client.send(head("POST", "/v1/chat/completions", fields, version: "1.0") + chatBody())
                let answer = try await client.answer()
                #expect(answer.status == 200 && answer["Connection"] == "keep-alive")
            }
        }
    }

    @Test("method, path, query and percent-encoding pass as received")
    func target() async throws {
        try await withBalancer { balancer in
            for target in ["/echo/a%2Fb/%E3%81%82?x=%20&y=a+b&&z", "/echo/../x//y;p=1?", "/echo/~!$'()*,:@[]|"] {
                for method in ["GET", "PUT", "PATCH", "DELETE", "PROPFIND"] {
                    _ = try await balancer.ask(get(target, method: method))
                    let seen = try #require(try balancer.engine("A").observations.requests.last)
                    #expect(seen.target == target && seen.method == method)
                }
            }
        }
    }

    @Test("a server's path prefix is put in front")
    func pathPrefix() async throws {
        var setup = Setup()
        setup.servers[0].pathPrefix = "/echo"
        try await withBalancer(setup) { balancer in
            _ = try await balancer.ask(chat())
            #expect(try balancer.engine("A").observations.requests.last?.target == "/echo/v1/chat/completions")
        }
    }

    @Test(
        "a path that would lead out of the server's prefix is refused",
        arguments: ["/../secret", "/x/../../secret", "/%2e%2E/secret", "/.%2e?x=1", "/upstream/A/../secret", "/upstream/A/%2e."])
    func outOfPrefix(target: String) async throws {
        var setup = Setup()
        setup.servers[0].pathPrefix = "/echo"
        try await withBalancer(setup) { balancer in
            let answer = try await balancer.ask(get(target))
            #expect(answer.status == 400 && answer.text.contains("invalid_request"))
            #expect(try balancer.engine("A").observations.requests.allSatisfy { !$0.target.contains("..") })
            #expect(try await balancer.ask(get("/a..b/...")).status != 400, "that is a name like any other")
            try await balancer.isAtRest()
        }
    }

    @Test("informational answers are passed on before the real one; 100 Continue ends here", arguments: [100, 102, 103])
    func informational(status: Int) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(fault: "informational=\(status)"))
            var answer = try await client.answer()
            if status != 100 {
                #expect(answer.status == status)
                #expect(status != 103 || answer["Link"] == "</style.css>; rel=preload")
                answer = try await client.answer()
            }
            #expect(answer.status == 200 && answer.isWhole)
            let old = try await balancer.ask(
                head(
                    "POST", "/v1/chat/completions",
                    ["Content-Length: \(chatBody().utf8.count)", "X-Fake-Fault: informational=\(status)"], version: "1.0")
                    + chatBody())
            #expect(old.status == 200, "HTTP/1.0 knows no informational answers")
        }
    }

    @Test("a body of 20 MB arrives whole, with an instance spliced in")
    func bigBody() async throws {
        let setup = Setup { $0.servers = [.init("A", models: ["m", "m-2"])] }
        try await withBalancer(setup) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer", fields: ["X-Session-Id: first"]))
            let engine = try balancer.engine("A")
            try await engine.observations { $0.concurrency == 1 }
            let body = chatBody(content: String(repeating: "0123456789abcdef", count: 20 << 16))
            #expect(body.utf8.count > 20 << 20)
            let answer = try await balancer.ask(post("/v1/chat/completions", body, fields: ["X-Fake-Fault: status=200"]))
            #expect(answer.status == 200 && answer["X-Balancer-Model"] == "m-2")
            let seen = try #require(engine.observations.work.last)
            #expect(seen.bodyLength == body.utf8.count + 2)
            let expected = Array((#"{"model":"m-2""# + body.dropFirst(#"{"model":"m""#.count)).utf8.prefix(1 << 20))
            let isAsExpected = seen.body == expected  // Outside of #expect, which would print it all.
            #expect(isAsExpected)
        }
    }
}
