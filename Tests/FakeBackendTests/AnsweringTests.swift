import FakeBackend
import Testing
import Wire

@Suite("Answers")
struct AnsweringTests {
    private func json(_ text: String?) throws -> JSON { try JSON(parsing: Array((text ?? "").utf8)) }

    @Test("a streamed chat has a role, a chunk for each token, an end with timings, usage and [DONE]; then the connection closes")
    func streamedChat() async throws {
        try await withEngine(Behaviour { $0.name = "pc1" }) { engine in
            let client = try await RawClient.connect(to: engine)
            let body = #"{"model":"m-2","stream":true,"max_tokens":3,"stream_options":{"include_usage":true},"messages":[]}"#
            try await client.send(request("POST", "/v1/chat/completions", body: body))
            let (text, ending) = try await client.receiveUntilEnd()
            let answer = Answer(text)
            #expect(ending == .closed)
            #expect(answer.status == 200)
            #expect(answer.field("Server") == "llama.cpp")
            #expect(answer.field("Content-Type") == "text/event-stream")
            #expect(answer.field("Keep-Alive") == "timeout=5, max=100")
            #expect(answer.chunks?.count == 7)
            #expect(answer.events.last == "[DONE]")
            let events = try answer.events.dropLast().map(json)
            #expect(events[0]["choices"]?[0]?["delta"]?["role"]?.stringValue == "assistant")
            let words = events[1...3].compactMap { $0["choices"]?[0]?["delta"]?["content"]?.stringValue }
            #expect(words.joined() == "pc1 answers as m-2:")
            #expect(events[4]["choices"]?[0]?["finish_reason"]?.stringValue == "length")
            #expect(events[5]["usage"]?["completion_tokens"]?.intValue == 3)
            #expect(events[5]["timings"]?["predicted_n"]?.intValue == 3)
        }
    }

    @Test("the second turn of a conversation finds the first in the prompt cache")
    func promptCache() async throws {
        try await withEngine { engine in
            let first = String(repeating: "A long question. ", count: 10)
            let one = try json(try await engine.ask(chat(first)).body)
            #expect(one["timings"]?["cache_n"]?.intValue == 0)
            let two = try json(try await engine.ask(chat(first + "And another.")).body)
            let cached = two["timings"]?["cache_n"]?.intValue ?? 0
            #expect(cached > 40)
            #expect(two["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.intValue == cached)
            #expect(cached + (two["timings"]?["prompt_n"]?.intValue ?? 0) == two["usage"]?["prompt_tokens"]?.intValue)
        }
    }

    @Test("requests beyond the slots are deferred inside the engine and start when a slot is free")
    func queueing() async throws {
        let slow = Behaviour {
            $0.slots = 1
            $0.decodeTokensPerSecond = 1
        }
        try await withEngine(slow) { engine in
            let running = try await RawClient.connect(to: engine)
            try await running.send(chat(maxTokens: 1000, stream: true))
            _ = try await running.receive("the first event") { $0.contains("assistant") }
            let waiting = try await RawClient.connect(to: engine)
            try await waiting.send(chat(maxTokens: 0))
            let seen = try await engine.observations { $0.concurrency == 2 }
            #expect(seen.peakConcurrency == 2)
            let metrics = try await engine.ask(request("GET", "/metrics")).body ?? ""
            #expect(metrics.contains("llamacpp:requests_processing 1\n"))
            #expect(metrics.contains("llamacpp:requests_deferred 1\n"))
            #expect(try await engine.ask(request("GET", "/slots?fail_on_no_slot=1")).status == 503)
            await running.close()
            #expect(try await waiting.receiveAnswer().status == 200)
            let after = try await engine.observations { $0.concurrency == 0 }
            #expect(after.cancelled == 1 && after.completed == 1)
        }
    }

    @Test("a client that goes away stops the generation and frees the slot", arguments: [true, false])
    func cancellation(stream: Bool) async throws {
        let slow = Behaviour {
            $0.slots = 1
            $0.decodeTokensPerSecond = 1
        }
        try await withEngine(slow) { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(chat(maxTokens: 1000, stream: stream))
            try await engine.observations { $0.concurrency == 1 }
            await client.close()
            let seen = try await engine.observations { $0.cancelled == 1 }
            #expect(seen.concurrency == 0)
            #expect(seen.work.last?.outcome == .cancelled)
            #expect(try await engine.ask(request("GET", "/slots?fail_on_no_slot=1")).status == 200)
        }
    }

    @Test("only /health is open without the API key")
    func apiKey() async throws {
        try await withEngine(Behaviour { $0.apiKey = "secret" }) { engine in
            let asked = [("/health", nil), ("/v1/models", nil), ("/v1/models", "wrong"), ("/v1/models", "secret")]
            var statuses: [Int?] = []
            for (path, key) in asked {
                let fields = key.map { ["Authorization: Bearer \($0)"] } ?? []
                statuses.append(try await engine.ask(request("GET", path, fields: fields)).status)
            }
            #expect(statuses == [200, 401, 401, 200])
        }
    }

