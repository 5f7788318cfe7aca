import FakeBackend
import NIOPosix
import Testing
import Wire

@Suite("Connections and observations")
struct ConnectionHabitsTests {
    @Test("a connection is kept after a JSON answer, up to the last one allowed")
    func keepAlive() async throws {
        try await withEngine(Behaviour { $0.answersPerConnection = 3 }) { engine in
            let client = try await RawClient.connect(to: engine)
            for _ in 1...2 {
                try await client.send(chat())
                #expect(try await client.receiveAnswer().field("Connection") == nil)
            }
            try await client.send(chat())
            let (text, ending) = try await client.receiveUntilEnd()
            #expect(Answer(text).field("Connection") == "close")
            #expect(ending == .closed)
            #expect(Set(engine.observations.requests.map(\.connection)) == [1])
        }
    }

    @Test("an idle connection is closed")
    func idle() async throws {
        try await withEngine(Behaviour { $0.idleTimeout = .milliseconds(20) }) { engine in
            let client = try await RawClient.connect(to: engine)
            #expect(try await client.receiveUntilEnd().ending == .closed)
        }
    }

    @Test("requests that arrive together are answered one after the other")
    func pipelining() async throws {
        try await withEngine { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(request("GET", "/echo/1") + request("GET", "/echo/2") + request("GET", "/echo/3"))
            let text = try await client.receive("three answers") {
                $0.split(separator: "HTTP/1.1 200").count == 3 && $0.contains("/echo/3")
            }
            #expect(text.contains("/echo/1") && text.contains("/echo/2"))
        }
    }

    @Test("an echo tells method, target, headers in order and body as they came")
    func echo() async throws {
        try await withEngine { engine in
            let answer = try await engine.ask(
                request("PATCH", "/echo/a%20b?x=1&x=2", fields: ["X-B: 1", "x-a: 2", "X-B: 3"], body: "hello"))
            let json = try JSON(parsing: Array((answer.body ?? "").utf8))
            #expect(json["method"] == "PATCH")
            #expect(json["target"] == "/echo/a%20b?x=1&x=2")
            #expect(json["body"] == "hello")
            #expect(json["headers"]?.arrayValue?.suffix(3) == [["X-B", "1"], ["x-a", "2"], ["X-B", "3"]])
        }
    }

    @Test("observations keep requests as they came and tell probes from work")
    func observations() async throws {
        try await withEngine { engine in
            _ = try await engine.ask(request("GET", "/health"))
            _ = try await engine.ask(chat("what was said"))
            let seen = try await engine.observations { $0.completed == 1 }
            #expect(seen.probes == 1 && seen.received == 1 && seen.requests.count == 2)
            let request = try #require(seen.work.first)
            #expect(request.method == "POST" && request.target == "/v1/chat/completions")
            #expect(request.field("host") == "engine")
            #expect(request.bodyText.contains("what was said"))
            #expect(request.outcome == .completed)
        }
    }

    @Test("stopping cuts every connection and frees the port for a successor")
    func stop() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let engine = try await FakeLlamaServer.start(Behaviour { $0.decodeTokensPerSecond = 1 }, group: group)
        let client = try await RawClient.connect(to: engine)
        try await client.send(chat(maxTokens: 1000, stream: true))
        _ = try await client.receive("the first event") { $0.contains("assistant") }
        try await engine.stop()
        #expect(try await client.receiveUntilEnd().text.contains("[DONE]") == false)
        #expect(engine.observations.broken == 1)
        await #expect(throws: (any Error).self) { try await RawClient.connect(to: engine) }
        let successor = try await FakeLlamaServer.start(port: engine.port, group: group)
        #expect(try await successor.ask(chat()).status == 200)
        try await successor.stop()
        try await successor.stop()
    }

    @Test("the control path changes the behaviour for a time and shows what was seen, untouched by faults")
    func controlPath() async throws {
        try await withEngine { engine in
            let change = request("POST", "/fake/behaviour", body: #"{"fault":"status=500","for_ms":20}"#)
            #expect(try await engine.ask(change).body?.contains(#""fault":"status=500""#) == true)
            #expect(try await engine.ask(request("POST", "/fake/behaviour", body: #"{"faults":1}"#)).status == 400)
            var statuses: Set<Int?> = []
            while !statuses.contains(200) { statuses.insert(try await engine.ask(chat()).status) }
            let seen = try await engine.ask(request("GET", "/fake/observations")).body
            let json = try JSON(parsing: Array((seen ?? "").utf8))
            #expect(json["received"]?.intValue == engine.observations.received)
            #expect(json["requests"]?[0]?["target"] == "/v1/chat/completions")
            #expect(try await engine.ask(request("DELETE", "/fake/observations")).status == 200)
            #expect(engine.observations.received == 0)
        }
    }
}
