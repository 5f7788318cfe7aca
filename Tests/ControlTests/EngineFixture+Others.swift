import Routing

@testable import Control

// Engines and proxies of other kinds.
extension EngineFixture {
    static let pythonEngines: [EngineFixture] = [
        // vLLM 0.33.0: vllm/entrypoints/openai/models/serving.py, `show_available_models`; serve/engine/protocol.py, `ModelCard`;
        // serve/instrumentator/health.py, `health`.
        EngineFixture(
            "vLLM", .vllm, ["Qwen/Qwen3-8B": nil, "sql-lora": nil], server: "uvicorn",
            [
                "/v1/models": """
                {"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","created":1795812258,"owned_by":"vllm",
                 "root":"Qwen/Qwen3-8B","parent":null,"max_model_len":40960,"permission":[{"id":"modelperm-8f2c",
                 "object":"model_permission","created":1795812258,"allow_create_engine":false,"allow_sampling":true,
                 "allow_logprobs":true,"allow_search_indices":false,"allow_view":true,"allow_fine_tuning":false,
                 "organization":"*","group":null,"is_blocking":false}]},
                 {"id":"sql-lora","object":"model","created":1795812258,"owned_by":"vllm","root":"/loras/sql",
                 "parent":"Qwen/Qwen3-8B","max_model_len":null,"permission":[]}]}
                """,
                "/health": "", "/version": #"{"version":"0.33.0"}"#,
            ]),
        // SGLang 0.5.23: sglang/srt/entrypoints/http_server.py, `available_models`, `health_generate` and `sglang_root`;
        // openai/protocol.py, `ModelCard`; ollama/serving.py, `get_tags`. It has some of Ollama's paths, but neither
        // `/api/version` nor `/api/ps`.
        EngineFixture(
            "SGLang", .sglang, ["Qwen/Qwen3-8B": nil], server: "uvicorn",
            [
                "/v1/models": """
                {"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","created":1795812258,"owned_by":"sglang",
                 "root":"Qwen/Qwen3-8B","parent":null,"max_model_len":40960}]}
                """,
                "/health": "", "/": #""SGLang is running""#,
                "/api/tags": """
                {"models":[{"name":"Qwen/Qwen3-8B","model":"Qwen/Qwen3-8B","modified_at":"2026-11-27T20:44:18Z","size":0,
                 "digest":"sha256:sglang0000000000000000000000000000000000000000000000000000000000",
                 "details":{"format":"sglang","family":"Qwen3-8B","parameter_size":"unknown"}}]}
                """,
            ]),
        // mlx-lm 0.32.2: mlx_lm/server.py, `APIHandler.do_GET`, `handle_models_request` and `handle_health_check`.
        EngineFixture(
            "mlx_lm.server", .openai, ["mlx-community/Qwen3-8B-4bit": nil, "/models/local": nil],
            server: "BaseHTTP/0.6 Python/3.12.11",
            [
                "/v1/models": """
                {"object": "list", "data": [
                {"id": "mlx-community/Qwen3-8B-4bit", "object": "model", "created": 1795812258},
                {"id": "/models/local", "object": "model", "created": 1795812258}]}
                """,
                "/health": #"{"status": "ok"}"#,
            ]),
        // It lists models of the hub's cache, and a folder that is named on its command line.
        EngineFixture(
            "mlx_lm.server without models", .openai, [:], server: "BaseHTTP/0.6 Python/3.12.11",
            ["/v1/models": #"{"object": "list", "data": []}"#, "/health": #"{"status": "ok"}"#]),
    ]

    static let others: [EngineFixture] = [
        // huggingface/text-generation-inference 3.3.6-dev0 (db931fcf): router/src/server.rs, `openai_get_model_info`,
        // `get_model_info` and `health` (also at `/`); router/src/lib.rs, `ModelInfo` and `Info`. A model is owned by itself.
        EngineFixture(
            "text-generation-inference", .openai, ["HuggingFaceTB/SmolLM2-360M-Instruct": nil],
            [
                "/v1/models": """
                {"object":"list","data":[{"id":"HuggingFaceTB/SmolLM2-360M-Instruct","object":"model","created":0,
                 "owned_by":"HuggingFaceTB/SmolLM2-360M-Instruct"}]}
                """,
                "/": "", "/health": "", "/ping": "",
                "/info": """
                {"model_id":"HuggingFaceTB/SmolLM2-360M-Instruct","model_sha":"e985a63cdc139290c5f700ff1929f0b5942cced2",
                 "model_pipeline_tag":"text-generation","max_concurrent_requests":128,"max_best_of":2,"max_stop_sequences":4,
                 "max_input_tokens":4095,"max_total_tokens":4096,"validation_workers":2,"max_client_batch_size":4,
                 "router":"text-generation-router","version":"3.3.6-dev0","sha":null,"docker_label":null}
                """,
            ]),
        // mudler/LocalAI 4.9.0 (82c191af), core/http: endpoints/openai/list.go, `ListModelsEndpoint`; endpoints/ollama/models.go
        // (Ollama's paths are always there); app.go, `API` (its page is at `/app`); routes/health.go.
        EngineFixture(
            "LocalAI", .openai, ["qwen3-4b": nil, "bert-embeddings": nil],
            localAI.merging(["/": .init(status: 301, body: "")]) { $1 }),
        // With LOCALAI_OLLAMA_API_ROOT_ENDPOINT, `HeartbeatEndpoint` at `/`. Its owner wants it to be taken for an Ollama, and it
        // answers all that an Ollama is asked; but Ollama's lists add `:latest` to the names of `/v1/models`.
        EngineFixture(
            "LocalAI that poses as Ollama", .ollama, ["qwen3-4b": .loaded, "bert-embeddings": .unloaded],
            localAI.merging(["/": "Ollama is running"]) { $1 }),
        // LostRuins/koboldcpp 1.102 (000115dd): koboldcpp.py, `do_GET` of its request handler. It has paths of llama-server and
        // of Ollama, and says the same of every model.
        EngineFixture(
            "KoboldCpp", .openai, ["koboldcpp/Qwen3-8B-Q4_K_M": nil], server: "KoboldCppServer 1", koboldCpp),
        // Jan (janhq/jan, as in its copy nagyist/jan, 71e0362a): src-tauri/src/core/server/proxy.rs, `proxy_request`. A
        // llama-server runs behind it, as a router, and cannot be seen.
        EngineFixture(
            "Jan", .openai, ["Jan-v1-4B-Q4_K_M": nil, "mlx-community/Qwen3-8B-4bit": nil, "gpt-5": nil],
            [
                "/v1/models": """
                {"object":"list","data":[{"id":"Jan-v1-4B-Q4_K_M","object":"model","created":1,"owned_by":"llama.cpp"},
                 {"id":"mlx-community/Qwen3-8B-4bit","object":"model","created":1,"owned_by":"mlx"},
                 {"id":"gpt-5","object":"model","created":1,"owned_by":"remote"}]}
                """,
                "/": "\n<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"UTF-8\">\n  <title>API Docs</title>",
            ]),
        // Jan before it had MLX (janhq/jan, 00359820, the same function).
        EngineFixture(
            "Jan before MLX", .openai, ["Jan-v1-4B-Q4_K_M": nil],
            [
                "/v1/models": """
                {"object":"list","data":[{"id":"Jan-v1-4B-Q4_K_M","object":"model","created":1,"owned_by":"user"}]}
                """
            ]),
        // `llamafile --server --v2` of llamafile 0.9.3 (Mozilla-Ocho/llamafile, cfa861a6): llamafile/server/v1_models.cpp,
        // `Client::v1_models`; client.cpp, `STANDARD_RESPONSE_HEADERS` and `Client::dispatcher`. It has no `/health`.
        EngineFixture(
            "llamafiler", .openai, ["Llama-3.2-1B-Instruct.Q6_K": nil], server: "llamafile/0.9.3",
            [
                "/v1/models": """
                {"object":"list","data":[{"id":"Llama-3.2-1B-Instruct.Q6_K","object":"model","created":1751290000,
                 "owned_by":"llamafile"}]}
                """,
                "/": "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>llamafile</title>",
            ]),
        // LiteLLM 1.110.2: litellm/proxy/proxy_server.py, `model_list`; proxy/utils.py, `create_model_info_response`. Its
        // `/health` runs a request on every model, so it must not be asked.
        EngineFixture(
            "LiteLLM", .openai, ["gpt-4o": nil, "vllm/qwen": nil], server: "uvicorn",
            [
                "/v1/models": """
                {"data":[{"id":"gpt-4o","object":"model","created":1677610602,"owned_by":"openai","mode":"chat",
                 "max_input_tokens":128000,"max_output_tokens":16384},
                 {"id":"vllm/qwen","object":"model","created":1677610602,"owned_by":"openai"}],"object":"list"}
                """,
                "/": "<!DOCTYPE html>\n<html>\n<head>", "/health": "{}", "/health/liveliness": #""I'm alive!""#,
            ]),
    ]

    private static let localAI: [String: DocumentServer.Document] = [
        "/v1/models": """
        {"object":"list","data":[{"id":"bert-embeddings","object":"model"},{"id":"qwen3-4b","object":"model"}]}
        """,
        "/api/version": #"{"version":"0.9.0"}"#,
        "/api/tags": """
        {"models":[{"name":"bert-embeddings:latest","model":"bert-embeddings:latest","modified_at":"2026-08-22T20:44:03Z",
         "size":0,"digest":"sha256:61","details":{"format":"gguf","family":"llama-cpp","families":["llama-cpp"]},
         "capabilities":["embedding"]},
         {"name":"qwen3-4b:latest","model":"qwen3-4b:latest","modified_at":"2026-08-22T20:44:03Z","size":0,"digest":"sha256:62",
         "details":{"format":"gguf","family":"llama-cpp","families":["llama-cpp"],"parameter_size":"4B",
         "quantization_level":"Q4_K_M"},"capabilities":["completion"]}]}
        """,
        "/api/ps": """
        {"models":[{"name":"qwen3-4b:latest","model":"qwen3-4b:latest","size":0,"digest":"sha256:62","details":
         {"format":"gguf","family":"llama-cpp","families":["llama-cpp"],"parameter_size":"4B","quantization_level":"Q4_K_M"},
         "expires_at":"2026-08-23T20:44:03Z","size_vram":0,"capabilities":["completion"]}]}
        """,
        "/healthz": "", "/readyz": "",
    ]

    private static let koboldCpp: [String: DocumentServer.Document] = [
        "/v1/models": """
        {"object": "list", "data": [{"id": "koboldcpp/Qwen3-8B-Q4_K_M", "object": "model", "created": 1795812258,
         "owned_by": "koboldcpp", "permission": [], "root": "koboldcpp"}]}
        """,
        "/": "<!DOCTYPE html>\n<html>\n<head>\n<title>KoboldAI Lite</title>",
        "/api/version": #"{"version": "0.7.0"}"#, "/api/tags": koboldTags, "/api/ps": koboldTags,
        "/props": """
        {"chat_template": "", "id": 0, "id_task": -1, "total_slots": 1, "modalities": {"vision": false, "audio": false},
         "model_path": "koboldcpp/Qwen3-8B-Q4_K_M", "n_ctx": 8192, "default_generation_settings": {"n_ctx": 8192}}
        """,
        "/slots": .init(
            status: 501,
            body: """
                {"error": {"code": 501, "message": "This server does not support slots endpoint.",
                 "type": "not_supported_error"}}
                """),
        "/ping": #"{"status": "healthy"}"#,
    ]

    private static let koboldTags: DocumentServer.Document = """
        {"models": [{"name": "koboldcpp", "model": "koboldcpp/Qwen3-8B-Q4_K_M:latest",
         "modified_at": "2024-07-19T15:26:55.6122841+08:00", "expires_at": "2055-06-04T19:06:25.5433636+08:00",
         "size": 394998579, "size_vram": 394998579,
         "digest": "b5dc5e784f2a3ee1582373093acf69a2f4e2ac1710b253a001712b86a61f88bb",
         "details": {"parent_model": "", "format": "gguf", "family": "koboldcpp", "families": ["koboldcpp"],
         "parameter_size": "128M", "quantization_level": "Q4_0"}},
         {"name": "koboldcpp", "model": "koboldcpp/Qwen3-8B-Q4_K_M",
         "modified_at": "2024-07-19T15:26:55.6122841+08:00", "expires_at": "2055-06-04T19:06:25.5433636+08:00",
         "size": 394998579, "size_vram": 394998579,
         "digest": "b5dc5e784f2a3ee1582373093acf69a2f4e2ac1710b253a001712b86a61f88bb",
         "details": {"parent_model": "", "format": "gguf", "family": "koboldcpp", "families": ["koboldcpp"],
         "parameter_size": "128M", "quantization_level": "Q4_0"}}]}
        """
}