    @Test("while the model is loading everything is 503")
    func loading() async throws {
        try await withEngine(Behaviour { $0.loadingFor = .seconds(3600) }) { engine in
            let answer = try await engine.ask(request("GET", "/health"))
            #expect(answer.status == 503)
            #expect(answer.body == #"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#)
            #expect(try await engine.ask(chat()).status == 503)
        }
    }

    @Test(
        "every endpoint of a llama-server answers 200 with JSON",
        arguments: [
            ("/v1/completions", #"{"prompt":"a"}"#, "choices"), ("/completion", #"{"prompt":"a"}"#, "content"),
            ("/infill", #"{"input_prefix":"a","input_suffix":"b"}"#, "content"),
            ("/v1/responses", #"{"input":"a"}"#, "output"), ("/v1/messages", #"{"messages":[],"max_tokens":2}"#, "stop_reason"),
            ("/v1/messages/count_tokens", #"{"messages":[]}"#, "input_tokens"), ("/v1/embeddings", #"{"input":"a"}"#, "data"),
            ("/v1/rerank", #"{"query":"a b","documents":["b","c"]}"#, "results"), ("/tokenize", #"{"content":"a"}"#, "tokens"),
            ("/detokenize", #"{"tokens":[97]}"#, "content"), ("/apply-template", #"{"messages":[]}"#, "prompt"),
        ])
    func endpoints(path: String, body: String, member: String) async throws {
        try await withEngine { engine in
            let answer = try await engine.ask(request("POST", path, body: body))
            #expect(answer.status == 200)
            #expect(try json(answer.body)[member] != nil)
        }
    }

    @Test(
        "streams of the other APIs begin and end as theirs do",
        arguments: [
            ("/v1/messages", #"{"messages":[],"stream":true}"#, "event: message_start", "event: message_stop"),
            ("/v1/responses", #"{"input":"a","stream":true}"#, "event: response.created", "event: response.completed"),
            ("/v1/completions", #"{"prompt":"a","stream":true}"#, #"data: {"choices":"#, "data: [DONE]"),
            ("/completion", #"{"prompt":"a","stream":true}"#, #"data: {"index":0"#, #""stop":true"#),
        ])
    func streams(path: String, body: String, begin: String, end: String) async throws {
        try await withEngine { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(request("POST", path, body: body))
            let answer = Answer(try await client.receiveUntilEnd().text)
            #expect(answer.chunks?.first?.hasPrefix(begin) == true)
            #expect(answer.chunks?.last?.contains(end) == true)
        }
    }

    @Test("an Ollama streams lines of JSON, lists its models and has no /health")
    func ollama() async throws {
        let behaviour = Behaviour {
            $0.kind = .ollama
            $0.models = ["llama3:8b"]
        }
        try await withEngine(behaviour) { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(
                request("POST", "/api/chat", body: #"{"model":"llama3:8b","messages":[],"options":{"num_predict":2}}"#))
            let answer = Answer(try await client.receive("the last chunk") { $0.hasSuffix("0\r\n\r\n") })
            #expect(answer.field("Content-Type") == "application/x-ndjson")
            let lines = try (answer.body ?? "").split(separator: "\n").map { try json(String($0)) }
            #expect(lines.compactMap { $0["done"]?.boolValue } == [false, false, true])
            #expect(lines.last?["eval_count"]?.intValue == 2)
            let tags = try json(try await engine.ask(request("GET", "/api/tags")).body)
            #expect(tags["models"]?[0]?["name"]?.stringValue == "llama3:8b")
            #expect(try await engine.ask(request("GET", "/health")).status == 404)
            #expect(try await engine.ask(request("POST", "/api/show", body: #"{"model":"llama3:8b"}"#)).status == 200)
            #expect(try await engine.ask(chat()).status == 404)
        }
    }

    @Test("a transcription reads the model out of a multipart body")
    func transcription() async throws {
        try await withEngine { engine in
            let parts = [
                "--b", #"Content-Disposition: form-data; name="model""#, "", "whisper-2",
                "--b", #"Content-Disposition: form-data; name="file"; filename="a.wav""#, "", "RIFF", "--b--", "",
            ]
            let answer = try await engine.ask(
                request(
                    "POST", "/v1/audio/transcriptions", fields: ["Content-Type: multipart/form-data; boundary=b"],
                    body: parts.joined(separator: "\r\n")))
            #expect(answer.body?.contains("as whisper-2") == true)
        }
    }

    @Test("a request that is not JSON, or lacks what it needs, is 400; an unknown path 404")
    func mistakes() async throws {
        try await withEngine { engine in
            var statuses: [Int?] = []
            for (path, body) in [("/v1/chat/completions", "{bad"), ("/v1/chat/completions", "{}"), ("/nope", "{}")] {
                statuses.append(try await engine.ask(request("POST", path, body: body)).status)
            }
            #expect(statuses == [400, 400, 404])
        }
    }
}
