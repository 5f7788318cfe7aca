/// Which engine a server runs, by the names that the configuration uses. Where it is optional, nil means: not known, to be found out.
package enum EngineKind: String, CaseIterable, Sendable, Equatable {
    case llamaServer = "llama-server"
    case ollama, vllm, sglang
    /// Anything else that speaks the OpenAI API.
    case openai
}
