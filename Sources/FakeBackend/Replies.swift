import NIOHTTP1
import Wire

/// How the engine reacts to a request.
enum Reply {
    case now(Answer)
    /// The answer is computed in a slot; it depends on how much of the prompt the slot remembers.
    case afterSlot(prompt: [UInt8], (_ rememberedBytes: Int) -> Answer)
}

extension Engine {
    /// The engine's answer to a request that no fault affects.
    func reply(to request: ReceivedRequest, number: Int) -> Reply {
        let path = request.path
        if path.hasPrefix(controlPathPrefix) { return .now(control(request)) }
        if path == "/echo" || path.hasPrefix("/echo/") { return .now(.json(echo(request))) }
        let kind = behaviour.kind
        if request.method == "OPTIONS", kind == .llamaServer { return .now(preflight) }
        let endpoint = Endpoint(method: request.method, path: path, kind: kind)
        if let key = behaviour.apiKey, endpoint != .health, endpoint != .llmHealth,
            request.field("Authorization") != "Bearer \(key)", request.field("X-Api-Key") != key
        {
            return .now(.error(401, "authentication_error", "Invalid API Key", kind: kind))
        }
        if isLoading, endpoint != .llmHealth {
            return .now(.error(503, "unavailable_error", "Loading model", kind: kind))
        }
        guard let endpoint else { return .now(notFound) }
        return reply(to: request, endpoint: endpoint, number: number)
    }

    private func reply(to request: ReceivedRequest, endpoint: Endpoint, number: Int) -> Reply {
        switch endpoint {
        case .chat:
            return generate(request, number, needs: "messages") { ChatForm(includesUsage: $0.includesUsage) }
        case .completions: return generate(request, number, needs: "prompt") { _ in CompletionForm() }
        case .nativeCompletion: return generate(request, number, needs: "prompt") { _ in NativeCompletionForm() }
        case .infill: return generate(request, number, needs: "input_prefix") { _ in NativeCompletionForm() }
        case .responses: return generate(request, number, needs: "input") { _ in ResponsesForm() }
        case .messages: return generate(request, number, needs: "messages") { _ in MessagesForm() }
        case .ollamaChat:
            return generate(request, number, streamsUnlessTold: true) { _ in OllamaForm(endpoint: .chat) }
        case .ollamaGenerate:
            return generate(request, number, streamsUnlessTold: true) { _ in OllamaForm(endpoint: .generate) }
        case .embeddings: return compute(request, number, needs: "input", embeddings)
        case .nativeEmbedding: return compute(request, number, nativeEmbedding)
        case .ollamaEmbed: return compute(request, number, needs: "input", ollamaEmbed)
        case .ollamaEmbeddings: return compute(request, number, needs: "prompt", ollamaEmbeddings)
        case .rerank: return compute(request, number, needs: "documents", rerank)
        case .transcriptions: return transcribe(request, number)
        case .countTokens:
            return .now(withBody(of: request) { .json(["input_tokens": JSON(tokenCount(ofBytes: $0.prompt.count))]) })
        case .tokenize: return .now(withBody(of: request) { .json(tokenize($0.json["content"]?.stringValue ?? "")) })
        case .detokenize: return .now(withBody(of: request) { .json(detokenize($0.json["tokens"]?.arrayValue ?? [])) })
        case .applyTemplate: return .now(withBody(of: request) { .json(applyTemplate($0.json["messages"]?.arrayValue ?? [])) })
        case .ollamaShow: return .now(withBody(of: request) { .json(ollamaShow($0.model)) })
        case .ollamaTags, .ollamaRunning: return .now(.json(ollamaModels))
        case .ollamaVersion: return .now(.json(["version": "0.13.5"]))
        case .health: return .now(health)
        case .slots: return .now(slotsPage(failsWhenFull: request.query.contains("fail_on_no_slot=1")))
        case .props: return .now(.json(props))
        case .models: return .now(.json(models))
        case .metrics: return .now(.text(metrics, contentType: "text/plain; version=0.0.4"))
        case .llmHealth:
            return .now(
                .json([
                    "status": behaviour.gpuBusy ? "busy" : "idle", "gpu_util_max5s": JSON(behaviour.gpuBusy ? 97.0 : 0.0),
                    "window_seconds": 5,
                ]))
        case .home: return .now(.text(home, contentType: "text/html; charset=utf-8"))
        }
    }

    // Requests that take a slot.

