import Routing

/// The state of one request and its answer, and which actions the state allows.
///
/// The commit point is the first byte of the answer that is sent to the client. A failure before it may be retried on another
/// server. After it, a failed answer must end in a way that the client notices.
package struct Exchange: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// Between requests. Entered when the connection starts and after each answer.
        case idle
        /// The head has been accepted, and the body is being received.
        case receiving
        /// The router has been asked. It grants or refuses the request.
        case waiting
        /// A connection to the granted server is being leased.
        case connecting
        /// The request has been sent; no answer has arrived. `onReused`: over a kept connection.
        case awaitingAnswer(onReused: Bool)
        /// A failure (`RetryableStatus`) is held until the router has decided whether to try another server.
        case holdingFailure
        /// A short error is read before anything is done about it: it may say that the prompt is longer than the server's context, or that a
        /// router did not reach the model's process.
        case readingError
        /// The head of a streamed 200 has arrived, but no byte of its body. An engine that dies now has produced no output.
        case holdingHead
        /// Bytes of the answer have been sent to the client.
        case relaying
        /// The server has switched protocols: bytes are forwarded in both directions without being interpreted.
        case tunnelling
        /// The balancer's own answer is being prepared or written.
        case answering
        /// The balancer's own endless event stream is being written.
        case feedingEvents
    }

    /// Who receives the answer, and what was sent before the answer.
    package enum Audience: Equatable, Sendable {
        /// The client. Nothing has been sent to it before the answer.
        case client
        /// The client, which has already been sent the head of a stream and keep-alive comments. The rest has to fit into
        /// that stream.
        case committedClient
        /// No client: the client disconnected, but its stream continues on the server, where the client can resume it.
        case nobody
    }

    package private(set) var state = State.idle
    package private(set) var audience = Audience.client
    package private(set) var body = RequestBodyState.whole

    package init() {}

    // MARK: The request

    /// A request has begun. `hasBody`: a body follows its head.
    package mutating func headReceived(hasBody: Bool) {
        state = .receiving
        audience = .client
        body = hasBody ? .receiving : .whole
    }

    package mutating func bodyEnded() { body.ended() }

    /// The rest of the body is not read. False when no more of the body was expected.
    package mutating func bodyStopped() -> Bool { body.stopped() }

    /// The router is asked. `early`: before the body is complete.
    package mutating func submitted(early: Bool = false) {
        if early { body.routedEarly() }
        state = .waiting
    }

    package mutating func localAnswerBegan() { state = .answering }

    package mutating func eventFeedBegan() -> Bool {
        guard state == .answering else { return false }
        state = .feedingEvents
        return true
    }

    /// The answer has been written, or the exchange was abandoned.
    package mutating func finished() {
        state = .idle
        audience = .client
        body = .whole
    }

    // MARK: The router's decision

    /// A server was granted. False when the grant comes too late and must be ignored.
    package mutating func granted() -> Bool {
        switch state {
        case .waiting, .holdingFailure:
            state = .connecting
            return true
        case .idle, .receiving, .connecting, .awaitingAnswer, .readingError, .holdingHead, .relaying, .tunnelling, .answering,
            .feedingEvents:
            return false
        }
    }

    /// The request was refused. False when the refusal comes too late.
    package mutating func refused() -> Bool {
        switch state {
        case .waiting, .holdingFailure, .connecting:
            state = .answering
            return true
        case .idle, .receiving, .awaitingAnswer, .readingError, .holdingHead, .relaying, .tunnelling, .answering, .feedingEvents:
            return false
        }
    }

    // MARK: The server

    /// How the request is sent once a connection is open.
    package enum Sending: Equatable, Sendable {
        case whole
        /// The part of the body that has arrived is sent now, the rest as it arrives.
        case streamed
        /// The connection is no longer needed.
        case nobody
    }

    package mutating func connected(isReused: Bool) -> Sending {
        guard state == .connecting else { return .nobody }
        state = .awaitingAnswer(onReused: isReused)
        return body.streamingBegan() ? .streamed : .whole
    }

    /// What to do with the head of the server's final answer.
    package enum HeadAction: Equatable, Sendable {
        case forward
        /// Ask the router first (`AttemptFailure.answered`).
        case holdAndReport
        /// Read the body first (`errorWasRead`).
        case readError
        /// Wait for the first byte of the body.
        case holdHead
        case ignore
    }

    /// - Parameter isReadFirst: an error whose text decides what is done about it.
    package mutating func answerHead(
        status: Int, isStream: Bool, hasBodyBytes: Bool, isSearch: Bool = false, isReadFirst: Bool = false
    ) -> HeadAction {
        guard case .awaitingAnswer = state else { return .ignore }
        if isReadFirst, body.isRepeatable, audience != .nobody {
            state = .readingError
            return .readError
        }
        if RetryableStatus(status, isSearch: isSearch) != nil, body.isRepeatable {
            state = .holdingFailure
            return .holdAndReport
        }
        if status == 200, isStream, !hasBodyBytes {
            state = .holdingHead
            return .holdHead
        }
        state = .relaying
        return .forward
    }

    /// The error was read. `isHeld`: the router decides about it; otherwise it is forwarded. False when none is being read.
    package mutating func errorWasRead(isHeld: Bool) -> Bool {
        guard state == .readingError else { return false }
        state = isHeld ? .holdingFailure : .relaying
        return true
    }

    /// The first byte of a held stream's body has arrived. False when no stream is held.
    package mutating func firstByteCame() -> Bool {
        guard state == .holdingHead else { return false }
        state = .relaying
        return true
    }

    /// The router has decided to forward the held failure. False when none is held.
    package mutating func failureKept() -> Bool {
        guard state == .holdingFailure else { return false }
        state = .relaying
        return true
    }

    /// The held failure is dropped, and the request is soon sent to the same server again. False when none is held.
    package mutating func willSendAgain() -> Bool {
        guard state == .holdingFailure else { return false }
        state = .connecting
        return true
    }

    /// The router has decided to drop the held failure, and the request waits for a server. False when none is held.
    package mutating func requeued() -> Bool {
        guard state == .holdingFailure else { return false }
        state = .waiting
        return true
    }

    /// The server has answered 101. False when no answer is awaited.
    package mutating func switchedProtocols() -> Bool {
        guard case .awaitingAnswer = state else { return false }
        state = .tunnelling
        return true
    }

    // MARK: Failures

    /// What to do after the upstream connection failed or ended too early.
    package enum UpstreamLoss: Equatable, Sendable {
        /// A kept connection was already closed: send the same request again on a new connection.
        case tryFreshConnection
        /// Ask the router whether another server may take the request.
        case report
        /// Report the error to the client inside the answer, then close.
        case endVisibly
        /// Close the tunnel's other end.
        case endTunnel
        /// The answer has no client any more: the end of the request is recorded, and no error is sent.
        case endUnheard
        /// Has no effect in this state.
        case ignore
    }

    /// Connecting failed, the connection broke, or the received bytes were not HTTP.
    package mutating func upstreamLost() -> UpstreamLoss {
        if case .awaitingAnswer(onReused: true) = state, body.isRepeatable, audience != .nobody {
            state = .connecting
            return .tryFreshConnection
        }
        return attemptLost(endsAnswer: true)
    }

    /// The probes found the server down. `isSilent`: nothing has arrived from the server for a while.
    package mutating func serverLost(isSilent: Bool) -> UpstreamLoss { attemptLost(endsAnswer: isSilent) }

    private mutating func attemptLost(endsAnswer: Bool) -> UpstreamLoss {
        switch state {
        case .connecting, .awaitingAnswer, .readingError, .holdingHead:
            if audience == .nobody {
                state = .answering
                return .endUnheard
            }
            state = .waiting
            return .report
        case .relaying where endsAnswer:
            state = .answering
            return audience == .nobody ? .endUnheard : .endVisibly
        case .tunnelling:
            state = .answering
            return .endTunnel
        case .relaying, .holdingFailure, .idle, .receiving, .waiting, .answering, .feedingEvents: return .ignore
        }
    }

    // MARK: The client

    /// A keep-alive comment is due before the answer. False when the answer has begun or the state does not allow it.
    package mutating func committedEarly() -> Bool {
        switch state {
        case .waiting, .connecting, .awaitingAnswer, .readingError, .holdingHead:
            guard audience == .client else { return false }
            audience = .committedClient
            return true
        case .idle, .receiving, .holdingFailure, .relaying, .tunnelling, .answering, .feedingEvents: return false
        }
    }

    /// What to do when the client has disconnected.
    package enum ClientLoss: Equatable, Sendable {
        case nothing
        /// Tell the router that the request is cancelled.
        case cancel
        /// The same, and also close the upstream connection so that generation stops.
        case cancelAndCloseUpstream
        /// Read the answer to its end, for a client that may come back for it.
        case goOn
    }

    /// `mayGoOn`: the client has named a stream that it can resume.
    package mutating func clientLost(mayGoOn: Bool) -> ClientLoss {
        if mayGoOn, !body.isIncomplete {
            switch state {
            case .awaitingAnswer, .holdingHead, .relaying:
                audience = .nobody
                return .goOn
            case .idle, .receiving, .waiting, .connecting, .holdingFailure, .readingError, .tunnelling, .answering,
                .feedingEvents:
                break
            }
        }
        defer { finished() }
        switch state {
        case .idle, .receiving, .answering, .feedingEvents: return .nothing
        case .waiting: return .cancel
        case .connecting, .awaitingAnswer, .holdingFailure, .readingError, .holdingHead, .relaying, .tunnelling:
            return .cancelAndCloseUpstream
        }
    }

    /// The effect of an administrator's cancellation.
    package enum Cancellation: Equatable, Sendable {
        /// Nothing of the answer has been sent: the request is withdrawn and the client is told.
        case refuse
        /// The answer ends in a way that the client notices.
        case endVisibly
        /// The connection is closed: the client would interpret an error message as data from the server.
        case endTunnel
        case endUnheard
        case nothing
    }

    package mutating func cancelled() -> Cancellation {
        if audience == .nobody {
            state = .answering
            return .endUnheard
        }
        switch state {
        case .waiting, .connecting, .awaitingAnswer, .holdingFailure, .readingError, .holdingHead:
            state = .answering
            return .refuse
        case .relaying:
            state = .answering
            return .endVisibly
        case .tunnelling:
            state = .answering
            return .endTunnel
        case .idle, .receiving, .answering, .feedingEvents: return .nothing
        }
    }
}
