import FakeBackend
import NIOCore
import Proxy
import Routing
import Testing

@Suite("A request on an unknown path is routed by the model that it names")
struct AnyPathTests {
    private let two = Setup { $0.servers = [.init("A", models: ["m"]), .init("B", models: ["n"])] }

    @Test(
        "in a JSON body, wherever it stands and whatever its type is said to be",
        arguments: ["/v1/score", "/classify", "/v2/rerank", "/v1/responses/input_tokens", "/models/load", "/api/v0/x"])
    func inTheBody(path: String) async throws {
        try await withBalancer(two) { balancer in
            for body in [#"{"model":"n","x":1}"#, #"  {"x":{"model":"m"},"model":"n"}"#] {
                for type in [["Content-Type: application/json"], ["Content-Type: text/plain"], []] {
                    let answer = try await balancer.ask(post(path, body, fields: type))
                    #expect(answer["X-Balancer-Server"] == "B")
                }
            }
            #expect(try balancer.engine("B").observations.requests.allSatisfy { $0.bodyText.contains(#""model":"n""#) })
            #expect(try await balancer.ask(post(path, #"{"model":"unknown"}"#))["X-Balancer-Server"] == "A", "the fallback")
        }
    }

    @Test(
        "as Ollama's `name` or `source`; new models are pulled by the fallback",
        arguments: [
            ("POST", "/api/show", #"{"name":"n"}"#, "B"), ("DELETE", "/api/delete", #"{"name":"n"}"#, "B"),
            ("DELETE", "/api/delete", #"{"model":"n"}"#, "B"), ("POST", "/api/copy", #"{"source":"n","destination":"x"}"#, "B"),
            ("POST", "/api/generate", #"{"name":"n","prompt":""}"#, "B"), ("POST", "/api/pull", #"{"model":"n"}"#, "A"),
            ("POST", "/v1/x", #"{"name":"n"}"#, "A"),
        ])
    func ollamaNames(method: String, path: String, body: String, server: String) async throws {
        try await withBalancer(two) { balancer in
            let framing = ["Content-Length: \(body.utf8.count)"]
            let answer = try await balancer.ask(head(method, path, framing) + body)
            #expect(answer["X-Balancer-Server"] == server)
        }
    }

    @Test(
        "in the target",
        arguments: [("GET", "/v1/models/n"), ("DELETE", "/v1/models/n"), ("GET", "/props?model=n"), ("POST", "/props?a&model=n")])
    func inTheTarget(method: String, target: String) async throws {
        try await withBalancer(two) { balancer in
            let answer = try await balancer.ask(get(target, method: method))
            #expect(answer["X-Balancer-Server"] == "B")
            #expect(try balancer.engine("B").observations.requests.last?.target == target)
        }
    }

    @Test("a new model is pulled by the server that is configured for it")
    func pullServer() async throws {
        var setup = two
        setup.settings.pullServer = "B"
        try await withBalancer(setup) { balancer in
            let answer = try await balancer.ask(post("/api/pull", #"{"model":"new"}"#))
            #expect(answer["X-Balancer-Server"] == "B")
        }
    }

    @Test("in the target, where a name of the configuration's own becomes the model's")
    func aliasInTheTarget() async throws {
        try await withBalancer(two) { balancer in
            var fleet = two.fleet
            fleet.aliases = ["fast": ["org/n 2", "n"]]
            balancer.router.send(.fleetChanged(fleet))
            for (sent, received) in [
                ("/props?a=1&model=fast&b", "/props?a=1&model=n&b"), ("/v1/models/fast?x", "/v1/models/n?x"),
                ("/props?model=fast&model=fast", "/props?model=n&model=fast"), ("/props?model=n", "/props?model=n"),
            ] {
                let answer = try await balancer.ask(get(sent))
                #expect(answer["X-Balancer-Server"] == "B")
                #expect(try balancer.engine("B").observations.requests.last?.target == received)
            }
        }
    }

    @Test("in the target of a known path, when the body names none; what decides is what is renamed")
    func targetAndBody() async throws {
        try await withBalancer(two) { balancer in
            var fleet = two.fleet
            fleet.aliases = ["fast": ["n"]]
            balancer.router.send(.fleetChanged(fleet))
            for (path, body, sentPath, sentBody) in [
                ("/v1/completions?model=fast", #"{"prompt":""}"#, "/v1/completions?model=n", #"{"prompt":""}"#),
                ("/v1/completions?model=m", #"{"model":"fast"}"#, "/v1/completions?model=m", #"{"model":"n"}"#),
                ("/v1/x?model=fast", #"{"model":"m"}"#, "/v1/x?model=n", #"{"model":"m"}"#),
                ("/v1/models/x?model=fast", "{}", "/v1/models/x?model=n", "{}"),
            ] {
                let answer = try await balancer.ask(post(path, body))
                #expect(answer["X-Balancer-Server"] == "B", "\(path)")
                let received = try balancer.engine("B").observations.requests.last
                #expect(received?.target == sentPath && received?.bodyText == sentBody, "\(path)")
            }
        }
    }

    @Test("names in targets are encoded")
    func encodedNames() {
        #expect(Routes.renaming(method: "GET", target: "/v1/models/x", to: "org/a:b é&?") == "/v1/models/org/a:b%20%C3%A9%26%3F")
        #expect(Routes.renaming(method: "GET", target: "/x?models=1&model=%61", to: "\n") == "/x?models=1&model=%0A")
    }

    @Test(
        "and is passed on untouched to the fallback server when it names none, or is no JSON",
        arguments: ["", "{", #"{"model": "n""#, #"["model","n"]"#, "model=n", "\u{1}\u{2}", #"{"messages":[]}"#, " \n"])
    func namesNone(body: String) async throws {
        try await withBalancer(two) { balancer in
            let answer = try await balancer.ask(post("/echo/x", body))
            #expect(answer["X-Balancer-Server"] == "A")
            #expect(try balancer.engine("A").observations.requests.last?.bodyText == body)
        }
    }

    @Test("waits in the line when it computes, and does not when it does not")
    func counts() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", requestMax: 1)] }) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            #expect(try await balancer.ask(post("/v1/responses/input_tokens", #"{"model":"m"}"#))["X-Balancer-Server"] == "A")
            let second = try await balancer.connect()
            try await second.send(post("/v1/score", #"{"model":"m"}"#))
            try await balancer.fleet("one waiting") { $0.waitingCount == 1 }
            await first.close()
            #expect(try await second.answer()["X-Balancer-Server"] == "A")
        }
    }

    @Test("with the instance's name in place of the model's")
    func instance() async throws {
        try await withBalancer(Setup { $0.servers = [.init("A", models: ["m", "m-2"])] }) { balancer in
            let holder = try await balancer.connect()
            try await holder.send(chat(fault: "stall-before-answer"))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            let body = #"{"x":[1, 2],"model":"m"}"#
            let answer = try await balancer.ask(post("/v1/score", body, fields: ["X-Session-Id: another"]))
            #expect(answer["X-Balancer-Model"] == "m-2")
            #expect(try balancer.engine("A").observations.requests.last?.bodyText == #"{"x":[1, 2],"model":"m-2"}"#)
            await holder.close()
        }
    }

    @Test("a long body goes on as soon as its model is known, or it is known to be no JSON", arguments: [true, false])
    func long(isJSON: Bool) async throws {
        var setup = two
        setup.settings.limits.retryBody = 1024
        let text = String(repeating: "0123456789", count: 10_000)
        let body = isJSON ? #"{"model":"n","text":"\#(text)"}"# : text
        try await withBalancer(setup) { balancer in
            let client = try await balancer.connect()
            try await client.send(post("/echo/x", body), inPiecesOf: [5_000])
            #expect(try await client.answer()["X-Balancer-Server"] == (isJSON ? "B" : "A"))
            let seen = try balancer.engine(isJSON ? "B" : "A").observations.requests.last
            #expect(seen?.bodyText == body)
        }
    }
}
