import FakeBackend
import Proxy
import Routing
import Testing
import Wire

@Suite("Routing by model")
struct ModelRoutingTests {
    private var threeServers: Setup {
        Setup {
            $0.servers = [.init("A", models: ["a"]), .init("B", models: ["b"]), .init("C", models: nil)]
            $0.fallback = "C"
        }
    }

    @Test("without patterns a model goes to the server that lists it, an unknown one to the fallback under its own name")
    func byLists() async throws {
        try await withBalancer(
            Setup {
                $0.servers = [.init("A", models: ["a"]), .init("B", models: ["b"])]
                $0.fallback = "B"
            }
        ) { balancer in
            #expect(try await balancer.ask(chat(model: "a"))["X-Balancer-Server"] == "A")
            #expect(try await balancer.ask(chat(model: "b"))["X-Balancer-Server"] == "B")
            let unknown = try await balancer.ask(chat(model: "c"))
            #expect(unknown["X-Balancer-Server"] == "B")
            #expect(unknown["X-Balancer-Model"] == nil)
            #expect(unknown.text.contains(#""model":"c""#))
        }
    }

    @Test("patterns match whole names, and the first one that matches decides")
    func byPatterns() async throws {
        var setup = threeServers
        setup.servers = setup.servers.map { Setup.Server($0.name, models: nil) }
        setup.routes = [("gpt-oss:20b.*", ["A"]), ("gpt-.*", ["B"]), ("exact", ["B"])]
        try await withBalancer(setup) { balancer in
            let expected = [
                ("gpt-oss:20b-64k", "A"), ("gpt-4", "B"), ("exact", "B"), ("exactly", "C"), ("my-gpt-4", "C"),
            ]
            for (model, server) in expected {
                let answer = try await balancer.ask(chat(model: model))
                #expect(answer["X-Balancer-Server"] == server, "\(model)")
            }
        }
    }

    @Test("a body without a model, and every other path, goes to the fallback server")
    func fallback() async throws {
        try await withBalancer(threeServers) { balancer in
            let body = #"{"messages":[{"role":"user","content":"hi"}]}"#
            let requests = [post("/v1/chat/completions", body), get("/props"), get("/echo/x", method: "PUT")]
            for request in requests {
                let answer = try await balancer.ask(request)
                #expect(answer["X-Balancer-Server"] == "C")
            }
        }
    }

