/// The state of one connection to a server, for the request that uses it.
package enum UpstreamAttemptState: Equatable, Sendable {
    /// Not leased: in the pool, or just dialled.
    case idle
    /// Leased; the request is being written. On a kept connection, bytes that arrive now were sent before the server could
    /// have received the request.
    case sending(isReused: Bool)
    /// The request, or the part of it that is available, has been written. The head of the answer is expected next.
    case readingHead
    case readingBody
    /// Closed by either side.
    case ended

    /// The meaning of received bytes.
    package enum Meaning: Equatable, Sendable {
        /// The server sent data without a request, so it is out of sync with the protocol.
        case unasked
        /// The bytes belong to something before this request: the connection was already unusable.
        case stale
        case answer
    }

    /// What bytes that arrive now mean.
    package var meaning: Meaning {
        switch self {
        case .idle, .ended: .unasked
        case .sending(isReused: true): .stale
        case .sending(isReused: false), .readingHead, .readingBody: .answer
        }
    }

    package mutating func leased(isReused: Bool) {
        if self == .idle { self = .sending(isReused: isReused) }
    }

    package mutating func requestSent() {
        if case .sending = self { self = .readingHead }
    }

    /// The final answer's head has been read.
    package mutating func headEnded() {
        switch self {
        case .sending, .readingHead: self = .readingBody
        case .idle, .readingBody, .ended: break
        }
    }

    /// A complete answer has arrived, or the lease was not used. False when the connection has ended and cannot serve another
    /// request.
    package mutating func givenBack() -> Bool {
        guard self != .ended else { return false }
        self = .idle
        return true
    }

    package mutating func ended() { self = .ended }
}
