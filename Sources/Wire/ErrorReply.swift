/// An error that the balancer itself answers, in the form of the client's API.
package struct ErrorReply: Sendable, Equatable {
    package var status: Int
    package var code: String
    /// What happened, where, and what to do.
    package var message: String
    package var retryAfterSeconds: Int?

    package init(status: Int, code: String, message: String, retryAfterSeconds: Int? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// The body of the answer.
    package func json(_ dialect: APIDialect) -> JSON {
        switch dialect {
        case .openAI:
            let type = status == 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "server_error"
            return [
                "error": [
                    "message": .string(message), "type": .string(type), "code": .string(code), "param": nil,
                ]
            ]
        case .anthropic:
            let type =
                switch status {
                case 400: "invalid_request_error"
                case 401: "authentication_error"
                case 403: "permission_error"
                case 404: "not_found_error"
                case 413: "request_too_large"
                case 429: "rate_limit_error"
                case 503: "overloaded_error"
                default: "api_error"
                }
            return ["type": "error", "error": ["type": .string(type), "message": .string(message)]]
        case .ollama: return ["error": .string(message)]
        }
    }

    /// The error as an event of a stream that has already begun.
    package func streamEvent(_ dialect: APIDialect) -> [UInt8] {
        switch dialect {
        case .openAI: Array("data: ".utf8) + json(dialect).bytes + Array("\n\n".utf8)
        case .anthropic: Array("event: error\ndata: ".utf8) + json(dialect).bytes + Array("\n\n".utf8)
        case .ollama: json(dialect).bytes + Array("\n".utf8)
        }
    }
}
