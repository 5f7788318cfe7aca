import Routing

@testable import Control

// Ollama and LM Studio.
extension EngineFixture {
    // Ollama (ollama/ollama, fb307609): openai/openai.go, `ToListCompletion` (`owned_by` is the namespace in the model's name);
    // server/routes.go, `GenerateRoutes` (`/`, `/api/version`), `ListHandler` and `PsHandler`; api/types.go,
    // `ListModelResponse` and `ProcessModelResponse`.
    static let ollamas: [EngineFixture] = [
        EngineFixture(
            "Ollama", .ollama, ["llama3:latest": .loaded, "qwen3:8b": .unloaded],
            [
                "/": "Ollama is running", "/api/version": #"{"version":"0.12.0"}"#,
                "/v1/models": """
                {"object":"list","data":[{"id":"llama3:latest","object":"model","created":1787280522,"owned_by":"library"},
                 {"id":"qwen3:8b","object":"model","created":1787280000,"owned_by":"library"}]}
                """,
                "/api/tags": """
                {"models":[{"name":"llama3:latest","model":"llama3:latest","modified_at":"2026-08-21T02:48:42Z","size":4661224676,
                  "digest":"365c0bd3c000","details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],
                  "parameter_size":"8.0B","quantization_level":"Q4_0"},"capabilities":["completion"]},
                 {"name":"qwen3:8b","model":"qwen3:8b","modified_at":"2026-08-21T02:40:00Z","size":5225388164,
                  "digest":"500a1f067a9f","details":{"parent_model":"","format":"gguf","family":"qwen3","families":["qwen3"],
                  "parameter_size":"8.2B","quantization_level":"Q4_K_M"},"capabilities":["completion","tools","thinking"]}]}
                """,
                "/api/ps": """
                {"models":[{"name":"llama3:latest","model":"llama3:latest","size":6654289920,"digest":"365c0bd3c000","details":
                  {"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"8.0B",
                  "quantization_level":"Q4_0"},"expires_at":"2026-08-21T03:00:00Z","size_vram":6654289920,"context_length":4096}]}
                """,
            ]),
        EngineFixture("Ollama with models of a hub", .ollama, ["hf.co/x/y:Q4": .unloaded], ollama(of: "x")),
        // A hub's organisation may have any name, and the newest model is the first in the list.
        EngineFixture(
            "Ollama with a model of an organisation that is called like an engine", .ollama, ["hf.co/vllm/y:Q4": .unloaded],
            ollama(of: "vllm")),
        EngineFixture(
            "Ollama without models", .ollama, [:],
            [
                "/": "Ollama is running", "/v1/models": #"{"object":"list","data":null}"#,
                "/api/version": #"{"version":"0.12.0"}"#, "/api/tags": #"{"models":[]}"#, "/api/ps": #"{"models":[]}"#,
            ]),
    ]

    private static func ollama(of namespace: String) -> [String: DocumentServer.Document] {
        let name = "hf.co/\(namespace)/y:Q4"
        let tags = """
            {"models":[{"name":"\(name)","model":"\(name)","modified_at":"2026-08-21T02:48:42Z","size":5,"digest":"365c0bd3c000",
             "details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],"parameter_size":"8.0B",
             "quantization_level":"unknown"}}]}
            """
        let list = """
            {"object":"list","data":[{"id":"\(name)","object":"model","created":1787280522,"owned_by":"\(namespace)"}]}
            """
        return [
            "/": "Ollama is running", "/api/version": #"{"version":"0.12.0"}"#, "/v1/models": .init(body: list),
            "/api/tags": .init(body: tags), "/api/ps": #"{"models":[]}"#,
        ]
    }

    // LM Studio has no public source. `/api/v0/models`: its documentation (lmstudio-ai/docs, c6854fba, 1_developer/2_rest/
    // endpoints.mdx). `/v1/models`: as its users record it. It answers 200 also to paths that it does not have (lmstudio-ai/
    // lmstudio-bug-tracker, issues 618 and 1323).
    static let lmStudios: [EngineFixture] = [
        EngineFixture(
            "LM Studio", .lmStudio, ["qwen2-vl-7b-instruct": .unloaded, "meta-llama-3.1-8b-instruct": .loaded],
            lmStudio(
                """
                {"data":[{"id":"qwen2-vl-7b-instruct","object":"model","owned_by":"organization_owner"},
                 {"id":"meta-llama-3.1-8b-instruct","object":"model","owned_by":"organization_owner"}],"object":"list"}
                """, state: "loaded")),
        // Without just-in-time loading, only loaded models are served (1_developer/0_core/headless.md).
        EngineFixture(
            "LM Studio that serves only what is loaded", .lmStudio, [:],
            lmStudio(#"{"data":[],"object":"list"}"#, state: "not-loaded")),
    ]

    private static func lmStudio(_ list: String, state: String) -> [String: DocumentServer.Document] {
        let detailed = """
            {"object":"list","data":[
             {"id":"qwen2-vl-7b-instruct","object":"model","type":"vlm","publisher":"mlx-community","arch":"qwen2_vl",
              "compatibility_type":"mlx","quantization":"4bit","state":"not-loaded","max_context_length":32768},
             {"id":"meta-llama-3.1-8b-instruct","object":"model","type":"llm","publisher":"lmstudio-community","arch":"llama",
              "compatibility_type":"gguf","quantization":"Q4_K_M","state":"\(state)","max_context_length":131072}]}
            """
        var documents: [String: DocumentServer.Document] = [
            "/v1/models": .init(body: list), "/api/v0/models": .init(body: detailed),
        ]
        for path in ["/", "/running", "/health", "/props", "/slots", "/api/version", "/api/tags", "/api/ps"] {
            documents[path] = .init(body: #"{"error":"Unexpected endpoint or method. (GET \#(path))"}"#)
        }
        return documents
    }
}
