/// The engine that a server runs, with the names that the configuration uses. In optionals, nil means that the engine is not
/// known yet and is detected.
package enum EngineKind: String, CaseIterable, Sendable, Equatable {
    case llamaServer = "llama-server"
    case ollama, vllm, sglang
    case lmStudio = "lm-studio"
    case llamaSwap = "llama-swap"
    /// Any other engine with the OpenAI API.
    case openai

    /// The engine answers probes while it computes. Of other engines this has to be learned: many Python servers have a single
    /// thread.
    var answersWhileComputing: Bool { self != .openai }

    /// Whether the monitor probes it by something cheaper than its model list.
    var hasHealthCheck: Bool { self != .openai && self != .sglang }
}
