/// The engine that a server runs, with the names that the configuration uses. In optionals, nil means that the engine is not
/// known yet and is detected.
package enum EngineKind: String, CaseIterable, Sendable, Equatable {
    case llamaServer = "llama-server"
    case ollama, vllm, sglang
    /// Any other engine with the OpenAI API.
    case openai
}
