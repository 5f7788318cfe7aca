import FakeBackend
import Proxy
import Routing
import Testing

@Suite("A body over limits.retry-body is streamed through")
struct UploadTests {
    private static let retryBody = 16 << 10
    private static let filler = String(repeating: "0123456789abcdef", count: 8 << 10)

    private func setup(_ configure: (inout Setup) -> Void = { _ in }) -> Setup {
        Setup {
            $0.settings.limits.retryBody = Self.retryBody
            configure(&$0)
        }
    }

    /// A chat of 128 KB whose model stands before or behind the messages.
    private func body(modelFirst: Bool = true, model: String = "m") -> String {
        let messages = #""messages":[{"role":"user","content":"\#(Self.filler)"}]"#
        return modelFirst ? #"{"model":"\#(model)",\#(messages)}"# : #"{\#(messages),"model":"\#(model)"}"#
    }

    @Test("and arrives whole, in either framing, wherever the model stands", arguments: [true, false], [true, false])
    func whole(modelFirst: Bool, isChunked: Bool) async throws {
        try await withBalancer(setup()) { balancer in
            let body = body(modelFirst: modelFirst)
            let path = "/v1/chat/completions"
            let client = try await balancer.connect()
            let request = isChunked ? chunked(path, body, sizes: [9000, 5, 20_000]) : post(path, body)
            try await client.send(request, inPiecesOf: [30_000])
            #expect(try await client.answer().status == 200)
            let seen = try #require(try balancer.engine("A").observations.work.last)
            #expect(seen.bodyText == body)
            try await client.send(chat())
            #expect(try await client.answer().status == 200, "the connection lives on")
        }
    }

    @Test("with the instance's name in place of the model's")
    func instance() async throws {
        let setup = setup { $0.servers = [.init("A", models: ["m", "m-2"])] }
        try await withBalancer(setup) { balancer in
            let holder = try await balancer.connect()
            try await holder.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let client = try await balancer.connect()
            try await client.send(post("/v1/chat/completions", body(), fields: ["X-Session-Id: another"]), inPiecesOf: [30_000])
            let answer = try await client.answer()
            #expect(answer.status == 200 && answer["X-Balancer-Model"] == "m-2")
            let seen = try #require(try balancer.engine("A").observations.work.last)
            #expect(seen.bodyText == body(model: "m-2"))
            await holder.close()
        }
    }

