import Wire

// How much the prompt cache of an engine holds that keeps prompts in blocks. It is decided when the engine starts.

extension EngineReports {
    /// Where an engine tells the size of its prompt cache; nil when engines of its kind do not.
    static func promptCachePage(of kind: EngineKind?) -> String? {
        switch kind {
        case .vllm: "/metrics"
        case .sglang: "/server_info"
        case nil, .llamaServer, .ollama, .lmStudio, .llamaSwap, .openai: nil
        }
    }

    /// Tokens that the prompt cache holds; 0 when it is switched off, nil when the page does not tell.
    static func promptCacheTokens(_ page: [UInt8], of kind: EngineKind?) -> Int? {
        switch kind {
        case .vllm: vllmCacheTokens(String(decoding: page, as: UTF8.self))
        case .sglang: sglangCacheTokens(page)
        case nil, .llamaServer, .ollama, .lmStudio, .llamaSwap, .openai: nil
        }
    }

    /// The labels of `vllm:cache_config_info` are vLLM's cache settings, as Python prints them. With data parallelism there is a line for
    /// each copy of the engine, and each has a cache of its own; the first one counts.
    private static func vllmCacheTokens(_ metrics: String) -> Int? {
        let line = metrics.split(separator: "\n").first { $0.hasPrefix("vllm:cache_config_info{") }
        guard let line else { return nil }
        func label(_ name: String) -> Substring? {
            for opening in ["{", ","] {
                guard let start = line.firstRange(of: opening + name + "=\"") else { continue }
                return line[start.upperBound...].prefix { $0 != "\"" }
            }
            return nil
        }
        if label("enable_prefix_caching") == "False" { return 0 }
        // Of models whose layers have blocks of several sizes, the product of the other two labels is wrong.
        if let tokens = label("kv_cache_size_tokens").flatMap({ Int($0) }) { return tokens > 0 ? tokens : nil }
        guard let blocks = label("num_gpu_blocks").flatMap({ Int($0) }), let size = label("block_size").flatMap({ Int($0) }),
            blocks > 0, size > 0
        else { return nil }
        let (tokens, isTooLarge) = blocks.multipliedReportingOverflow(by: size)
        return isTooLarge ? nil : tokens
    }

    private static func sglangCacheTokens(_ page: [UInt8]) -> Int? {
        guard let json = try? JSON(parsing: page) else { return nil }
        if json["disable_radix_cache"]?.boolValue == true { return 0 }
        return json["max_total_num_tokens"]?.intValue.flatMap { $0 > 0 ? $0 : nil }
    }
}
