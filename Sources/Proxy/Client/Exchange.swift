/// The state of one request and its answer: what has happened, and therefore what is still allowed.
///
/// The commit point is the first byte that goes to the client: before it a failure may be tried elsewhere,
/// after it the answer has to end visibly.
package struct Exchange: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// Between requests: entered at connection start and after each answer.
        case idle
        /// The body is being received.
        case collecting
        /// The router has been asked; it grants or refuses.
        case waiting
        /// A connection to the granted server is being leased.
        case connecting
        /// The request has been written; nothing has come back. `onReused`: over a kept connection.
        case awaitingAnswer(onReused: Bool)
        /// A 502, 503 or 504 is held until the router says whether another server can do better.
        case holdingAnswer
        /// A head of a streamed 200 has come, but no body byte: an engine that dies now has produced nothing.
        case holdingHead
        /// Bytes have gone to the client.
        case relaying
        /// The server has switched protocols: bytes pass both ways, whatever they mean.
        case tunnelling
        /// Our own answer is being written.
        case answering
    }

    package private(set) var state = State.idle
    /// The request can be sent once more. False from the moment at which a body begins to be streamed through.
    package private(set) var isRepeatable = true

    package init() {}

    /// What to do after the upstream connection failed or ended too early.
    package enum UpstreamLoss: Equatable, Sendable {
        /// A kept connection turned out to be dead: the same request again, on a new one.
        case tryFreshConnection
        /// Ask the router whether another server may have it.
        case report
        /// Tell the client inside the answer, then close.
        case endVisibly
        /// Close the tunnel's other end.
        case endTunnel
        /// Nobody is concerned any more.
        case ignore
    }

    /// What to do when the client has gone.
    package enum ClientLoss: Equatable, Sendable {
        case nothing
        /// Tell the router that the request is cancelled.
        case cancel
        /// The same, and close the upstream connection so that generation stops.
        case cancelAndCloseUpstream
    }

    package mutating func headReceived() {
        state = .collecting
        isRepeatable = true
    }
    package mutating func submitted() { state = .waiting }
    package mutating func localAnswerBegan() { state = .answering }
    package mutating func finished() { state = .idle }
    package mutating func beganToStreamBody() { isRepeatable = false }

    /// True while a server has the request or is about to get it.
    package var isWithServer: Bool {
        switch state {
        case .awaitingAnswer, .holdingHead, .relaying: true
        case .idle, .collecting, .waiting, .connecting, .holdingAnswer, .tunnelling, .answering: false
        }
    }

    /// The server has answered 101. False when nobody waits for that.
    package mutating func switchedProtocols() -> Bool {
        guard case .awaitingAnswer = state else { return false }
        state = .tunnelling
        return true
    }

    /// The router granted a server. False when the grant comes too late and must be ignored.
    package mutating func granted() -> Bool {
        switch state {
        case .waiting, .holdingAnswer:
            state = .connecting
            return true
        case .idle, .collecting, .connecting, .awaitingAnswer, .holdingHead, .relaying, .tunnelling, .answering: return false
        }
    }

    /// The router refused. False when that comes too late.
    package mutating func refused() -> Bool {
        switch state {
        case .waiting, .holdingAnswer, .connecting:
            state = .answering
            return true
        case .idle, .collecting, .awaitingAnswer, .holdingHead, .relaying, .tunnelling, .answering: return false
        }
    }

    /// A connection is there. False when nobody wants it any more.
    package mutating func connected(isReused: Bool) -> Bool {
        guard state == .connecting else { return false }
        state = .awaitingAnswer(onReused: isReused)
        return true
    }

    /// What to do with the head of the server's final answer.
    package enum HeadAction: Equatable, Sendable {
        case forward
        /// Ask the router first (`AttemptFailure.answered`).
        case holdAndReport
        /// Wait for the first byte of the body.
        case holdHead
        case ignore
    }

    package mutating func answerHead(status: Int, isStream: Bool, hasBodyBytes: Bool) -> HeadAction {
        guard case .awaitingAnswer = state else { return .ignore }
        if status == 502 || status == 503 || status == 504, isRepeatable {
            state = .holdingAnswer
            return .holdAndReport
        }
        if status == 200, isStream, !hasBodyBytes {
            state = .holdingHead
            return .holdHead
        }
        state = .relaying
        return .forward
    }

    /// The first body byte of a held stream, or the router's word to keep a held answer. False when too late.
    package mutating func released() -> Bool {
        guard state == .holdingHead || state == .holdingAnswer else { return false }
        state = .relaying
        return true
    }

    /// Connecting failed, the connection broke, or its bytes were no HTTP.
    package mutating func upstreamLost() -> UpstreamLoss {
        switch state {
        case .awaitingAnswer(onReused: true) where isRepeatable:
            state = .connecting
            return .tryFreshConnection
        case .connecting, .awaitingAnswer, .holdingHead:
            state = .waiting
            return .report
        case .relaying:
            state = .answering
            return .endVisibly
        case .tunnelling:
            state = .answering
            return .endTunnel
        case .holdingAnswer, .idle, .collecting, .waiting, .answering: return .ignore
        }
    }

    /// The probes found the server dead. `isSilent`: nothing has come from it for a while.
    package mutating func serverLost(isSilent: Bool) -> UpstreamLoss {
        switch state {
        case .connecting, .awaitingAnswer, .holdingHead:
            state = .waiting
            return .report
        case .relaying where isSilent:
            state = .answering
            return .endVisibly
        case .tunnelling:
            state = .answering
            return .endTunnel
        case .relaying, .holdingAnswer, .idle, .collecting, .waiting, .answering: return .ignore
        }
    }

    package mutating func clientLost() -> ClientLoss {
        defer { state = .idle }
        switch state {
        case .idle, .collecting, .answering: return .nothing
        case .waiting: return .cancel
        case .connecting, .awaitingAnswer, .holdingAnswer, .holdingHead, .relaying, .tunnelling: return .cancelAndCloseUpstream
        }
    }
}
