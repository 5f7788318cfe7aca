/// One HTTP/1 connection of a client, seen as a row of requests: may the next head be read, and what follows an answer?
package struct ClientConnectionState: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// Between requests. Entered at the connection's start, and after an answer that keeps it.
        case expectingHead
        /// Between requests. What was sent ahead is looked at in the loop's next turn.
        case yielding
        /// A request is being received or answered. `thenCloses`: the connection ends with its answer.
        case inRequest(thenCloses: Bool)
        /// The server has switched protocols: bytes pass both ways, whatever they mean.
        case tunnelling
        /// An answer was sent that ends the connection. What still comes is thrown away until the client closes, too.
        case lingering
        /// The connection has ended.
        case closed
    }

    /// What to do once an answer has been written.
    package enum Continuation: Equatable, Sendable {
        case nextRequest
        /// The same in the loop's next turn, after `turnCame`.
        case nextRequestLater
        case close
        /// The connection has ended already.
        case nothing
    }

    package private(set) var state = State.expectingHead
    /// Why the client is not read from, if it is not.
    package var gate = ReadingGate()

    package init() {}

    /// A head may be taken from what has been received: one request at a time, and none while answers are not taken.
    package var mayReadHead: Bool { state == .expectingHead && !gate.reasons.contains(.answersUnread) }

    /// Whether what the client sends is still looked at.
    package var takesInput: Bool {
        switch state {
        case .expectingHead, .yielding, .inRequest, .tunnelling: true
        case .lingering, .closed: false
        }
    }

    /// Whether the answer at hand has to say that the connection ends with it.
    package var closesAfterAnswer: Bool {
        switch state {
        case .inRequest(let thenCloses): thenCloses
        case .expectingHead, .yielding: false
        case .tunnelling, .lingering, .closed: true
        }
    }

    /// A request has begun. `isLast`: its client has said that no other one follows.
    package mutating func requestBegan(isLast: Bool) {
        guard state == .expectingHead else { return }
        state = .inRequest(thenCloses: isLast)
    }

    /// No other request can follow: the client's bytes can no longer be told apart, or the program ends.
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

    /// The loop's next turn has come.
    package mutating func turnCame() {
        if state == .yielding { state = .expectingHead }
    }

    /// Our side is being closed. False when it has been before.
    package mutating func closingBegan() -> Bool {
        guard takesInput else { return false }
        state = .lingering
        return true
    }

    package mutating func ended() { state = .closed }
}
