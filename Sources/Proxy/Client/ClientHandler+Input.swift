import NIOCore
import Wire

/// Reading requests from the connection: heads, and bodies up to their end.
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

    /// Looks at what has been received: goes on with the body at hand, or takes the next head. One request at a time: when it is
    /// answered, another event goes on with what was sent behind it.
    func proceed() {
        guard connection.takesInput else { return }
        if bodyReader != nil { readBody() }
        if connection.mayReadHead, input.readableBytes > 0 { readHead() }
        guard connection.takesInput else { return }
        let waits = bodyReader == nil && !connection.mayReadHead
        setReading(!(waits && input.readableBytes > loop.settings.limits.header), .sentAhead)
        guard input.readableBytes == 0 else { return becameBusy() }
        // Lets go of the memory, so that the next read can use it again.
        input = ByteBuffer()
        if connection.state == .expectingHead { becameIdle() } else { becameBusy() }
    }

    /// Goes on after a turn of the loop. A task that is due at once would still run in this one: SwiftNIO looks at its sockets only
    /// when no task is left.
    func nextTurn() {
        loop.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { [self] in loop.handle(.client(self, .turnCame)) }
    }

    // MARK: Heads

    private func readHead() {
        if !isWritable {
            // Its answers come back no faster than the client reads them.
            return setReading(false, .answersUnread)
        }
        // Empty lines before a request are ignored (RFC 9112 section 2.2).
        while headEnd.isAtStart, input.withSpan({ $0.startsWithEmptyLine }) { input.moveReaderIndex(forwardBy: 2) }
        guard input.readableBytes > 0 else { return }
        // From its first byte on, whatever it consists of: one that comes as empty lines for ever is late, too.
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
        // HTTP/1.0 knows no interim answers (RFC 9110 section 10.1.1).
        let asksFirst = runner.head.expectsContinue && runner.head.minorVersion == 1 && input.readableBytes == 0
        runner.begin(line, bytes, from: peer, hasBody: !reader.isFinished, received: input.readableBytes)
        guard bodyReader != nil else { return }
        if asksFirst {
            write("HTTP/1.1 100 Continue\r\n\r\n")
            flush()
        }
        if input.readableBytes > 0 { readBody() }
    }

    /// A head that cannot be used: the connection ends with the answer.
    func refuseHead(_ reply: ErrorReply) {
        deadline.clear()
        connection.requestBegan(isLast: true)
        runner.refuseHead(reply, from: peer)
    }

    /// Finds out what method and target mean, unless they are those of the request before.
    private func readLine(_ bytes: ByteBuffer) {
        let (method, target) = (runner.head.method, runner.head.target)
        guard let text = bytes.getSlice(at: bytes.readerIndex, length: target.upperBound), text != line.bytes else { return }
        func string(_ range: Range<Int>) -> String {
            text.getString(at: text.readerIndex + range.lowerBound, length: range.count) ?? ""
        }
        // A copy: the received buffer is not kept alive for it.
        line = RequestLine(
            bytes: ByteBuffer(bytes: text.readableBytesView), method: string(method), target: string(target))
    }

    // MARK: Bodies

    /// Takes what belongs to the body and leaves the rest.
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
        // The exchange may have refused the rest by now.
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
    /// What a client is told whose head cannot be read.
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
