/// The state of one request and its answer: what has happened, and therefore what is still allowed.
///
/// The commit point is the first byte of the answer that goes to the client: before it a failure may be tried elsewhere,
/// after it the answer has to end visibly.
package struct Exchange: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// Between requests. Entered at the connection's start and after each answer.
        case idle
        /// The head has been accepted, and the body is being received.
        case receiving
        /// The router has been asked; it grants or refuses.
        case waiting
        /// A connection to the granted server is being leased.
        case connecting
        /// The request has been sent; nothing has come back. `onReused`: over a kept connection.
        case awaitingAnswer(onReused: Bool)
        /// A 502, 503 or 504 is held until the router says whether another server can do better.
        case holdingFailure
        /// The head of a streamed 200 has come, but no byte of its body: an engine that dies now has produced nothing.
        case holdingHead
        /// Bytes of the answer have gone to the client.
        case relaying
        /// The server has switched protocols: bytes pass both ways, whatever they mean.
        case tunnelling
        /// Our own answer is being made or written.
        case answering
        /// Our own endless stream of events is being written.
        case feedingEvents
    }

    /// Who listens, and what it has heard so far besides the answer itself.
    package enum Audience: Equatable, Sendable {
        /// The client; nothing has been said to it before the answer.
        case client
        /// The client, which has been sent the head of a stream and signs of life: whatever follows has to fit into that stream.
        case committedClient
        /// Nobody: the client left, but its stream goes on at the server, where it can be taken up again.
        case nobody
    }

    package private(set) var state = State.idle
    package private(set) var audience = Audience.client
    package private(set) var body = RequestBodyState.whole

    package init() {}

    // MARK: The request

    /// A request has begun. `hasBody`: one follows its head.
    package mutating func headReceived(hasBody: Bool) {
        state = .receiving
        audience = .client
        body = hasBody ? .receiving : .whole
    }

    package mutating func bodyEnded() { body.ended() }

    /// No more of the body is taken. False when nothing more would come.
    package mutating func bodyStopped() -> Bool { body.stopped() }

    /// The router is asked. `early`: before the body has come whole.
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

    /// The answer has been written, or the exchange given up.
    package mutating func finished() {
        state = .idle
        audience = .client
        body = .whole
    }

    // MARK: The router's word

    /// A server was granted. False when that comes too late and must be ignored.
    package mutating func granted() -> Bool {
        switch state {
        case .waiting, .holdingFailure:
            state = .connecting
            return true
        case .idle, .receiving, .connecting, .awaitingAnswer, .holdingHead, .relaying, .tunnelling, .answering, .feedingEvents:
            return false
        }
    }

    /// The request was refused. False when that comes too late.
    package mutating func refused() -> Bool {
        switch state {
        case .waiting, .holdingFailure, .connecting:
            state = .answering
            return true
        case .idle, .receiving, .awaitingAnswer, .holdingHead, .relaying, .tunnelling, .answering, .feedingEvents: return false
        }
    }

    // MARK: The server

    /// How the request goes out once a connection is there.
    package enum Sending: Equatable, Sendable {
        case whole
        /// What has come of the body now, the rest as it comes.
        case streamed
        /// Nobody wants the connection any more.
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
        /// Wait for the first byte of the body.
        case holdHead
        case ignore
    }

    package mutating func answerHead(status: Int, isStream: Bool, hasBodyBytes: Bool) -> HeadAction {
        guard case .awaitingAnswer = state else { return .ignore }
        if status == 502 || status == 503 || status == 504, body.isRepeatable {
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

    /// The first byte of a held stream's body has come. False when none is held.
    package mutating func firstByteCame() -> Bool {
        guard state == .holdingHead else { return false }
        state = .relaying
        return true
    }

    /// The router's word is to pass the held failure on. False when none is held.
    package mutating func failureKept() -> Bool {
        guard state == .holdingFailure else { return false }
        state = .relaying
        return true
    }

    /// The server has answered 101. False when nobody waits for that.
    package mutating func switchedProtocols() -> Bool {
        guard case .awaitingAnswer = state else { return false }
        state = .tunnelling
        return true
    }

    // MARK: What can go wrong

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
        /// The answer was for nobody: the request's end is recorded, and nobody is told.
        case endUnheard
        /// In this state it means nothing.
        case ignore
    }

    /// Connecting failed, the connection broke, or its bytes were no HTTP.
    package mutating func upstreamLost() -> UpstreamLoss {
        if case .awaitingAnswer(onReused: true) = state, body.isRepeatable, audience != .nobody {
            state = .connecting
            return .tryFreshConnection
        }
        return attemptLost(endsAnswer: true)
    }

    /// The probes found the server dead. `isSilent`: nothing has come from it for a while.
    package mutating func serverLost(isSilent: Bool) -> UpstreamLoss { attemptLost(endsAnswer: isSilent) }

    private mutating func attemptLost(endsAnswer: Bool) -> UpstreamLoss {
        switch state {
        case .connecting, .awaitingAnswer, .holdingHead:
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

    /// A sign of life is due, although no answer has come. False when the answer has begun or its state forbids it.
    package mutating func committedEarly() -> Bool {
        switch state {
        case .waiting, .connecting, .awaitingAnswer, .holdingHead:
            guard audience == .client else { return false }
            audience = .committedClient
            return true
        case .idle, .receiving, .holdingFailure, .relaying, .tunnelling, .answering, .feedingEvents: return false
        }
    }

    /// What to do when the client has gone.
    package enum ClientLoss: Equatable, Sendable {
        case nothing
        /// Tell the router that the request is cancelled.
        case cancel
        /// The same, and close the upstream connection so that generation stops.
        case cancelAndCloseUpstream
        /// The answer is read to its end, for a client that may come back for it.
        case goOn
    }

    /// `mayGoOn`: the client has named a stream that it can take up again.
    package mutating func clientLost(mayGoOn: Bool) -> ClientLoss {
        if mayGoOn, !body.isIncomplete {
            switch state {
            case .awaitingAnswer, .holdingHead, .relaying:
                audience = .nobody
                return .goOn
            case .idle, .receiving, .waiting, .connecting, .holdingFailure, .tunnelling, .answering, .feedingEvents: break
            }
        }
        defer { finished() }
        switch state {
        case .idle, .receiving, .answering, .feedingEvents: return .nothing
        case .waiting: return .cancel
        case .connecting, .awaitingAnswer, .holdingFailure, .holdingHead, .relaying, .tunnelling: return .cancelAndCloseUpstream
        }
    }

    /// What an administrator's cancellation comes to.
    package enum Cancellation: Equatable, Sendable {
        /// Nothing of the answer has gone out: it is taken back, and the client told.
        case refuse
        /// The answer ends visibly.
        case endVisibly
        /// The connection ends: whatever we said would be taken for the server's.
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
        case .waiting, .connecting, .awaitingAnswer, .holdingFailure, .holdingHead:
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
