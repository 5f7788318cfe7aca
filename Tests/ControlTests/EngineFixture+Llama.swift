import Routing

@testable import Control

// llama-server, and what runs it.
extension EngineFixture {
    static let llamaServers: [EngineFixture] = [
        // Recorded from llama.cpp's server in xllamacpp 2026.10.11549, with two slots and the alias `m`.
        EngineFixture(
            "llama-server", .llamaServer, ["m": nil], server: "llama.cpp",
            [
                "/v1/models": models, "/health": #"{"status":"ok"}"#, "/props": props(isSleeping: false), "/slots": slots,
                "/v1/streams/lookup": "[]",
            ]),
        // Recorded likewise, after `--sleep-idle-seconds`. Its list looks as before.
        EngineFixture(
            "llama-server, asleep", .llamaServer, ["m": .loading], server: "llama.cpp",
            [
                "/v1/models": models, "/health": #"{"status":"ok"}"#, "/props": props(isSleeping: true),
                "/v1/streams/lookup": "[]",
            ]),
        router,
        // llamafile 0.9.3 (Mozilla-Ocho/llamafile, cfa861a6, `llamafile --server`): llama.cpp/server/server.cpp, the handlers
        // after `set_default_headers`; slots: `TASK_TYPE_METRICS`. It is llama-server as of early 2024: its `/health` waits for
        // the end of a batch, and it resumes no streams. llamafile 0.10 is llama-server (llamafile/main.cpp, `server_main`).
        EngineFixture(
            "llamafile", .llamaServer, ["Llama-3.2-1B-Instruct.Q6_K.gguf": nil], resumesStreams: false, server: "llama.cpp",
            llamafile),
    ]

    // ggml-org/llama.cpp, 00dd0816: tools/server/server-models.cpp, `get_router_models` and `get_router_props`; the states
    // are those of `server_model_status_to_string` in server-models.h. `/slots` needs a model (`router_validate_model`). A
    // loaded model has members of its own list in addition. What a process answers was recorded from llama.cpp's server in xllamacpp
    // 2026.9.11063; for a model that is not in memory, `/props?model=b&autoload=false` is answered with 400.
    static let router = EngineFixture(
        "llama-server as a router", .llamaServer,
        [
            "a": .loaded, "b": .unloaded, "c": .loading, "d": .loading, "e": .unloaded, "f": .unloaded, "g": .failed,
        ], unavailable: ["e", "f"], server: "llama.cpp",
        [
            "/v1/models": """
            {"data":[
            {"id":"a","aliases":["big"],"tags":[],"object":"model","owned_by":"llamacpp","created":1795812258,
             "status":{"value":"loaded","args":["llama-server","--port","40001","--alias","a"],"preset":"[a]\\n"},
             "architecture":{"input_modalities":["text"],"output_modalities":["text"]},"source":"models_dir",
             "can_remove":false,"meta":{"vocab_type":2,"n_vocab":260,"n_ctx_train":32768,"n_embd":64,"n_params":115520,
             "size":231680}},
            {"id":"b","aliases":[],"tags":[],"object":"model","owned_by":"llamacpp","created":1795812258,
             "status":{"value":"unloaded","args":[]},"architecture":{"input_modalities":["text","image"],
             "output_modalities":["text"]},"source":"preset","can_remove":false},
            {"id":"c","object":"model","owned_by":"llamacpp","status":{"value":"loading","args":[]},"source":"preset"},
            {"id":"d","object":"model","owned_by":"llamacpp","status":{"value":"sleeping","args":[]},"source":"preset"},
            {"id":"e","object":"model","owned_by":"llamacpp","status":{"value":"downloading","args":[]},"source":"cache"},
            {"id":"f","object":"model","owned_by":"llamacpp","status":{"value":"downloaded","args":[]},"source":"cache"},
            {"id":"g","object":"model","owned_by":"llamacpp","status":{"value":"unloaded","args":[],"exit_code":1,
             "failed":true},"source":"preset"}],"object":"list"}
            """,
            "/health": #"{"status":"ok"}"#,
            "/props": """
            {"role":"router","max_instances":4,"models_autoload":true,"model_alias":"llama-server","model_path":"none",
             "default_generation_settings":{"params":null,"n_ctx":0},"ui_settings":{},"build_info":"b0-unknown",
             "cors_proxy_enabled":false}
            """,
            "/slots": .init(
                status: 400,
                body: """
                    {"error":{"code":400,"message":"model name is missing from the request","type":"invalid_request_error"}}
                    """),
            "/props?model=a&autoload=false": process(isSleeping: false),
            "/props?model=d&autoload=false": process(isSleeping: true),
            "/slots?model=a&autoload=false": """
            [{"id":0,"n_ctx":8192,"speculative":false,"is_processing":false},
             {"id":1,"n_ctx":8192,"speculative":false,"is_processing":true}]
            """,
            "/v1/streams/lookup": "[]",
        ])

