import FakeBackend
import Proxy
import Routing
import Testing
import Wire

@Suite("What a server made is found there")
struct OwnerTests {
    private let two = Setup { $0.servers = [.init("A", requestMax: 1), .init("B", requestMax: 1)] }

    private func response(of answer: HTTPAnswer) throws -> String {
        let parts = answer.text.split(separator: #""id":"resp"#, maxSplits: 1)
        return "resp" + (try #require(parts.last)).prefix { $0 != "\"" }
    }

    @Test("a stored response, by its id in the path or as `previous_response_id`, streamed or not", arguments: [false, true])
    func storedResponse(stream: Bool) async throws {
        try await withBalancer(two) { balancer in
            let holder = try await balancer.connect()
            try await holder.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let made = try await balancer.ask(post("/v1/responses", #"{"model":"m","input":"x","stream":\#(stream)}"#))
            #expect(made["X-Balancer-Server"] == "B")
            let id = try response(of: made)
            await holder.close()
            try await balancer.isAtRest()
            for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items?limit=2")] {
                let answer = try await balancer.ask(get("/v1/responses/\(id)\(path)", method: method))
                #expect(answer["X-Balancer-Server"] == "B", "\(method) \(path)")
            }
            let next = #"{"model":"m","previous_response_id":"\#(id)","input":"y"}"#
            let answer = try await balancer.ask(post("/v1/responses", next, fields: ["X-Session-Id: other"]))
            #expect(answer["X-Balancer-Server"] == "B")
        }
    }

    @Test(
        "a file, a conversation or a batch, which no model was named for",
        arguments: ["/v1/files", "/v1/conversations", "/batches"])
    func createdWithoutModel(path: String) async throws {
        let created = #"{"object":"x","id":"made-1"}"#
        let engine = try await ScriptedEngine.start { turn in
            .send("HTTP/1.1 200 OK\r\nContent-Length: \(created.utf8.count)\r\n\r\n\(created)")
        }
        var setup = Setup { $0.servers = [.init("A", models: ["other"]), .init("B", port: engine.port)] }
        setup.fallback = "B"
        try await withBalancer(setup) { balancer in
            #expect(try await balancer.ask(post(path, "--x"))["X-Balancer-Server"] == "B")
            try await balancer.isAtRest()
            // Now A would be asked first.
            balancer.router.send(.fleetChanged(Setup { $0.servers = setup.servers }.fleet))
            #expect(try await balancer.ask(get("\(path)/made-1"))["X-Balancer-Server"] == "B")
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
        await engine.stop()
    }

    @Test("what nobody is known to have made is asked for at one server after the other")
    func search() async throws {
        let engine = try await ScriptedEngine.start { turn in
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        }
        var setup = Setup { $0.servers = [.init("A"), .init("B"), .init("C", port: engine.port)] }
        setup.fallback = "B"
        try await withBalancer(setup) { balancer in
            let answer = try await balancer.ask(get("/v1/files/file-123"))
            #expect(answer.status == 200 && answer["X-Balancer-Server"] == "C")
            #expect(try balancer.engine("A").observations.requests.map(\.target) == ["/v1/files/file-123"])
            #expect(try balancer.engine("B").observations.requests.map(\.target) == ["/v1/files/file-123"])
        }
        await engine.stop()
    }

    @Test(
        "is named by the target",
        arguments: [
            ("/v1/responses/resp_1", "resp_1"), ("/responses/resp_1/cancel", "resp_1"), ("/v1/responses/resp_1?x=y", "resp_1"),
            ("/v1/conversations/conv_1/items", "conv_1"), ("/v1/chat/completions/chatcmpl-1/messages", "chatcmpl-1"),
            ("/v1/files/file%2D1/content", "file-1"), ("/v1/batches/batch_1", "batch_1"), ("/v1/stream?conv_id=talk", "talk"),
            ("/v1/stream/talk", "talk"), ("/v1/responses/input_tokens", nil), ("/v1/responses", nil), ("/v1/responses/", nil),
            ("/v1/chat/completions/batch", nil), ("/v1/filesX/file-1", nil), ("/x/v1/files/file-1", nil),
        ])
    func targets(target: String, id: String?) {
        #expect(Routes.followed(target: target) == id.map { target.contains("/stream") ? .stream($0) : .made($0) })
    }
}
