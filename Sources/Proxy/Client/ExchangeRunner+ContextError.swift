import NIOCore
import Routing
import Wire

/// Reads a short 400 before it is forwarded: if the prompt is longer than the server's context, another server may take it.
extension ExchangeRunner {
    /// Whether the head is of an answer that may say so.
    func mayTellContextError(_ head: borrowing HTTPHead) -> Bool {
        guard head.status == 400, record.traits?.counts == true, !head.present.contains(.contentEncoding) else { return false }
        return switch head.framing {
        case .length(let count): (1...ContextError.longest).contains(count)
        case .chunked: true
        case .unstated: false
        }
    }

    /// More of the held 400 may have arrived.
    func readContextError() {
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
        let isTooLong = body.isFinished && ContextError.isTold(by: content)
        guard exchange.errorWasRead(isContextError: isTooLong) else { return }
        guard isTooLong, let ticket = attempt.ticket else {
            attempt.held = nil
            return forward(held.connection, held.head, held.rest)
        }
        held.connection.setReading(false, .answerHeld)
        loop.router.send(.attemptFailed(ticket, .promptTooLong), from: loop)
    }
}