    private static func process(isSleeping: Bool) -> DocumentServer.Document {
        let body = """
            {"default_generation_settings":{"params":{"seed":4294967295,"temperature":0.800000011920929,"stream":false},
            "n_ctx":8192},"total_slots":2,"model_alias":"a","model_ftype":"all F32","model_path":"a.gguf",
            "modalities":{"vision":false,"video":false,"audio":false},"endpoint_slots":true,"endpoint_props":false,
            "endpoint_metrics":false,"ui":true,"ui_settings":{},"bos_token":"<|im_start|>","eos_token":"<|im_end|>",
            "build_info":"b0-unknown","is_sleeping":\(isSleeping),"cors_proxy_enabled":false}
            """
        return .init(body: body)
    }

    static let llamafile: [String: DocumentServer.Document] = [
        "/v1/models": """
        {"data":[{"created":1751290000,"id":"Llama-3.2-1B-Instruct.Q6_K.gguf","object":"model","owned_by":"llamacpp"}],
         "object":"list"}
        """,
        "/health": #"{"slots_idle":1,"slots_processing":1,"status":"ok"}"#,
        "/props": """
        {"assistant_name":"","default_generation_settings":{"model":"Llama-3.2-1B-Instruct.Q6_K.gguf","n_ctx":8192},
         "total_slots":2,"user_name":""}
        """,
        "/slots": """
        [{"id":0,"model":"Llama-3.2-1B-Instruct.Q6_K.gguf","n_ctx":4096,"next_token":{"has_next_token":true,"n_remain":-1,
          "num_tokens_predicted":0,"stopped_eos":false,"stopped_limit":false,"stopped_word":false,"stopping_word":""},
          "prompt":null,"state":0,"task_id":-1},
         {"id":1,"model":"Llama-3.2-1B-Instruct.Q6_K.gguf","n_ctx":4096,"next_token":{"has_next_token":true,"n_remain":90,
          "num_tokens_predicted":10,"stopped_eos":false,"stopped_limit":false,"stopped_word":false,"stopping_word":""},
          "prompt":"Hello","state":1,"task_id":3}]
        """,
        "/": "<!DOCTYPE html>\n<html lang=\"en\">",
    ]

    private static let models: DocumentServer.Document = """
        {"models":[{"name":"m","model":"m","modified_at":"","size":"","digest":"","type":"model","description":"","tags":[""],
        "capabilities":["completion"],"parameters":"","details":{"parent_model":"","format":"gguf","family":"","families":[""],
        "parameter_size":"","quantization_level":""}}],"object":"list","data":[{"id":"m","aliases":["m"],"tags":[],
        "object":"model","architecture":{"input_modalities":["text"],"output_modalities":["text"]},"created":1795812258,
        "owned_by":"llamacpp","meta":{"vocab_type":2,"n_vocab":260,"n_ctx":1024,"n_ctx_train":32768,"n_embd":64,
        "n_params":115520,"size":231680,"ftype":"all F32"}}]}
        """

    private static let slots: DocumentServer.Document = """
        [{"id":0,"n_ctx":1024,"speculative":false,"is_processing":false},
         {"id":1,"n_ctx":1024,"speculative":false,"is_processing":false}]
        """

