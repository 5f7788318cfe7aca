import FakeBackend
import Proxy
import Testing

@Suite("A WebSocket")
struct TunnelTests {
    private static let fields = [
        "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]

    private func withEcho(
        greeting: String = "", _ body: (TestBalancer, EchoSocketEngine) async throws -> Void
    ) async throws {
        let engine = try await EchoSocketEngine.start(greeting: greeting)
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { try await body($0, engine) }
        await engine.stop()
    }

    @Test("is tunnelled both ways, whatever the bytes, on passed paths and straight to a server", arguments: ["", "/upstream/A"])
    func bothWays(prefix: String) async throws {
        try await withEcho { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(get(prefix + "/ws?x=%20", fields: Self.fields))
            let answer = try await client.answer()
            #expect(answer.status == 101)
            #expect(answer["Upgrade"] == "websocket" && answer["Connection"] == "Upgrade")
            #expect(answer["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            let head = try #require(engine.heads.first)
            #expect(head.hasPrefix("GET /ws?x=%20 HTTP/1.1\r\n"))
            #expect(head.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"))
            #expect(head.contains("\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))
            try await client.send("GET / HTTP/1.1\r\n\r\n")
            try await client.receive("its own bytes") { $0 == "GET / HTTP/1.1\r\n\r\n" }
            await client.close()
            try await wait(for: "the server's end", { engine.openConnections }, where: { $0 == 0 })
        }
    }

    @Test("may be used before the answer to its handshake has come, and the server may speak with it")
    func sentAhead() async throws {
        try await withEcho(greeting: "welcome ") { balancer, _ in
            let client = try await balancer.connect()
            try await client.send(get("/ws", fields: Self.fields) + "ahead")
            #expect(try await client.answer().status == 101)
            try await client.receive("both") { $0 == "welcome ahead" }
        }
    }

    @Test("ends for the client when the server ends it")
    func serverEnds() async throws {
        try await withEcho { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(get("/ws", fields: Self.fields))
            #expect(try await client.answer().status == 101)
            await engine.closeConnections()
            #expect(try await client.ended() == .closed)
            let record = try #require(try await balancer.records(1).first)
            #expect(record.status == 101 && record.ending == .complete)
        }
    }

    @Test("that an administrator cancels is closed, without a word of HTTP in it")
    func cancelled() async throws {
        try await withEcho { balancer, engine in
            let client = try await balancer.connect()
            try await client.send(get("/ws", fields: Self.fields + ["X-Request-Id: socket"]))
            #expect(try await client.answer().status == 101)
            #expect(balancer.router.cancel(requestID: "socket") == .cancelled)
            #expect(try await client.ended() == .closed)
            #expect(client.text.isEmpty)
            try await wait(for: "the server's end", { engine.openConnections }, where: { $0 == 0 })
        }
    }

    @Test("carries a lot, at the pace of whoever is slower")
    func large() async throws {
        try await withEcho { balancer, _ in
            let client = try await balancer.connect()
            try await client.send(get("/ws", fields: Self.fields))
            #expect(try await client.answer().status == 101)
            let piece = [UInt8](repeating: 7, count: 1 << 20)
            for _ in 0..<16 { try await client.send(piece) }
            try await client.receive("16 MB") { $0.utf8.count == 16 << 20 }
        }
    }

    @Test("that a server does not want is its own answer")
    func declined() async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(get("/nowhere", fields: Self.fields))
            #expect(try await client.answer().status == 404)
        }
    }

    @Test(
        "for the Responses API is declined at once where the server speaks only HTTP", arguments: ["/v1/responses", "/responses"])
    func responses(path: String) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(get(path, fields: Self.fields))
            let answer = try await client.answer()
            #expect(answer.status == 426 && answer["Upgrade"] != nil)
            #expect(try balancer.engine("A").observations.received == 0)
            try await client.send(chat())
            #expect(try await client.answer().status == 200, "the client falls back on the same connection")
        }
    }

    @Test("other protocols are not switched to: the request is an ordinary one", arguments: ["h2c", "TLS/1.0", "websocket, h2c"])
    func otherProtocols(name: String) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(get("/echo", fields: ["Connection: Upgrade", "Upgrade: \(name)"]))
            #expect(answer.status == 200)
            #expect(try balancer.engine("A").observations.requests.last?.field("Upgrade") == nil)
        }
    }
}
