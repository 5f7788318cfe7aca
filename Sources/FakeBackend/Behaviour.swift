/// How a fake engine looks and behaves. The defaults are an instant llama-server with one model and four slots.
///
///     let slow = Behaviour { $0.slots = 1; $0.decodeTokensPerSecond = 50 }
package struct Behaviour: Equatable, Sendable {
    /// Whose endpoints, headers and habits are imitated.
    package enum Kind: String, CaseIterable, Sendable {
        /// llama.cpp's llama-server: all `/v1/…`, its own paths, `/health`, `/slots`, `/props`, `/metrics`.
        case llamaServer = "llama-server"
        /// Ollama: `/api/…` and the usual `/v1/…`; no `/health`.
        case ollama
        /// Any other OpenAI-compatible server (like vLLM): `/v1/…`, an empty `/health`; no `/slots`, no `/props`.
        case openai
    }

    /// The name in the answer text that says which engine answered; nil: `fake-` and the port.
    package var name: String?
    package var kind = Kind.llamaServer
    /// The models that the engine lists. A llama-server answers to any name; the other kinds know only these models.
    package var models = ["fake-model"]

    /// Requests computed at the same time; further ones wait inside the engine, as in llama-server.
    package var slots = 4
    package static let possibleSlots = 1...10_000
    /// Reported as `n_ctx` of each slot. Not enforced, so that tests may send prompts of any size.
    package var contextTokens = 32_768
    /// Prompt tokens per second and slot; nil: at once. Tokens found in the prompt cache cost nothing.
    package var prefillTokensPerSecond: Double?
    /// Answer tokens per second and slot; nil: at once.
    package var decodeTokensPerSecond: Double?
    /// Tokens of an answer whose request names no `max_tokens`.
    package var answerTokens = 16
    /// Most tokens of any answer, whatever the request asks for.
    package var longestAnswer = 100_000

    /// The key that requests must carry (like in llama-server: all except `/health`); nil: no key is needed.
    package var apiKey: String?
    /// After its start it answers 503 "Loading model" for this long.
    package var loadingFor = Duration.zero
    /// What `/llmhealth` says about the GPU.
    package var gpuBusy = false
    /// What `/props` says in `is_sleeping`.
    package var isSleeping = false

    /// The fault of every request (`X-Fake-Fault` names one for a single request); nil: nothing.
    package var fault: Fault?
    /// Seed of the random generator for `fail-rate`.
    package var seed: UInt64 = 1

    /// llama-server closes the connection after every streamed answer, although its header promises to keep it.
    package var closesAfterStream = true
    /// llama-server answers every error with `Connection: close`.
    package var closesAfterError = true
    /// An idle connection is closed after this long; nil: never.
    package var idleTimeout: Duration? = .seconds(5)
    /// The largest number of answers on one connection; the last of them carries `Connection: close`.
    package var answersPerConnection = 100

    package init(_ configure: (inout Behaviour) -> Void = { _ in }) {
        configure(&self)
    }
}
