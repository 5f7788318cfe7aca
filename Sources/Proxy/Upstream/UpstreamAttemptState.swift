/// One connection to a server, as far as the request is concerned that it works for.
package enum UpstreamAttemptState: Equatable, Sendable {
    /// Nobody has leased it: in the pool, or just dialled.
    case idle
    /// It has been leased; the request is being written. What comes now on a kept connection was sent before the server could have
    /// had the request.
    case sending(isReused: Bool)
    /// The request has been written, or as much of it as there is; the answer's head is the next thing expected.
    case readingHead
    case readingBody
    /// It has been closed, by either side.
    case ended

    /// What received bytes are.
    package enum Meaning: Equatable, Sendable {
        /// A server that speaks unasked has lost its place in the protocol.
        case unasked
        /// They belong to something before this request: the connection was dead already.
        case stale
        case answer
    }

    /// Bytes have come.
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

    /// A whole answer has come, or the lease was not used. False when the connection has ended: it cannot serve another request.
    package mutating func givenBack() -> Bool {
        guard self != .ended else { return false }
        self = .idle
        return true
    }

    package mutating func ended() { self = .ended }
}
