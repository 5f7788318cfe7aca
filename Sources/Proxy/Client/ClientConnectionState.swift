/// The state of a client's HTTP/1 connection over several requests: whether the next head may be read, and what follows an
/// answer.
package struct ClientConnectionState: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// Between requests. Entered when the connection starts, and after an answer that keeps the connection open.
        case expectingHead
        /// Between requests. Pipelined input is handled in the loop's next turn.
        case yielding
        /// A request is being received or answered. `thenCloses`: the connection is closed after the answer.
        case inRequest(thenCloses: Bool)
        /// The server has switched protocols: bytes are forwarded in both directions without being interpreted.
        case tunnelling
        /// The last answer of the connection has been sent. Further input is discarded until the client closes its side.
        case lingering
        /// The connection has ended.
        case closed
    }

    /// What to do once an answer has been written.
    package enum Continuation: Equatable, Sendable {
        case nextRequest
        /// The next request is read in the loop's next turn, after `turnCame`.
        case nextRequestLater
        case close
        /// The connection has already ended.
        case nothing
    }

    package private(set) var state = State.expectingHead
    /// The client has closed its sending side: nothing follows what has been received.
    package private(set) var inputHasEnded = false
    /// The reasons why the client's socket is not being read.
    package var gate = ReadingGate()

    package init() {}

    /// Whether a head may be read from the received bytes: one request at a time, and no new request while the client does
    /// not read its answers.
    package var mayReadHead: Bool { state == .expectingHead && !gate.reasons.contains(.answersUnread) }

    /// Whether input from the client is still handled.
    package var takesInput: Bool {
        switch state {
        case .expectingHead, .yielding, .inRequest, .tunnelling: true
        case .lingering, .closed: false
        }
    }

    /// Whether the current answer must announce that the connection closes after it.
    package var closesAfterAnswer: Bool {
        switch state {
        case .inRequest(let thenCloses): thenCloses
        case .expectingHead, .yielding: false
        case .tunnelling, .lingering, .closed: true
        }
    }

    /// A request has begun. `isLast`: the client has announced that it is the last request.
    package mutating func requestBegan(isLast: Bool) {
        guard state == .expectingHead else { return }
        state = .inRequest(thenCloses: isLast)
    }

    /// No further request can follow: the end of the current request can no longer be found, or the program is shutting down.
    package mutating func closeAfterAnswer() {
        guard case .inRequest = state else { return }
        state = .inRequest(thenCloses: true)
    }

    package mutating func tunnelBegan() {
        guard case .inRequest = state else { return }
        state = .tunnelling
    }

    /// The answer has been written, or the tunnel has ended. `yields`: other connections get a turn before the next request.
    package mutating func answerEnded(yields: Bool = false) -> Continuation {
        switch state {
        case .inRequest(thenCloses: false):
            state = yields ? .yielding : .expectingHead
            return yields ? .nextRequestLater : .nextRequest
        case .expectingHead, .yielding, .inRequest(thenCloses: true), .tunnelling: return .close
        case .lingering, .closed: return .nothing
        }
    }

    /// The loop's next turn has begun.
    package mutating func turnCame() {
        if state == .yielding { state = .expectingHead }
    }

    /// The balancer closes its side. False when it was already closed.
    package mutating func closingBegan() -> Bool {
        guard takesInput else { return false }
        state = .lingering
        return true
    }

    /// The client has closed its sending side. Most clients leave in this way, so work of a server stops; but the balancer's own
    /// answers are still sent.
    ///
    /// - Parameter answersHere: the current request is answered by the balancer itself.
    /// - Returns: whether the connection stays open.
    package mutating func inputEnded(answersHere: Bool) -> Bool {
        inputHasEnded = true
        switch state {
        case .inRequest: return answersHere
        case .yielding: return true
        // Requests that are received already wait until the client takes its answers.
        case .expectingHead: return gate.reasons.contains(.answersUnread)
        // The last answer may not be sent completely.
        case .lingering: return true
        case .tunnelling, .closed: return false
        }
    }

    package mutating func ended() { state = .closed }
}
