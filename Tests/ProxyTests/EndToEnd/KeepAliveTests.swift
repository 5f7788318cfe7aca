import FakeBackend
import Proxy
import Routing
import Testing

@Suite("Signs of life for a streaming client that waits")
struct KeepAliveTests {
    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    private static let stream = head + "Transfer-Encoding: chunked\r\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"

    /// A balancer that sends signs of life as often as it can, in front of an engine that answers when the test says so.
    private func withSilentEngine(
        requestMax: Int? = nil, _ body: (TestBalancer, ScriptedEngine) async throws -> Void
    ) async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        var server = Setup.Server("A", port: engine.port)
        server.requestMax = requestMax
        let setup = Setup {
            $0.servers = [server]
            $0.settings.keepAliveInterval = .milliseconds(10)
        }
        try await withBalancer(setup) { try await body($0, engine) }
        await engine.stop()
    }

    @Test("during a prefill: comments, then the stream goes on as if nothing had been")
    func prefill() async throws {
        try await withSilentEngine { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await client.receive("two comments") { $0.components(of: ": prefill\n\n") >= 2 }
            try await engine.send(Self.stream, on: 1)
            let answer = try await client.answer()
            #expect(answer.isWhole && answer.status == 200 && answer["Content-Type"] == "text/event-stream")
            #expect(answer.events == ["[DONE]"])
            // The connection lives on.
            try await client.send(get("/health"))
            #expect(try await client.answer().status == 200)
        }
    }

    @Test("whatever the framing of the answer that comes then", arguments: ["", "Content-Length: 14\r\n"])
    func otherFraming(field: String) async throws {
        try await withSilentEngine { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await client.receive("a comment") { $0.contains(": prefill\n\n") }
            let answerText = Self.head + field + "\r\ndata: [DONE]\n\n"
            try await engine.send(answerText, on: 1)
            if field.isEmpty { await engine.closeConnections() }
            let answer = try await client.answer()
            #expect(answer.isWhole && answer.events == ["[DONE]"])
        }
    }

    @Test("in the line: how many are ahead")
    func waiting() async throws {
        try await withSilentEngine(requestMax: 1) { balancer, engine in
            var clients: [RawClient] = []
            for index in 0..<3 {
                let client = try await balancer.connect()
                clients.append(client)
                try await client.send(chat(stream: true, fields: ["X-Session-Id: \(index)"]))
                // The first one has the only slot before the second is sent: nobody waits then, nor before it has arrived.
                try await wait(for: "the first request", { engine.turns.count }, where: { $0 == 1 })
                try await balancer.fleet("\(index) waiting") { $0.waitingCount == index }
            }
            try await clients[1].receive("its place") { $0.contains(": waiting, 0 ahead\n\n") }
            try await clients[2].receive("its place") { $0.contains(": waiting, 1 ahead\n\n") }
            for index in 0..<3 {
                try await wait(for: "the next request", { engine.turns.count }, where: { $0 == index + 1 })
                try await engine.send(Self.stream, on: engine.turns[index].connection)
                #expect(try await clients[index].answer().events == ["[DONE]"])
            }
        }
    }

    @Test("in Anthropic's form: ping events")
    func anthropic() async throws {
        try await withSilentEngine { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(post("/v1/messages", chatBody(stream: true)))
            try await client.receive("a ping") { $0.contains("event: ping\ndata: {\"type\": \"ping\"}\n\n") }
            try await engine.send(Self.stream, on: 1)
            #expect(try await client.answer().isWhole)
        }
    }

    @Test("nothing for who does not stream, nor in Ollama's form", arguments: ["/v1/chat/completions", "/api/chat"])
    func silence(path: String) async throws {
        try await withSilentEngine { balancer, engine in
            let watched = try await balancer.connect()
            try await watched.send(post(path, chatBody(stream: path == "/api/chat")))
            try await wait(for: "the request", { engine.turns.count }, where: { $0 == 1 })
            // Another client on the same loops shows that signs of life would have been sent by now.
            let other = try await balancer.connect()
            try await other.send(chat(stream: true))
            try await other.receive("many comments") { $0.components(of: ": prefill\n\n") >= 3 }
            #expect(watched.text.isEmpty)
            try await engine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", on: 1)
            #expect(try await watched.answer().text == "{}")
        }
    }

    @Test("never inside an event")
    func insideAnEvent() async throws {
        try await withSilentEngine { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await wait(for: "the request", { engine.turns.count }, where: { $0 == 1 })
            try await engine.send(Self.head + "Transfer-Encoding: chunked\r\n\r\n6\r\ndata: \r\n", on: 1)
            try await client.receive("half an event") { $0.contains("data: ") }
            let other = try await balancer.connect()
            try await other.send(chat(stream: true))
            try await other.receive("many comments") { $0.components(of: ": prefill\n\n") >= 3 }
            try await engine.send("3\r\n1\n\n\r\n", on: 1)
            try await client.receive("a comment after the event") { $0.contains(": still here\n\n") }
            try await engine.send("0\r\n\r\n", on: 1)
            let text = try await client.answer().text
            let begun = try #require(text.firstRange(of: "data: "))
            #expect(text[begun.lowerBound...].hasPrefix("data: 1\n\n"))
        }
    }

    @Test("between two events, whatever their lines end with", arguments: ["\n\n", "\r\n\r\n", "\r\r", "\n\r\n"])
    func anyLineEnd(end: String) async throws {
        try await withSilentEngine { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await wait(for: "the request", { engine.turns.count }, where: { $0 == 1 })
            let event = "data: 1" + end
            // In pieces of one byte, because an end may be cut anywhere.
            try await engine.send(Self.head + "Transfer-Encoding: chunked\r\n\r\n", on: 1)
            for byte in event.utf8 { try await engine.send("1\r\n\(String(decoding: [byte], as: UTF8.self))\r\n", on: 1) }
            try await client.receive("a comment after the event") { $0.contains(": still here\n\n") }
            try await engine.send("0\r\n\r\n", on: 1)
            #expect(try await client.answer().text.contains(event + ": still here\n\n"))
        }
    }

    @Test("once one has been sent a failure is told inside the stream: an error of the engine's, too")
    func failure() async throws {
        try await withSilentEngine { balancer, engine in
            for reply in [
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 39\r\n\r\n{\"error\":{\"message\":\"context is full\"}}", nil,
            ] {
                let client = try await balancer.connect()
                try await client.send(chat(stream: true))
                try await client.receive("a comment") { $0.contains(": prefill\n\n") }
                if let reply { try await engine.send(reply, on: 1) } else { await engine.closeConnections() }
                try await client.ended()
                let answer = try await client.answer()
                #expect(answer.status == 200 && !answer.isWhole)
                #expect(answer.events.last?.contains("\"error\"") == true)
                if reply != nil { #expect(answer.events.last?.contains("answered 400") == true) }
            }
        }
    }

    @Test("a client that leaves after a sign of life is gone all the same")
    func clientGone() async throws {
        try await withSilentEngine { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await client.receive("a comment") { $0.contains(": prefill\n\n") }
            await client.close()
            try await wait(for: "the end of the engine's connection", { engine.openConnections }, where: { $0 == 0 })
            try await balancer.isAtRest()
        }
    }
}
