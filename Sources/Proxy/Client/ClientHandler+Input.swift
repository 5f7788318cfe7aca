import NIOCore
import Wire

/// Reads requests from the connection: heads, and bodies to their end.
extension ClientHandler {
    func received(_ bytes: ByteBuffer) {
        switch connection.state {
        case .tunnelling: runner.tunnelReceived(bytes)
        case .lingering, .closed: break
        case .expectingHead, .yielding, .inRequest:
            if input.readableBytes == 0 { input = bytes } else { input.writeImmutableBuffer(bytes) }
            proceed()
        }
    }

    /// Handles the received bytes: continues with the current body, or reads the next head. One request is handled at a time.
    /// After its answer, another event continues with the bytes received behind it.
    func proceed() {
        guard connection.takesInput else { return }
        if bodyReader != nil { readBody() }
        if connection.mayReadHead, input.readableBytes > 0 { readHead() }
        guard connection.takesInput else { return }
        if connection.inputHasEnded { return endInput() }
        let waits = bodyReader == nil && !connection.mayReadHead
        setReading(!(waits && input.readableBytes > loop.settings.limits.header), .sentAhead)
        guard input.readableBytes == 0 else { return becameBusy() }
        // Releases the memory, so that the next read can reuse it.
        input = ByteBuffer()
        if connection.state == .expectingHead { becameIdle() } else { becameBusy() }
    }

    /// The client has closed its sending side, and everything that it had sent is handled, except what is answered here.
    private func endInput() {
        switch connection.state {
        case .expectingHead:
            // Otherwise it goes on when the client has taken its answers.
            if connection.mayReadHead { closeBehindAnswer(isLast: true) }
        case .inRequest where runner.exchange.state != .answering: closeNow()
        case .inRequest, .yielding, .tunnelling, .lingering, .closed: break
        }
    }

    /// Continues in a later turn of the loop. A task that is due at once would still run in this turn: SwiftNIO polls its
    /// sockets only when no task is left.
    func nextTurn() {
        loop.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { [self] in loop.handle(.client(self, .turnCame)) }
    }

    // MARK: Heads

    private func readHead() {
        if !isWritable {
            // The client's requests are answered no faster than it reads the answers.
            return setReading(false, .answersUnread)
        }
        // Empty lines before a request are ignored (RFC 9112 section 2.2).
        while headEnd.isAtStart, input.withSpan({ $0.startsWithEmptyLine }) { input.moveReaderIndex(forwardBy: 2) }
        guard input.readableBytes > 0 else { return }
        // The time limit starts at the first byte, whatever it is: a client that sends empty lines for ever also runs into
        // the limit.
        if deadline.awaited != .head { deadline.set(.head, within: loop.settings.timeouts.head, from: loop.now) }
        let limit = loop.settings.limits.header
        switch input.withSpan({ headEnd.scan($0, limit: limit) }) {
        case .needMore: break
        case .refused(let problem): refuseHead(.init(problem))
        case .complete(let length):
            headEnd = HeadEndScanner()
            guard let bytes = input.readSlice(length: length) else { return }
            begin(bytes)
        }
    }

    private func begin(_ bytes: ByteBuffer) {
        do { try runner.head.parseRequest(bytes.readableBytesSpan) } catch { return refuseHead(.init(error)) }
        deadline.clear()
        let reader = BodyReader(request: runner.head)
        connection.requestBegan(isLast: !runner.head.isPersistent)
        if loop.isDraining { connection.closeAfterAnswer() }
        readLine(bytes)
        if !reader.isFinished { bodyReader = reader }
        // HTTP/1.0 has no interim answers (RFC 9110 section 10.1.1).
        let asksFirst = runner.head.expectsContinue && runner.head.minorVersion == 1 && input.readableBytes == 0
        runner.begin(line, bytes, from: peer, hasBody: !reader.isFinished, received: input.readableBytes)
        guard bodyReader != nil else { return }
        if asksFirst {
            write("HTTP/1.1 100 Continue\r\n\r\n")
            flush()
        }
        if input.readableBytes > 0 { readBody() }
    }

    /// The head is invalid: the connection is closed after the answer.
    func refuseHead(_ reply: ErrorReply) {
        deadline.clear()
        connection.requestBegan(isLast: true)
        runner.refuseHead(reply, from: peer)
    }

    /// Parses the method and the target, unless they are the same as in the previous request.
    private func readLine(_ bytes: ByteBuffer) {
        let (method, target) = (runner.head.method, runner.head.target)
        guard let text = bytes.getSlice(at: bytes.readerIndex, length: target.upperBound), text != line.bytes else { return }
        func string(_ range: Range<Int>) -> String {
            text.getString(at: text.readerIndex + range.lowerBound, length: range.count) ?? ""
        }
        // A copy, so that the received buffer is not kept alive.
        line = RequestLine(
            bytes: ByteBuffer(bytes: text.readableBytesView), method: string(method), target: string(target))
    }

    // MARK: Bodies

    /// Consumes the bytes that belong to the body and leaves the rest.
    private func readBody() {
        guard var reader = bodyReader else { return }
        let bytes = input
        var consumed = 0
        var isMalformed = false
        reading: while true {
            let start = consumed
            switch reader.next(bytes.readableBytesSpan, &consumed) {
            case .content(let range):
                guard let piece = bytes.getSlice(at: bytes.readerIndex + range.lowerBound, length: range.count) else {
                    break reading
                }
                runner.bodyReceived(piece, isWhole: start == 0 && reader.isFinished)
            case .needMore, .finished: break reading
            case .malformed:
                isMalformed = true
                break reading
            }
        }
        // The exchange may have refused the rest in the meantime.
        guard bodyReader != nil, connection.takesInput else { return }
        input.moveReaderIndex(forwardBy: consumed)
        bodyReader = reader.isFinished ? nil : reader
        if isMalformed {
            let message = "the chunked request body is malformed"
            return runner.refuseReceiving(.init(status: 400, code: "invalid_request", message: message))
        }
        runner.bodyRead(framedBytes: consumed, isFinished: reader.isFinished)
    }
}

extension ErrorReply {
    /// The error reply for a request whose head cannot be read.
    fileprivate init(_ problem: HeadProblem) {
        let status =
            switch problem {
            case .headTooLarge, .tooManyFields: 431
            case .unsupportedVersion: 505
            case .methodNotAllowed: 405
            default: 400
            }
        let code = status == 431 ? "request_too_large" : "invalid_request"
        self.init(status: status, code: code, message: "Malformed request: \(problem.message).")
    }
}