    /// A text, in the form of the API that was asked.
    private func generate(
        _ request: ReceivedRequest, _ number: Int, needs member: String? = nil, streamsUnlessTold: Bool = false,
        form: @escaping (Asked) -> any AnswerForm
    ) -> Reply {
        withWork(in: request, needs: member) { asked, model in
            .afterSlot(prompt: asked.prompt) { [self] remembered in
                let limit = asked.maxTokens
                let tokens = min(limit ?? behaviour.answerTokens, behaviour.longestAnswer)
                let generation = generation(
                    number, model: model, promptBytes: asked.prompt.count, remembered: remembered, tokens: max(0, tokens),
                    isCutShort: limit != nil)
                return .generated(generation, as: form(asked), streamed: asked.streams ?? streamsUnlessTold)
            }
        }
    }

    /// A document that takes as long as reading the prompt does.
    private func compute(
        _ request: ReceivedRequest, _ number: Int, needs member: String? = nil,
        _ document: @escaping (Asked, Generation) -> JSON
    ) -> Reply {
        withWork(in: request, needs: member) { asked, model in
            .afterSlot(prompt: asked.prompt) { [self] remembered in
                let generation = generation(number, model: model, promptBytes: asked.prompt.count, remembered: remembered)
                return .json(document(asked, generation), due: generation.prefillEnd)
            }
        }
    }

    private func transcribe(_ request: ReceivedRequest, _ number: Int) -> Reply {
        let model = multipartField("model", in: request.body) ?? behaviour.models.first ?? ""
        let bytes = request.body.count
        return .afterSlot(prompt: []) { [self] _ in
            let generation = generation(number, model: model, promptBytes: bytes, remembered: 0)
            return .json(
                ["text": .string("\(generation.serverName) heard \(bytes) bytes as \(model)")], due: generation.prefillEnd)
        }
    }

    private func generation(
        _ number: Int, model: String, promptBytes: Int, remembered: Int, tokens: Int = 0, isCutShort: Bool = false
    ) -> Generation {
        let promptTokens = max(1, tokenCount(ofBytes: promptBytes))
        let generation = Generation(
            number: number, serverName: name, model: model, promptTokens: promptTokens,
            // At least the last token is read again, like in llama-server.
            cachedTokens: min(remembered / 4, promptTokens - 1),
            answerTokens: tokens, isCutShort: isCutShort, prefillTokensPerSecond: behaviour.prefillTokensPerSecond,
            decodeTokensPerSecond: behaviour.decodeTokensPerSecond)
        totals.add(generation)
        return generation
    }

    // Bodies.

    private func withWork(
        in request: ReceivedRequest, needs member: String?, _ work: (Asked, _ model: String) -> Reply
    ) -> Reply {
        guard let json = try? JSON(parsing: request.body), json.objectValue != nil else { return .now(malformed) }
        let asked = Asked(json: json)
        if let member, json[member] == nil {
            return .now(.error(400, "invalid_request_error", "'\(member)' is required", kind: behaviour.kind))
        }
        let model = asked.model ?? behaviour.models.first ?? ""
        if behaviour.kind != .llamaServer, !behaviour.models.contains(model) {
            return .now(.error(404, "not_found_error", "model '\(model)' not found", kind: behaviour.kind))
        }
        return work(asked, model)
    }

    private func withBody(of request: ReceivedRequest, _ answer: (Asked) -> Answer) -> Answer {
        guard let json = try? JSON(parsing: request.body) else { return malformed }
        return answer(Asked(json: json))
    }

    private var malformed: Answer {
        .error(400, "invalid_request_error", "the body is not a JSON object", kind: behaviour.kind)
    }

    private var notFound: Answer {
        switch behaviour.kind {
        case .llamaServer: .error(404, "not_found_error", "File Not Found", kind: .llamaServer)
        case .ollama: .text("404 page not found", contentType: "text/plain", status: 404)
        case .openai: .json(["detail": "Not Found"], status: 404)
        }
    }

    private var preflight: Answer {
        Answer(
            contentType: "text/html",
            fields: [
                ("Access-Control-Allow-Credentials", "true"), ("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"),
                ("Access-Control-Allow-Headers", "*"),
            ], body: .fixed([]))
    }

    /// `ANY /echo/…`: what arrived, as JSON.
    private func echo(_ request: ReceivedRequest) -> JSON {
        [
            "method": .string(request.method), "target": .string(request.head.uri),
            "headers": .array(request.head.headers.map { [.string($0.name), .string($0.value)] }),
            "body_length": JSON(request.body.count), "body": .string(String(decoding: request.body, as: UTF8.self)),
        ]
    }
}
