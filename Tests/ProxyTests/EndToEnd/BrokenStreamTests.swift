import FakeBackend
import Proxy
import Routing
import Testing
import Wire

@Suite("An answer that breaks after its first byte")
struct BrokenStreamTests {
    private static let faults = ["reset-after-events=2", "close-after-events=2"]
    private static let llamaServersFaults = faults + ["lose-process-after-events=2"]

    /// Sends the request and returns what came until the connection ended.
    private func broken(
        _ request: String, _ body: (TestBalancer, HTTPAnswer, _ raw: String) async throws -> Void
    ) async throws {
        try await withBalancer(Setup { $0.servers = [.init("A"), .init("B")] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(request)
            try await client.ended()
            let raw = client.text
            let answer = try await client.answer()
            try await balancer.isAtRest()
            #expect(try balancer.engine("B").observations.received == 0)
            try await body(balancer, answer, raw)
        }
    }

    @Test("ends with an error event of OpenAI's, and without the terminating chunk", arguments: llamaServersFaults)
    func openAI(fault: String) async throws {
        try await broken(chat(stream: true, fault: fault)) { balancer, answer, raw in
            #expect(answer.status == 200 && !answer.isWhole)
            #expect(!raw.hasSuffix("0\r\n\r\n"))
            #expect(answer.events.count == 3)
            let error = try JSON(parsing: Array(try #require(answer.events.last).utf8))
            #expect(error["error"]?["code"] == "upstream_failed")
            #expect(error["error"]?["message"]?.stringValue?.contains("A broke") == true)
            #expect(answer.text.hasSuffix("\n\n"))
            let record = try #require(try await balancer.records(1).first)
            #expect(record.ending == .upstreamBroke && record.status == 200)
            #expect(try await balancer.counters().answersBroken == 1)
        }
    }

    @Test("ends with `event: error` in Anthropic's form", arguments: llamaServersFaults)
    func anthropic(fault: String) async throws {
        let request = post("/v1/messages", chatBody(stream: true), fields: ["X-Fake-Fault: \(fault)"])
        try await broken(request) { _, answer, raw in
            #expect(!answer.isWhole && !raw.hasSuffix("0\r\n\r\n"))
            let last = try #require(answer.text.split(separator: "\n\n").last)
            #expect(last.hasPrefix("event: error\ndata: {\"type\":\"error\",\"error\":{"))
        }
    }

    @Test("ends with an error line in Ollama's form", arguments: faults)
    func ollama(fault: String) async throws {
        let setup = Setup {
            $0.servers = [
                .init(
                    "A",
                    Behaviour {
                        $0.kind = .ollama; $0.models = ["m"]
                    })
            ]
        }
        try await withBalancer(setup) { balancer in
            let client = try await balancer.connect()
            try await client.send(post("/api/chat", chatBody(stream: true), fields: ["X-Fake-Fault: \(fault)"]))
            try await client.ended()
            let answer = try await client.answer()
            #expect(!answer.isWhole)
            let lines = answer.text.split(separator: "\n")
            #expect(lines.count == 3)
            let error = try JSON(parsing: Array(try #require(lines.last).utf8))
            #expect(error["error"]?.stringValue?.contains("incomplete") == true)
        }
    }

    @Test("an event that was cut is ended before the error is told")
    func cutEvent() async throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        for rest in ["7\r\ndata: {\r\n", "7\r\ndata: {", "9\r\ndata: {", "7\r\ndata: {\r\nA"] {
            let engine = try await ScriptedEngine.start { _ in .sendAndClose(head + rest) }
            try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
                let client = try await balancer.connect()
                try await client.send(chat(stream: true))
                try await client.ended()
                let answer = try await client.answer()
                #expect(answer.text.hasPrefix("data: {\n\ndata: {\"error\":"), "\(rest): \(answer.text)")
                #expect(!answer.isWhole)
            }
            await engine.stop()
        }
    }

    @Test("chunks that are malformed are a break, too")
    func malformedChunks() async throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        let engine = try await ScriptedEngine.start { _ in .send(head + "9\r\ndata: 1\n\n\r\nXYZ\r\n") }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true))
            try await client.ended()
            let answer = try await client.answer()
            #expect(!answer.isWhole)
            #expect(answer.events.last?.contains("upstream_failed") == true)
        }
        await engine.stop()
    }

    @Test("an answer that is no stream is cut short, never ended properly", arguments: ["reset-after-events=1", "wrong-length"])
    func noStream(fault: String) async throws {
        try await broken(chat(fault: fault)) { _, answer, _ in
            #expect(answer.status == 200 && !answer.isWhole)
            #expect(!answer.text.contains("upstream_failed"))
        }
    }

    @Test("an answer without a length that is reset is never ended properly, in chunks or, in HTTP/1.0, with the connection")
    func untilClose() async throws {
        let engine = try await ScriptedEngine.start { _ in
            .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"half\":")
        }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat())
            try await client.receive("a half") { $0.contains("half") }
            try await engine.resetConnections()
            #expect(try await !client.answer().isWhole)

            let old = try await balancer.connect()
            let fields = ["Content-Length: \(chatBody().utf8.count)"]
            try await old.send(head("POST", "/v1/chat/completions", fields, version: "1.0") + chatBody())
            try await old.receive("a half") { $0.contains("half") }
            try await engine.resetConnections()
            #expect(try await old.ended() == .reset)
        }
        await engine.stop()
    }

    @Test("a server found dead by its probes ends a silent stream with an error")
    func foundDead() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, fault: "stall-after-events=2"))
            try await client.receive("two events") { $0.components(of: "data: ") == 2 }
            // Only when the stream has been silent for a moment is a probe's word taken against it.
            try await wait(
                for: "an error inside the stream",
                {
                    try balancer.isUp("A")
                    try balancer.isDown("A")
                    return client.text
                }, where: { $0.contains("upstream_failed") })
            try await client.ended()
            #expect(try await client.answer().isWhole == false)
        }
    }

    @Test("timeouts.between-bytes, when configured, ends a silent stream with an error")
    func betweenBytes() async throws {
        try await withBalancer(Setup { $0.settings.timeouts.betweenBytes = .milliseconds(50) }) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(stream: true, fault: "stall-after-events=2"))
            try await client.ended()
            let answer = try await client.answer()
            #expect(!answer.isWhole && answer.events.last?.contains("timeouts.between-bytes") == true)
            try await balancer.engine("A").observations { $0.cancelled == 1 }
        }
    }
}
