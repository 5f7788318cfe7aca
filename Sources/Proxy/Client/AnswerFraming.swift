package import Wire

/// How the body of one answer is framed for an HTTP/1 client, and whether its end has been written.
package enum AnswerFraming: Equatable, Sendable {
    /// No head has been sent.
    case none
    /// No body follows.
    case noBody
    /// Sent unchanged, with its length.
    case length
    case chunked
    /// The content without framing. Closing the connection ends the body.
    case untilClose
    /// The end has been written.
    case ended

    /// The framing for a server's answer. Chunked when the client supports it, so that the client can tell a truncated answer
    /// from a complete one.
    package init(_ body: BodyReader, isHTTP10: Bool) {
        if body.isFinished {
            self = .noBody
        } else if body.isChunked || body.isUntilClose {
            self = isHTTP10 ? .untilClose : .chunked
        } else {
            self = .length
        }
    }

    /// Whether the connection must be closed after the answer.
    package var endsConnection: Bool { self == .untilClose }
}
