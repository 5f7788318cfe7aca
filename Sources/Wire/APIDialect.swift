/// The family of APIs that a client speaks. It decides the form of errors and keep-alives.
package enum APIDialect: Sendable, Equatable {
    case openAI, anthropic, ollama
}
