import FakeBackend
import Proxy
import Routing
import Testing
import Wire

/// llama-server in router mode passes requests on to a process for each model. Its answers were recorded from xllamacpp 2026.9.11063.
@Suite("A router that has lost the process of a model")
struct LostProcessTests {
    private static let head =
        "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    private static let event = chunk("data: {\"choices\":[]}\n\n")
    private static let lost = chunk("proxy error: Failed to read connection")
    private static let end = "0\r\n\r\n"

    private static func chunk(_ text: String) -> String { String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n" }

    private static func error(_ text: String) -> String {
        "HTTP/1.1 500 Internal Server Error\r\nServer: llama.cpp\r\nAccess-Control-Allow-Origin: \r\nX-Accel-Buffering: no\r\n"
            + "Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunk("proxy error: " + text) + end
    }

    private static let notSent = error("Could not establish connection")

    private static let good =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

    // MARK: In the middle of a stream

    @Test(
        "breaks the stream, though the router ends it as if it were complete",
        arguments: [
            head + event + lost + end, head + event + event + lost + end, head + event + chunk("data: {\"cho") + lost + end,
            head + event + chunk("proxy error: Connection timed out") + end,
        ])
    func broken(answer: String) async throws {
        try await withEngines([{ _ in .send(answer) }]) { balancer, engines in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await client.ended()
            let raw = client.text
            let told = try await client.answer()
            #expect(told.status == 200 && !told.isWhole && !raw.hasSuffix("0\r\n\r\n"))
            #expect(!told.text.split(separator: "\n").contains { $0.hasPrefix("proxy error:") })
            let error = try JSON(parsing: Array(try #require(told.events.last).utf8))
            #expect(error["error"]?["code"] == "upstream_failed")
            #expect(error["error"]?["message"]?.stringValue?.contains("proxy error: ") == true)
            let record = try #require(try await balancer.records(1).first)
            #expect(record.ending == .upstreamBroke)
            #expect(try await balancer.counters().answersBroken == 1)
        }
    }

    @Test("breaks the stream in Anthropic's form")
    func anthropic() async throws {
        let answer = Self.head + Self.chunk("event: message_start\ndata: {}\n\n") + Self.lost + Self.end
        try await withEngines([{ _ in .send(answer) }]) { balancer, _ in
            let client = try await balancer.connect()
            try await client.send(post("/v1/messages", chatBody(stream: true)))
            try await client.ended()
            let told = try await client.answer()
            #expect(!told.isWhole)
            let last = try #require(told.text.split(separator: "\n\n").last)
            #expect(last.hasPrefix("event: error\ndata: {\"type\":\"error\",\"error\":{"))
        }
    }

    @Test("opens the server's circuit for the model when it happens again and again")
    func circuit() async throws {
        try await withEngines([{ _ in .send(Self.head + Self.event + Self.lost + Self.end) }]) { balancer, engines in
            for _ in 1...5 {
                let client = try await balancer.connect()
                try await client.send(chat(stream: true))
                try await client.ended()
            }
            try await balancer.isAtRest()
            #expect(balancer.router.snapshot().servers.first?.failing.first?.model == "m")
        }
    }

    @Test(
        "is not what a text of the model says",
        arguments: [
            chunk("data: {\"content\":\"") + chunk("proxy error: it said\"}\n\n"), chunk("data: proxy error: Failed\n\n"),
            chunk(": proxy error: Failed\n\n"), chunk("proxy error: a field without a value, before another line\n\n"),
            chunk("proxy error: "),
        ])
    func innocent(content: String) async throws {
        let answer = Self.head + Self.event + content + Self.end
        try await withEngines([{ _ in .send(answer) }]) { balancer, _ in
            let told = try await balancer.ask(chat(stream: true))
            #expect(told.isWhole)
            #expect(told.text.contains("proxy error:"))
            let record = try #require(try await balancer.records(1).first)
            #expect(record.ending == .complete)
        }
    }

    @Test("before the first event of a stream is like the death of an engine: another one answers", arguments: [true, false])
    func beforeTheFirstEvent(isOneSend: Bool) async throws {
        let loss = Self.lost + Self.end
        try await withEngines([
            { _ in .send(Self.head + (isOneSend ? loss : "")) }, { _ in .send(Self.head + Self.event + Self.end) },
        ]) { balancer, engines in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            if !isOneSend {
                try await wait(for: "the request at the first engine", { engines[0].turns.count }) { $0 == 1 }
                try await engines[0].send(loss, on: 1)
            }
            let told = try await client.answer()
            #expect(told.isWhole && told["X-Balancer-Server"] == "B" && told.events.count == 1)
        }
    }

    // MARK: Before an answer

    @Test("did not get the request: it is sent again to the same server, when no other one can take it")
    func again() async throws {
        try await withEngines([{ $0.connection <= 2 ? .sendAndClose(Self.notSent) : .send(Self.good) }]) { balancer, engines in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 200 && answer.text == "{}")
            #expect(engines[0].turns.count == 3)
            #expect(engines[0].turns.allSatisfy { $0.text.hasSuffix(chatBody()) })
            try await balancer.isAtRest()
            #expect(try await balancer.counters().retries == 2)
        }
    }

    @Test("also when the router had no place for the model's process, because two requests wanted one at the same moment")
    func noPlace() async throws {
        let body = #"{"error":{"code":500,"message":"model limit reached, try again later","type":"server_error"}}"#
        let answer =
            "HTTP/1.1 500 Internal Server Error\r\nServer: llama.cpp\r\nContent-Type: application/json; charset=utf-8\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        try await withEngines([{ $0.connection == 1 ? .sendAndClose(answer) : .send(Self.good) }]) { balancer, engines in
            let told = try await balancer.ask(chat())
            #expect(told.status == 200)
            #expect(engines[0].turns.count == 2)
        }
    }

    @Test("and goes to another server at once, if there is one")
    func elsewhere() async throws {
        try await withEngines([{ _ in .sendAndClose(Self.notSent) }, { _ in .send(Self.good) }]) { balancer, engines in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 200 && answer["X-Balancer-Server"] == "B")
            #expect(engines.map(\.turns.count) == [1, 1])
        }
    }