    @Test("from the moment it is known where to, not when all of it is there")
    func early() async throws {
        let engine = try await ScriptedEngine.start { _ in .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
        let setup = setup { $0.servers = [.init("A", port: engine.port)] }
        try await withBalancer(setup) { balancer in
            let request = post("/v1/chat/completions", body())
            let client = try await balancer.connect()
            try await client.send(String(request.prefix(60_000)))
            try await wait(for: "a connection to the server", { engine.openConnections }, where: { $0 == 1 })
            #expect(engine.turns.isEmpty)
            try await client.send(String(request.dropFirst(60_000)))
            #expect(try await client.answer().text == "ok")
        }
        await engine.stop()
    }

    @Test("and once its server has begun to receive it, it is not tried elsewhere; before, it is")
    func notRepeated() async throws {
        let failing = Behaviour { $0.fault = .resetBeforeAnswer }
        try await withBalancer(setup { $0.servers = [.init("A", failing), .init("B")] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(post("/v1/chat/completions", body()), inPiecesOf: [30_000])
            let answer = try await client.answer()
            #expect(answer.status == 502 && answer.text.contains("limits.retry-body"))
        }
        let closed = try await closedPort()
        try await withBalancer(setup { $0.servers = [.init("A", port: closed), .init("B")] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(post("/v1/chat/completions", body()), inPiecesOf: [30_000])
            let answer = try await client.answer()
            #expect(answer.status == 200 && answer["X-Balancer-Server"] == "B")
        }
    }

    @Test("and waits in the line like any other")
    func waits() async throws {
        try await withBalancer(setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let second = try await balancer.connect()
            async let sent: Void = second.send(post("/v1/chat/completions", body()), inPiecesOf: [30_000])
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            await first.close()
            try await sent
            #expect(try await second.answer().status == 200)
            #expect(try balancer.engine("A").observations.work.last?.bodyText == body())
        }
    }

    @Test("and is broken off when it turns out to be malformed, or to name another model")
    func malformed() async throws {
        let endings = [(#","x":tru}"#, "malformed at byte"), (#","model":"other"}"#, "second model")]
        for (ending, message) in endings {
            try await withBalancer(setup()) { balancer in
                let client = try await balancer.connect()
                try await client.send(
                    post("/v1/chat/completions", String(body().dropLast()) + ending), inPiecesOf: [30_000])
                let answer = try await client.answer()
                #expect(answer.status == 400 && answer.text.contains(message), "\(answer.text)")
                #expect(try await client.ended() == .closed)
                #expect(try balancer.engine("A").observations.completed == 0)
            }
        }
    }

    @Test("and is broken off when its chunks are malformed, and its place on the server is given back")
    func malformedChunks() async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        try await withBalancer(setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            let content = String(body().prefix(60_000))
            try await client.send(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "\(String(content.utf8.count, radix: 16))\r\n\(content)\r\n")
            try await wait(for: "a connection to the server", { engine.openConnections }, where: { $0 == 1 })
            try await client.send("no size\r\n")
            let answer = try await client.answer()
            #expect(answer.status == 400 && answer.text.contains("chunked request body is malformed"), "\(answer.text)")
            #expect(try await client.ended() == .closed)
            try await wait(for: "the end of its connection", { engine.openConnections }, where: { $0 == 0 })
            try await balancer.isAtRest()
        }
        await engine.stop()
    }

    @Test("and its server hears at once when the client leaves in the middle of it")
    func clientLeaves() async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        try await withBalancer(setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(String(post("/v1/chat/completions", body()).prefix(60_000)))
            try await wait(for: "a connection to the server", { engine.openConnections }, where: { $0 == 1 })
            await client.close()
            try await wait(for: "its end", { engine.openConnections }, where: { $0 == 0 })
        }
        await engine.stop()
    }

    @Test("and an answer that comes before its end is passed on, and ends the connection")
    func earlyAnswer() async throws {
        let engine = try await ScriptedEngine.start(atHead: true) { _ in
            .send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo long")
        }
        try await withBalancer(setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            let client = try await balancer.connect()
            try await client.send(String(post("/v1/chat/completions", body()).prefix(60_000)))
            let answer = try await client.answer()
            #expect(answer.status == 413 && answer.text == "too long")
            #expect(try await client.ended() == .closed)
        }
        await engine.stop()
    }

    @Test("at the pace of its server", arguments: ["/v1/chat/completions", "/passed/on"])
    func slowServer(path: String) async throws {
        try await withBalancer(setup()) { balancer in
            let client = try await balancer.connect()
            let large = body() + String(repeating: " ", count: 4 << 20)
            try await client.send(post(path, large, fields: ["X-Fake-Fault: read-slow=30000000"]))
            _ = try await client.answer()
            #expect(try balancer.engine("A").observations.work.last?.bodyLength == large.utf8.count)
        }
    }

    @Test("a form, too, as soon as its model field has come")
    func form() async throws {
        try await withBalancer(setup { $0.servers = [.init("A"), .init("B", models: ["whisper"])] }) { balancer in
            let form =
                "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n"
                + "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n\(Self.filler)\r\n--b--\r\n"
            let client = try await balancer.connect()
            try await client.send(
                post("/v1/audio/transcriptions", form, fields: ["Content-Type: multipart/form-data; boundary=b"]),
                inPiecesOf: [30_000])
            let answer = try await client.answer()
            #expect(answer.status == 200 && answer["X-Balancer-Server"] == "B")
            #expect(try balancer.engine("B").observations.work.last?.bodyText == form)
        }
    }

    @Test("and a form is broken off when it names a second model, or ends too early")
    func malformedForm() async throws {
        let model = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n"
        let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n\(Self.filler)\r\n"
        let other = model.replacing("\r\nm\r\n", with: "\r\nother\r\n")
        for (ending, message) in [(other + "--b--\r\n", "second model"), ("", "malformed at byte")] {
            try await withBalancer(setup()) { balancer in
                let client = try await balancer.connect()
                try await client.send(
                    post(
                        "/v1/audio/transcriptions", model + file + ending,
                        fields: ["Content-Type: multipart/form-data; boundary=b"]),
                    inPiecesOf: [30_000])
                let answer = try await client.answer()
                #expect(answer.status == 400 && answer.text.contains(message), "\(answer.text)")
                #expect(try balancer.engine("A").observations.completed == 0)
            }
        }
    }

    @Test("and is refused when it grows over limits.body on the way")
    func tooLarge() async throws {
        try await withBalancer(setup { $0.settings.limits.body = 64 << 10 }) { balancer in
            let client = try await balancer.connect()
            // The connection may be closed before all of it is sent.
            try? await client.send(chunked("/v1/chat/completions", body(), sizes: [10_000]), inPiecesOf: [20_000])
            let answer = try await client.answer()
            #expect(answer.status == 413)
            #expect(try balancer.engine("A").observations.completed == 0)
        }
    }
}
