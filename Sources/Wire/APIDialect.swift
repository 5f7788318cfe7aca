/// The API family a client speaks: decides the shape of errors and keep-alives.
package enum APIDialect: Sendable, Equatable {
    case openAI, anthropic, ollama
}