    @Test("own paths are answered here and never sent on")
    func ownPaths() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(get("/v1/models?limit=3"))
            #expect(answer.text == "own GET /v1/models?limit=3")
            let head = try await balancer.ask(get("/health", method: "HEAD"))
            #expect(head.status == 200 && head.body.isEmpty)
            #expect(head["Content-Length"] == "\("own HEAD /health".utf8.count)")
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }

    @Test(
        "the model is found wherever it stands and however it is written",
        arguments: [
            #"{"messages":[{"role":"user","content":"x \"model\":\"wrong\""}],"model":"b"}"#,
            #"{"model":"wrong","messages":[],"model":"b"}"#,
            #"{"messages":[{"model":"wrong"}],"metadata":{"model":"wrong"},"\u006dodel":"\u0062"}"#,
            " {\n\t\"model\" :\r\n \"b\" , \"messages\":[ ] }\n",
        ])
    func anywhere(body: String) async throws {
        try await withBalancer(threeServers) { balancer in
            #expect(try await balancer.ask(post("/v1/chat/completions", body))["X-Balancer-Server"] == "B")
            let sizes = [1, 2, 3, 5, 7]
            let inChunks = try await balancer.ask(chunked("/v1/chat/completions", body, sizes: sizes))
            #expect(inChunks["X-Balancer-Server"] == "B")
            let seen = try #require(try balancer.engine("B").observations.work.last)
            #expect(seen.bodyText == body)
            #expect(seen.field("Content-Length") == "\(body.utf8.count)")
            #expect(seen.field("Transfer-Encoding") == nil)
        }
    }

    @Test("a chunked request may be cut at odd places of its framing", arguments: [[1], [2, 1], [3, 7, 1], [50, 1]])
    func cut(pieces: [Int]) async throws {
        try await withBalancer(threeServers) { balancer in
            let client = try await balancer.connect()
            let body = chatBody(model: "b", content: #"\u00fcn\n \ud83e\udd99"#)
            let text = chunked("/v1/chat/completions", body, sizes: [4, 1, 9])
            try await client.send(text, inPiecesOf: pieces)
            let answer = try await client.answer()
            #expect(answer.status == 200 && answer["X-Balancer-Server"] == "B")
            #expect(try balancer.engine("B").observations.work.last?.bodyText == body)
        }
    }

    @Test("a chunked request may have extensions and trailers, which end here")
    func extensions() async throws {
        try await withBalancer { balancer in
            let body = chatBody()
            let size = String(body.utf8.count, radix: 16)
            let text = head("POST", "/v1/chat/completions", ["Transfer-Encoding: Chunked", "Trailer: X-Sum"])
            let answer = try await balancer.ask(text + "\(size.uppercased());a=\"b;c\"\r\n\(body)\r\n000\r\nX-Sum: 1\r\n\r\n")
            #expect(answer.status == 200)
            let seen = try #require(try balancer.engine("A").observations.work.last)
            #expect(seen.bodyText == body)
            #expect(seen.field("Trailer") == nil && seen.field("X-Sum") == nil)
        }
    }

    @Test(
        "a compressed body cannot be looked into: it is refused, and never goes to another server than its model's",
        arguments: ["gzip", "br", "zstd", "identity, gzip"])
    func compressed(encoding: String) async throws {
        try await withBalancer(threeServers) { balancer in
            for path in ["/v1/chat/completions", "/v1/images/generations"] {
                let answer = try await balancer.ask(post(path, "\u{1f}not json", fields: ["Content-Encoding: \(encoding)"]))
                #expect(answer.status == 415)
                #expect(answer.text.contains("unsupported_encoding") && answer.text.contains(encoding))
            }
            let other = try await balancer.ask(post("/echo/x", "\u{1f}\u{8b}", fields: ["Content-Encoding: \(encoding)"]))
            #expect(other.status == 200 && other["X-Balancer-Server"] == "C", "a path that no model routes takes anything")
        }
    }

    @Test("identity and an empty value are no encoding", arguments: ["identity", "Identity", ""])
    func notCompressed(encoding: String) async throws {
        try await withBalancer(threeServers) { balancer in
            let answer = try await balancer.ask(
                post("/v1/chat/completions", chatBody(model: "b"), fields: ["Content-Encoding: \(encoding)"]))
            #expect(answer["X-Balancer-Server"] == "B")
        }
    }

    @Test(
        "JSON is known by its first byte, also where forms are usual, and a byte order mark and NULs around it are no part of it",
        arguments: ["text/plain", "application/json", "image/png", "multipart/form-data"])
    func jsonAnywhere(type: String) async throws {
        try await withBalancer(threeServers) { balancer in
            for path in ["/v1/images/generations", "/v1/audio/speech", "/v1/embeddings"] {
                for body in [#"{"model":"b","input":"x"}"#, "\u{FEFF}\n{\"model\":\"b\",\"input\":\"x\"}\u{0}\n\u{0}"] {
                    let answer = try await balancer.ask(post(path, body, fields: ["Content-Type: \(type)"]))
                    #expect(answer["X-Balancer-Server"] == "B", "\(path) \(body)")
                }
            }
            let malformed = try await balancer.ask(post("/v1/images/generations", #"{"model":"b""#))
            #expect(malformed.status == 400)
        }
    }

    @Test("an audio form is routed by its model field")
    func multipart() async throws {
        let body =
            "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\nRIFF\r\n--xyz\r\n"
            + "Content-Disposition: form-data; name=\"model\"\r\n\r\nb\r\n--xyz--\r\n"
        try await withBalancer(threeServers) { balancer in
            let answer = try await balancer.ask(
                post("/v1/audio/transcriptions", body, fields: ["Content-Type: multipart/form-data; boundary=xyz"]))
            #expect(answer["X-Balancer-Server"] == "B")
            #expect(try balancer.engine("B").observations.work.last?.bodyText == body)
        }
    }

    @Test("a form may come in pieces of any size, and is refused when it is none or has too many parts")
    func formInPieces() async throws {
        let model = "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nb\r\n"
        let fields = ["Content-Type: multipart/form-data; boundary=xyz"]
        try await withBalancer(threeServers) { balancer in
            let client = try await balancer.connect()
            for size in [1, 7, 50] {
                try await client.send(post("/v1/audio/transcriptions", model + "--xyz--\r\n", fields: fields), inPiecesOf: [size])
                #expect(try await client.answer()["X-Balancer-Server"] == "B")
            }
            for (body, message) in [
                (String(repeating: model, count: 1001) + "--xyz--\r\n", "more than 1000 parts"), (model, "cut off"),
                ("", "does not contain its boundary"),
            ] {
                let answer = try await balancer.ask(post("/v1/audio/transcriptions", body, fields: fields))
                #expect(answer.status == 400 && answer.text.contains(message), "\(answer.text)")
            }
        }
    }

    @Test("an image request in JSON is routed by its model")
    func imageInJSON() async throws {
        try await withBalancer(threeServers) { balancer in
            let client = try await balancer.connect()
            let request = post("/v1/images/edits", #"{"prompt":"x","model":"b"}"#, fields: ["Content-Type: Application/JSON"])
            try await client.send(request, inPiecesOf: [40])
            #expect(try await client.answer()["X-Balancer-Server"] == "B")
        }
    }

    @Test("a request without a body does not name the model of the one before it")
    func emptyBody() async throws {
        try await withBalancer(threeServers) { balancer in
            let client = try await balancer.connect()
            try await client.send(chat(model: "b"))
            #expect(try await client.answer()["X-Balancer-Server"] == "B")
            try await client.send(post("/v1/chat/completions", ""))
            let answer = try await client.answer()
            #expect(answer.status == 400 && answer.text.contains("the body is empty"), "\(answer.text)")
        }
    }

    @Test("Ollama's paths are routed by model as well", arguments: ["/api/chat", "/api/generate", "/api/show"])
    func ollama(path: String) async throws {
        try await withBalancer(threeServers) { balancer in
            let answer = try await balancer.ask(post(path, #"{"model":"b","stream":false,"messages":[],"prompt":"x"}"#))
            #expect(answer["X-Balancer-Server"] == "B")
        }
    }

    // Instances.

    /// One server with two instances of `m`; the first is kept in use by the running request.
    private func withBusyInstance(_ body: (TestBalancer) async throws -> Void) async throws {
        let setup = Setup { $0.servers = [.init("A", models: ["m", "m-2"])] }
        try await withBalancer(setup) { balancer in
            let first = try await balancer.connect()
            try await first.send(chat(fault: "stall-before-answer", fields: ["X-Session-Id: first"]))
            try await balancer.engine("A").observations { $0.concurrency == 1 }
            try await body(balancer)
            await first.close()
        }
    }

    @Test("the instance's name is spliced into the body; every other byte stays as it was")
    func splice() async throws {
        try await withBusyInstance { balancer in
            let before =
                "{ \"a\\u0041\" : 1.50e+01,\n\t\"messages\":[ {\"role\":\"user\",\"content\":\"\\ud83e\\udd99 \\u00e9 \"}"
                + " ], \"model\"  :  "
            let after = " ,\"z\":{\"model\":\"m\"} , \"stream\":false}\r\n"
            let body = before + "\"\\u006d\"" + after
            for request in [
                post("/v1/chat/completions", body), chunked("/v1/chat/completions", body, sizes: [3, 8, 1]),
            ] {
                let answer = try await balancer.ask(request)
                #expect(answer.status == 200)
                #expect(answer["X-Balancer-Model"] == "m-2")
                let seen = try #require(try balancer.engine("A").observations.work.last)
                #expect(seen.bodyText == before + "\"m-2\"" + after)
                #expect(seen.field("Content-Length") == "\(seen.body.count)")
            }
        }
    }

    @Test("with duplicates the last model is the one that counts and the one that is replaced")
    func spliceDuplicates() async throws {
        try await withBusyInstance { balancer in
            _ = try await balancer.ask(post("/v1/chat/completions", #"{"model":"x","messages":[],"model":"m"}"#))
            #expect(
                try balancer.engine("A").observations.work.last?.bodyText == #"{"model":"x","messages":[],"model":"m-2"}"#)
        }
    }

    @Test("a reasoning suffix that no server lists finds the model without it")
    func reasoningSuffix() async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask(chat(model: "m-high"))
            #expect(answer["X-Balancer-Model"] == "m")
            #expect(try balancer.engine("A").observations.work.last?.bodyText == chatBody(model: "m"))
        }
    }

    // Model rules.

    @Test("model rules change the fields they name and leave the rest of the body as it was")
    func modelRules() async throws {
        let rules = [
            ModelRule(
                modelPattern: "gpt-oss", modelSuffixes: ["-low"],
                set: [.init(name: "chat_template_kwargs", value: ["reasoning_effort": "low"])]),
            ModelRule(
                modelPattern: "gpt-oss", modelSuffixes: ["-edit"], stripSuffix: true,
                set: [.init(name: "reasoning_format", value: "auto")]),
        ]
        let setup = Setup {
            $0.servers = [.init("A", models: ["gpt-oss", "gpt-oss-low", "gpt-oss-yellow"])]
            $0.settings.modelRules = rules
        }
        try await withBalancer(setup) { balancer in
            let engine = try balancer.engine("A")
            func sent(_ model: String, path: String = "/v1/chat/completions") async throws -> String? {
                let body = #"{ "model":"\#(model)", "messages":[],"t":1.0 ,"prompt":"x"}"#
                _ = try await balancer.ask(post(path, body))
                return engine.observations.work.last?.bodyText
            }
            let low = try #require(try await sent("gpt-oss-low"))
            #expect(low.contains(#""chat_template_kwargs":{"reasoning_effort":"low"}"#))
            #expect(low.contains(#""messages":[],"t":1.0 ,"prompt":"x""#))
            let edit = try #require(try await sent("gpt-oss-edit"))
            #expect(edit.contains(#""model":"gpt-oss""#) && edit.contains(#""reasoning_format":"auto""#))
            let yellow = #"{ "model":"gpt-oss-yellow", "messages":[],"t":1.0 ,"prompt":"x"}"#
            #expect(try await sent("gpt-oss-yellow") == yellow)
            let other = #"{ "model":"gpt-oss-low", "messages":[],"t":1.0 ,"prompt":"x"}"#
            #expect(try await sent("gpt-oss-low", path: "/v1/completions") == other)
        }
    }
}