    @Test("for longer than three tries: the client gets the router's answer")
    func forEver() async throws {
        try await withEngines([{ _ in .sendAndClose(Self.notSent) }]) { balancer, engines in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 500 && answer.text == "proxy error: Could not establish connection")
            #expect(engines[0].turns.count == 4)
            try await balancer.isAtRest()
        }
    }

    @Test(
        "an error that may be the engine's own is not repeated on the same server",
        arguments: [
            error("Could not establish connection, perhaps"),
            "HTTP/1.1 500 X\r\nContent-Length: 32\r\n\r\n{\"error\":{\"message\":\"no model\"}}",
        ])
    func once(answer: String) async throws {
        try await withEngines([{ _ in .sendAndClose(answer) }]) { balancer, engines in
            let told = try await balancer.ask(chat())
            #expect(told.status == 500)
            #expect(engines[0].turns.count == 1)
        }
    }

    @Test("a request that the process may have had is sent once more: to another server, else to the same one")
    func onceMore() async throws {
        let lost = Self.error("Failed to read connection")
        try await withEngines([{ _ in .sendAndClose(lost) }]) { balancer, engines in
            let told = try await balancer.ask(chat())
            #expect(told.status == 500 && engines[0].turns.count == 2)
        }
        try await withEngines([{ _ in .sendAndClose(lost) }, { _ in .sendAndClose(lost) }]) { balancer, engines in
            let told = try await balancer.ask(chat())
            #expect(told.status == 500 && engines.map(\.turns.count) == [1, 1])
        }
    }

    @Test("a client that leaves during the pause is gone")
    func leaves() async throws {
        try await withEngines([{ _ in .sendAndClose(Self.notSent) }]) { balancer, engines in
            let client = try await balancer.connect()
            try await client.send(chat())
            try await wait(for: "the request at the engine", { engines[0].turns.count }) { $0 > 0 }
            await client.close()
            try await balancer.isAtRest()
            let record = try #require(try await balancer.records(1).first)
            #expect(record.ending == .clientGone)
        }
    }

    private func withEngines(
        _ scripts: [@Sendable (ScriptedEngine.Turn) -> ScriptedEngine.Reply],
        body: (TestBalancer, [ScriptedEngine]) async throws -> Void
    ) async throws {
        var engines: [ScriptedEngine] = []
        for script in scripts { engines.append(try await ScriptedEngine.start(script)) }
        let setup = Setup { setup in setup.servers = zip(["A", "B"], engines).map { .init($0, port: $1.port) } }
        let result: Result<Void, any Error>
        do {
            try await withBalancer(setup) { try await body($0, engines) }
            result = .success(())
        } catch { result = .failure(error) }
        for engine in engines { await engine.stop() }
        try result.get()
    }
}