    private static func props(isSleeping: Bool) -> DocumentServer.Document {
        let body = """
            {"default_generation_settings":{"params":{"seed":4294967295,"temperature":0.800000011920929,"stream":false},
            "n_ctx":1024},"total_slots":2,"model_alias":"m","model_ftype":"all F32","model_path":"tiny.gguf",
            "modalities":{"vision":false,"video":false,"audio":false},"endpoint_slots":true,"endpoint_props":false,
            "endpoint_metrics":true,"ui":true,"ui_settings":{},"bos_token":"<|im_start|>","eos_token":"<|im_end|>",
            "build_info":"b0-unknown","is_sleeping":\(isSleeping),"cors_proxy_enabled":false}
            """
        return .init(body: body)
    }

    static let llamaSwaps: [EngineFixture] = [
        // llama-swap (mostlygeek/llama-swap, 0bdb3720): internal/server/api.go, `handleListModels`, `handleRunning` and
        // `handleHealth`. A running model is `loaded` in its list also while it starts; `/running` has the exact state, but only
        // under the model's own name.
        EngineFixture(
            "llama-swap", .llamaSwap, ["a": .loaded, "b": .unloaded, "c": .loading],
            [
                "/v1/models": """
                {"data":[
                {"id":"a","object":"model","created":1787414400,"owned_by":"llama-swap","name":"A","description":"a model",
                 "meta":{"llamaswap":{"aliases":["nick"],"type":"model"}},"status":{"value":"loaded"}},
                {"id":"b","object":"model","created":1787414400,"owned_by":"llama-swap",
                 "meta":{"llamaswap":{"type":"model"}},"status":{"value":"unloaded"}},
                {"id":"c","object":"model","created":1787414400,"owned_by":"llama-swap",
                 "meta":{"llamaswap":{"type":"model"}},"status":{"value":"loaded"}}],"object":"list"}
                """,
                "/running": """
                {"running":[
                {"model":"a","state":"ready","cmd":"llama-server --port 5800 -m a.gguf","proxy":"http://localhost:5800","ttl":0,
                 "name":"A","description":"a model"},
                {"model":"c","state":"starting","cmd":"llama-server --port 5801 -m c.gguf","proxy":"http://localhost:5801",
                 "ttl":0,"name":"","description":""}]}
                """,
                "/health": "OK", "/": .init(status: 302, body: #"<a href="/ui">Found</a>."#),
            ]),
        // The same with `includeAliasesInList`, a peer and a selector (api_test.go, `TestServer_HandleListModels_Status`).
        EngineFixture(
            "llama-swap with other names of a loaded model", .llamaSwap,
            ["a": .loaded, "best": .loaded, "nick": .loaded, "peer1/far": .unloaded],
            [
                "/v1/models": """
                {"data":[
                {"id":"a","object":"model","created":1787414400,"owned_by":"llama-swap",
                 "meta":{"llamaswap":{"aliases":["nick"],"type":"model"}},"status":{"value":"loaded"}},
                {"id":"best","object":"model","created":1787414400,"owned_by":"llama-swap",
                 "meta":{"llamaswap":{"strategy":"pin","targets":["a"],"type":"selector"}},"status":{"value":"loaded"}},
                {"id":"nick","object":"model","created":1787414400,"owned_by":"llama-swap",
                 "meta":{"llamaswap":{"modelID":"a","type":"alias"}},"status":{"value":"loaded"}},
                {"id":"peer1/far","object":"model","created":1787414400,"owned_by":"llama-swap","name":"peer1: far",
                 "meta":{"llamaswap":{"peerID":"peer1","type":"peer"}},"status":{"value":"unloaded"}}],"object":"list"}
                """,
                "/running": """
                {"running":[{"model":"a","state":"ready","cmd":"llama-server --port 5800 -m a.gguf",
                 "proxy":"http://localhost:5800","ttl":0,"name":"","description":""}]}
                """,
                "/health": "OK",
            ]),
        // Behind a proxy that drops the field, or an old one.
        EngineFixture(
            "llama-swap that does not say who owns its models", .llamaSwap, ["a": .unloaded],
            ["/v1/models": #"{"data":[{"id":"a"}]}"#, "/health": "OK", "/running": #"{"running":[]}"#]),
    ]
}
