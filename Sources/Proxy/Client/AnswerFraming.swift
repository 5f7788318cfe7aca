package import Wire

/// How the body of one answer goes to an HTTP/1 client, and whether its end has been written.
package enum AnswerFraming: Equatable, Sendable {
    /// No head has been sent.
    case none
    /// No body follows.
    case noBody
    /// As it came, with its length.
    case length
    case chunked
    /// The content alone; closing the connection ends the body.
    case untilClose
    /// The end has been written.
    case ended

    /// For an answer of a server. Chunks where the client knows them: then an end that comes too early can be told from the
    /// answer's own.
    package init(_ body: BodyReader, isHTTP10: Bool) {
        if body.isFinished {
            self = .noBody
        } else if body.isChunked || body.isUntilClose {
            self = isHTTP10 ? .untilClose : .chunked
        } else {
            self = .length
        }
    }

    /// Whether the connection has to end behind the answer.
    package var endsConnection: Bool { self == .untilClose }
}
