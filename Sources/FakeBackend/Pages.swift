import Wire

/// What an engine says about itself.
extension Engine {
    var health: Answer {
        behaviour.kind == .llamaServer ? .json(["status": "ok"]) : Answer(contentType: "text/plain", body: .fixed([]))
    }

    func slotsPage(failsWhenFull: Bool) -> Answer {
        if failsWhenFull, busySlots == slotHolders.count {
            return .error(503, "unavailable_error", "no slot available", kind: behaviour.kind)
        }
        let slots = slotHolders.enumerated().map { index, holder -> JSON in
            [
                "id": JSON(index), "n_ctx": JSON(behaviour.contextTokens), "speculative": false,
                "is_processing": .bool(holder != nil),
            ]
        }
        return .json(.array(slots))
    }

    var props: JSON {
        [
            "default_generation_settings": ["params": [:], "n_ctx": JSON(behaviour.contextTokens)],
            "total_slots": JSON(slotHolders.count), "model_alias": JSON(behaviour.models.first),
            "model_path": .string("\(behaviour.models.first ?? "model").gguf"),
            "modalities": ["vision": false, "video": false, "audio": false], "endpoint_slots": true, "endpoint_props": false,
            "endpoint_metrics": true, "chat_template": "", "bos_token": "<s>", "eos_token": "</s>", "build_info": "fake",
            "is_sleeping": .bool(behaviour.isSleeping),
        ]
    }

    var models: JSON {
        ["object": "list", "data": .array(behaviour.models.map(describe))]
    }

    private func describe(_ model: String) -> JSON {
        let context = JSON(behaviour.contextTokens)
        var members: [JSON.Member] = [
            .init(name: "id", value: .string(model)), .init(name: "object", value: "model"),
            .init(name: "created", value: 1_763_856_000),
        ]
        switch behaviour.kind {
        case .llamaServer:
            members.append(.init(name: "owned_by", value: "llamacpp"))
            members.append(.init(name: "meta", value: ["n_ctx": context, "n_ctx_train": context]))
        case .openai:
            members.append(.init(name: "owned_by", value: "vllm"))
            members.append(.init(name: "max_model_len", value: context))
        case .ollama:
            members.append(.init(name: "owned_by", value: "library"))
        }
        return .object(members)
    }

    /// Prometheus text, with llama-server's names.
    var metrics: String {
        let values: [(name: String, type: String, value: String)] = [
            ("prompt_tokens_total", "counter", "\(totals.promptTokens)"),
            ("prompt_tokens_cached_total", "counter", "\(totals.cachedTokens)"),
            ("prompt_seconds_total", "counter", "\(totals.promptSeconds)"),
            ("tokens_predicted_total", "counter", "\(totals.predictedTokens)"),
            ("tokens_predicted_seconds_total", "counter", "\(totals.predictedSeconds)"),
            ("prompt_tokens_seconds", "gauge", "\(behaviour.prefillTokensPerSecond ?? 0)"),
            ("predicted_tokens_seconds", "gauge", "\(behaviour.decodeTokensPerSecond ?? 0)"),
            ("requests_processing", "gauge", "\(busySlots)"),
            ("requests_deferred", "gauge", "\(deferredRequests)"),
        ]
        return values.map { "# TYPE llamacpp:\($0.name) \($0.type)\nllamacpp:\($0.name) \($0.value)\n" }.joined()
    }

    var home: String {
        behaviour.kind == .ollama ? "Ollama is running" : "<!doctype html><title>\(name)</title><p>\(name), a fake llama-server."
    }

    /// `/api/tags` and `/api/ps`: all models that the engine knows are loaded.
    var ollamaModels: JSON {
        let models = behaviour.models.map { model -> JSON in
            [
                "name": .string(model), "model": .string(model), "modified_at": .string(WallClock.timestamp),
                "size": 4_000_000_000,
                "digest": "0000", "details": ollamaDetails, "expires_at": "2038-01-19T03:14:07Z", "size_vram": 4_000_000_000,
                "context_length": JSON(behaviour.contextTokens),
            ]
        }
        return ["models": .array(models)]
    }

    func ollamaShow(_ model: String?) -> JSON {
        [
            "modelfile": .string("FROM \(model ?? "")"), "parameters": "", "template": "{{ .Prompt }}", "details": ollamaDetails,
            "model_info": ["general.architecture": "llama", "llama.context_length": JSON(behaviour.contextTokens)],
            "capabilities": ["completion"],
        ]
    }

    private var ollamaDetails: JSON {
        [
            "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "8B",
            "quantization_level": "Q4_K_M",
        ]
    }
}
