/// What a path means to an engine.
enum Endpoint {
    case chat, completions, nativeCompletion, infill, responses, messages, countTokens
    case embeddings, nativeEmbedding, rerank, tokenize, detokenize, applyTemplate, transcriptions
    case ollamaChat, ollamaGenerate, ollamaEmbed, ollamaEmbeddings, ollamaTags, ollamaRunning, ollamaShow, ollamaVersion
    case health, slots, props, models, metrics, llmHealth, home

    /// The endpoint at a path of that kind of engine, or nil: 404.
    init?(method: String, path: String, kind: Behaviour.Kind) {
        switch (method == "HEAD" ? "GET" : method, kind) {
        case ("GET", .llamaServer): self.init(path, in: Endpoint.llamaServerPages)
        case ("POST", .llamaServer): self.init(path, in: Endpoint.llamaServerWork)
        case ("GET", .ollama): self.init(path, in: Endpoint.ollamaPages)
        case ("POST", .ollama): self.init(path, in: Endpoint.ollamaWork)
        case ("GET", .openai): self.init(path, in: Endpoint.openAIPages)
        case ("POST", .openai): self.init(path, in: Endpoint.openAIWork)
        default: return nil
        }
    }

    private init?(_ path: String, in table: [String: Endpoint]) {
        guard let endpoint = table[path] else { return nil }
        self = endpoint
    }

    /// Whether a request only asks for the state of the engine, whatever its kind: the requests of health checks and discovery.
    static func isProbe(method: String, target: String) -> Bool {
        let path = String(target.prefix { $0 != "?" })
        guard method == "GET" || method == "HEAD" else { return path == "/api/show" }
        return path != "/" && (llamaServerPages[path] ?? ollamaPages[path]) != nil
    }

    private static let openAIWork: [String: Endpoint] = [
        "/v1/chat/completions": .chat, "/v1/completions": .completions, "/v1/responses": .responses, "/v1/messages": .messages,
        "/v1/messages/count_tokens": .countTokens, "/v1/embeddings": .embeddings, "/v1/rerank": .rerank,
        "/v1/audio/transcriptions": .transcriptions, "/tokenize": .tokenize, "/detokenize": .detokenize,
    ]

    private static let llamaServerWork = openAIWork.merging([
        "/chat/completions": .chat, "/completions": .completions, "/responses": .responses, "/embeddings": .embeddings,
        "/completion": .nativeCompletion, "/infill": .infill, "/embedding": .nativeEmbedding, "/rerank": .rerank,
        "/reranking": .rerank, "/v1/reranking": .rerank, "/apply-template": .applyTemplate,
    ]) { first, _ in first }

    private static let ollamaWork: [String: Endpoint] = [
        "/api/chat": .ollamaChat, "/api/generate": .ollamaGenerate, "/api/embed": .ollamaEmbed,
        "/api/embeddings": .ollamaEmbeddings, "/api/show": .ollamaShow, "/v1/chat/completions": .chat,
        "/v1/completions": .completions, "/v1/embeddings": .embeddings, "/v1/responses": .responses, "/v1/messages": .messages,
    ]

    private static let openAIPages: [String: Endpoint] = [
        "/health": .health, "/v1/models": .models, "/metrics": .metrics, "/llmhealth": .llmHealth,
    ]

    private static let llamaServerPages = openAIPages.merging([
        "/v1/health": .health, "/slots": .slots, "/props": .props, "/models": .models, "/": .home,
    ]) { first, _ in first }

    private static let ollamaPages: [String: Endpoint] = [
        "/api/tags": .ollamaTags, "/api/ps": .ollamaRunning, "/api/version": .ollamaVersion, "/v1/models": .models,
        "/llmhealth": .llmHealth, "/": .home,
    ]
}
