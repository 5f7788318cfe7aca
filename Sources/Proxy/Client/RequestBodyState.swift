/// The state of a request's body. The body is kept, so that the request can be sent again. A body that grows longer than
/// `limits.retry-body` is streamed to the server, as soon as the server is known.
package enum RequestBodyState: Equatable, Sendable {
    /// The body is arriving and is kept.
    case receiving
    /// The whole body is kept, or there is no body.
    case whole
    /// The body is long: the router has been asked before the body is complete. The received part is kept, and reading is
    /// paused.
    case pending
    /// The body is streamed to the server as it arrives, and cannot be sent again.
    case streaming
    /// The whole body was streamed to the server.
    case streamed
    /// The rest of the body is discarded.
    case abandoned

    /// The request can be sent again.
    package var isRepeatable: Bool {
        switch self {
        case .receiving, .whole, .pending: true
        case .streaming, .streamed, .abandoned: false
        }
    }

    /// The client has more of the body to send.
    package var isIncomplete: Bool {
        switch self {
        case .receiving, .pending, .streaming: true
        case .whole, .streamed, .abandoned: false
        }
    }

    /// The last byte of the body has arrived.
    package mutating func ended() {
        switch self {
        // The body was complete before the router's decision, so it is treated like any other body.
        case .receiving, .pending: self = .whole
        case .streaming: self = .streamed
        case .whole, .streamed, .abandoned: break
        }
    }

    /// The body is too long to be kept.
    package mutating func routedEarly() {
        if self == .receiving { self = .pending }
    }

    /// The server begins to receive the body as a stream. False when the whole body is kept.
    package mutating func streamingBegan() -> Bool {
        guard self == .pending else { return false }
        self = .streaming
        return true
    }

    /// The rest of the body is not read. False when no more of the body was expected.
    package mutating func stopped() -> Bool {
        guard isIncomplete else { return false }
        self = .abandoned
        return true
    }
}
