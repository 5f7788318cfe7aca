import NIOCore
import Routing
import Wire

/// Reads short errors whose text matters before anything is done about them: a 400 may say that the prompt is longer than the server's
/// context, so that another server may take it; a 500 may be of a router that did not reach the model's process.
extension ExchangeRunner {
    /// Whether the head is of an answer that may say that the prompt is too long.
    func mayTellContextError(_ head: borrowing HTTPHead) -> Bool {
        guard head.status == 400, record.traits?.counts == true, !head.present.contains(.contentEncoding) else { return false }
        return switch head.framing {
        case .length(let count): (1...ContextError.longest).contains(count)
        case .chunked: true
        case .unstated: false
        }
    }

    func mayBeRouterModeError(_ head: borrowing HTTPHead) -> Bool {
        guard head.status == 500, !head.present.contains(.contentEncoding) else { return false }
        return switch head.framing {
        case .length(let count): (1...RouterModeError.longest).contains(count)
        case .chunked: true
        case .unstated: false
        }
    }

    /// More of the held error may have arrived.
    func readError() {
        guard let held = attempt.held else { return }
        var body = BodyReader(answer: held.connection.head, toHead: false)
        var (content, position, isMalformed) = ([UInt8](), 0, false)
        let span = held.rest.readableBytesSpan
        reading: while true {
            switch body.next(span, &position) {
            case .content(let range): span.extracting(range).withUnsafeBytes { content.append(contentsOf: $0) }
            case .needMore, .finished: break reading
            case .malformed:
                isMalformed = true
                break reading
            }
        }
        guard body.isFinished || isMalformed || held.rest.readableBytes > ContextError.longest else { return }
        if held.connection.head.status == 500 {
            readRouterModeError(body.isFinished ? content : [])
        } else {
            readContextError(body.isFinished ? content : [])
        }
    }

    private func readContextError(_ content: [UInt8]) {
        let isTooLong = ContextError.isTold(by: content)
        guard let held = attempt.held, exchange.errorWasRead(isHeld: isTooLong) else { return }
        guard isTooLong, let ticket = attempt.ticket else {
            attempt.held = nil
            return forward(held.connection, held.head, held.rest)
        }
        held.connection.setReading(false, .answerHeld)
        loop.router.send(.attemptFailed(ticket, .promptTooLong), from: loop)
    }

    private func readRouterModeError(_ content: [UInt8]) {
        guard exchange.errorWasRead(isHeld: true) else { return }
        if RouterModeError.isNotSent(content) {
            attempt.held?.mostSentAgain = Self.pauses.count
        } else if RouterModeError.isLost(content), record.attempts <= 1 {
            // Like any 500, of which the request may be the cause: one more try in all.
            attempt.held?.mostSentAgain = 1
        }
        reportHeldAnswer(status: 500)
    }

    // MARK: The same server once more

    /// Pauses before each further try. A process that ends is noticed by its router within tenths of a second; then the router starts
    /// another one.
    private static let pauses: [Interval] = [.milliseconds(250), .milliseconds(500), .milliseconds(1000)]

    /// No other server can take the request, and this one's router has lost the process: it is sent again after a pause. False when that has
    /// been done often enough.
    func willSendAgain() -> Bool {
        guard let held = attempt.held, attempt.timesSentAgain < held.mostSentAgain, exchange.willSendAgain() else {
            return false
        }
        deadline.set(.anotherTry, within: Self.pauses[attempt.timesSentAgain], from: loop.now)
        attempt.timesSentAgain += 1
        attempt.held = nil
        dropUpstream()
        loop.counters.retries += 1
        return true
    }

    /// The pause is over.
    func sendAgain() {
        if exchange.state == .connecting { lease(allowKept: false) }
    }
}
