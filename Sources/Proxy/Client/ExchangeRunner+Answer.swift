import NIOCore
import Routing
import Wire

/// Forwards a server's answer to the client.
extension ExchangeRunner {
    /// Bytes have arrived on an upstream connection. `isStale`: they were sent before the server could have received the
    /// request.
    func upstreamRead(_ connection: UpstreamConnection, _ received: ByteBuffer, isStale: Bool) {
        // The connection has been given back in the meantime, so these bytes belong to no request.
        guard attempt.upstream === connection else { return connection.closeUnasked() }
        if isStale {
            dropUpstream()
            return carryOut(exchange.upstreamLost(), .beforeAnswer("sent something before the request"))
        }
        var bytes = received
        while attempt.upstream === connection {
            switch connection.read(&bytes) {
            case .needMore: return
            // `100 Continue` only concerns this hop.
            case .interim(let head):
                if connection.head.status != 100 { stream.sendInterim(connection.head, head) }
            case .head(let head): return answerHead(connection, head, rest: bytes)
            case .body(let piece): return answerBody(piece)
            case .malformed(let problem):
                dropUpstream()
                return carryOut(exchange.upstreamLost(), .beforeAnswer(problem))
            }
        }
    }

    private func answerHead(_ connection: UpstreamConnection, _ headBytes: ByteBuffer, rest: ByteBuffer) {
        pulse.lastUpstreamByteAt = loop.now
        let status = connection.head.status
        if status == 101 {
            guard request.wantsUpgrade else {
                // The server was not asked for another protocol: `Upgrade` was not forwarded.
                dropUpstream()
                return carryOut(exchange.upstreamLost(), .beforeAnswer("switched protocols unasked"))
            }
            return beginTunnel(connection, headBytes, rest)
        }
        // A stream without a body (answer to HEAD, or length 0) is complete after its head.
        let isStream = connection.streamKind != .none && !BodyReader(answer: connection.head, toHead: isHead).isFinished
        let isSearch = record.traits?.isSearch == true
        let loss = isStream ? loss(in: rest, of: connection) : nil
        switch exchange.answerHead(
            status: status, isStream: isStream, hasBodyBytes: rest.readableBytes > 0 && loss == nil, isSearch: isSearch,
            isReadFirst: mayTellContextError(connection.head) || mayBeRouterModeError(connection.head))
        {
        case .forward: forward(connection, headBytes, rest)
        case .holdHead:
            attempt.held = HeldAnswer(connection: connection, head: headBytes)
            if let loss { serverLostAnswer(loss) }
        case .holdAndReport:
            attempt.held = HeldAnswer(connection: connection, head: headBytes, rest: rest)
            reportHeldAnswer(status: status)
        case .readError:
            attempt.held = HeldAnswer(connection: connection, head: headBytes, rest: rest)
            readError()
        case .ignore: dropUpstream()
        }
    }

    /// Asks the router whether to try another server, or to forward the held answer.
    func reportHeldAnswer(status: Int) {
        guard let held = attempt.held else { return }
        held.connection.setReading(false, .answerHeld)
        guard let ticket = attempt.ticket else { return }
        let failure = AttemptFailure.answered(status: status, retryAfter: retryAfter(held.connection.head, held.head))
        loop.router.send(.attemptFailed(ticket, failure), from: loop)
    }

    /// `Retry-After` in seconds; nil when it is missing, or is a date.
    private func retryAfter(_ head: borrowing HTTPHead, _ bytes: ByteBuffer) -> Int? {
        guard let value = head.first(.retryAfter)?.value else { return nil }
        return bytes.getString(at: bytes.readerIndex + value.lowerBound, length: value.count).flatMap { Int($0) }
    }

    private var isHead: Bool { request.line.method == "HEAD" }

    private func answerBody(_ bytes: ByteBuffer) {
        switch exchange.state {
        case .holdingHead:
            guard let held = attempt.held else { return }
            if let loss = loss(in: bytes, of: held.connection) { return serverLostAnswer(loss) }
            guard exchange.firstByteCame() else { return }
            attempt.held = nil
            pulse.lastUpstreamByteAt = loop.now
            forward(held.connection, held.head, bytes)
        case .holdingFailure: attempt.held?.rest.writeImmutableBuffer(bytes)
        case .readingError:
            attempt.held?.rest.writeImmutableBuffer(bytes)
            readError()
        case .relaying: relay(bytes)
        case .tunnelling: stream.sendThroughTunnel(bytes)
        case .idle, .receiving, .waiting, .connecting, .awaitingAnswer, .answering, .feedingEvents: break
        }
    }

    /// Sends the head and the part of the body that has arrived. From here on the request cannot be retried.
    func forward(_ connection: UpstreamConnection, _ headBytes: ByteBuffer, _ rest: ByteBuffer) {
        let status = connection.head.status
        let body = BodyReader(answer: connection.head, toHead: isHead)
        let isEventStream = connection.streamKind == .events
        let closesAfterStream = isEventStream && !connection.pool.endpoint.keepsConnectionAfterStream
        let isCommitted = exchange.audience == .committedClient
        var current = AnswerInHand(
            body: body, streamKind: connection.streamKind,
            use: isCommitted && !fitsIntoStream(connection) ? .gather([]) : .forward,
            keepsUpstream: connection.head.isPersistent && !closesAfterStream)
        record.status = status
        record.firstByteMilliseconds = loop.now.milliseconds(since: pulse.arrivedAt)
        pulse.answerBeganAt = loop.now
        expectNextBytes()
        if !isCommitted { stream.sendHead(connection.head, headBytes, body: body, answerFields(connection)) }
        if let ticket = attempt.ticket, tellsBeginning(connection), RetryableStatus(status, isSearch: false) == nil {
            loop.router.send(.answerBegan(ticket), from: loop)
        }
        if body.isFinished, rest.readableBytes > 0 { current.keepsUpstream = false }
        answer = current
        // Not `clear()`, which allocates when the memory is shared.
        request.headBytes = ByteBuffer()
        request.body = ByteBuffer()
        if body.isFinished {
            answerComplete()
        } else if rest.readableBytes > 0 {
            relay(rest)
        } else {
            stream.flush()
        }
    }

    /// Whether the router wants to know that the answer has begun: of a trial, and of a stream, because it shows how fast the server is.
    private func tellsBeginning(_ connection: UpstreamConnection) -> Bool {
        guard let traits = record.traits, record.grant?.isTrial != true else { return true }
        return traits.isStream && traits.counts && connection.streamKind != .none
    }

    /// Whether the answer can be sent into an event stream that has begun.
    private func fitsIntoStream(_ connection: UpstreamConnection) -> Bool {
        connection.head.status == 200 && connection.streamKind == .events && !connection.head.present.contains(.contentEncoding)
    }

    func answerFields(_ connection: UpstreamConnection) -> AnswerFields {
        AnswerFields(
            requestID: record.requestID, serverLine: connection.pool.lines.server, instance: record.instance,
            attempts: record.attempts, queuedMilliseconds: record.queuedMilliseconds, cache: record.grant?.cache,
            standing: record.grant?.standing, isEventStream: connection.streamKind == .events,
            crossOrigin: loop.settings.allowedOrigins == .any ? nil : crossOriginFields)
    }

    /// Forwards a piece of the body.
    private func relay(_ bytes: ByteBuffer) {
        answer?.pace.pieceCame(at: loop.now, after: pulse.lastUpstreamByteAt)
        pulse.lastUpstreamByteAt = loop.now
        if loop.settings.timeouts.betweenBytes != nil { expectNextBytes() }
        guard let piece = answer?.read(bytes) else {
            dropUpstream()
            return carryOut(exchange.upstreamLost(), .beforeAnswer("its chunked body is malformed"))
        }
        if record.traits?.counts == true || request.line.creates {
            let span = bytes.readableBytesSpan
            let isStream = answer?.streamKind ?? .none != .none
            piece.content.forEach { excerpt.append(span, $0, isStream: isStream) }
        }
        if case .forward = answer?.use { stream.send(piece) }
        if let loss = piece.loss { return serverLostAnswer(loss) }
        if piece.isLast { answerComplete() }
    }

    /// The server is a router that cannot read the rest of the answer, and says so instead of it.
    private func serverLostAnswer(_ text: String) {
        dropUpstream()
        carryOut(exchange.upstreamLost(), .beforeAnswer(text))
    }

    /// What a router says instead of the first event of a stream whose head it has sent.
    private func loss(in bytes: ByteBuffer, of connection: UpstreamConnection) -> String? {
        guard connection.streamKind == .events else { return nil }
        var (body, position) = (BodyReader(answer: connection.head, toHead: false), 0)
        guard case .content(let range) = body.next(bytes.readableBytesSpan, &position) else { return nil }
        return RouterModeError.text(in: bytes.readableBytesSpan, range)
    }

    /// The complete answer has been forwarded.
    func answerComplete() {
        if exchange.bodyStopped() {
            // The server did not read the rest of the body, so neither connection can be reused.
            answer?.keepsUpstream = false
            stream.stopReceiving()
        }
        if case .gather(let content) = answer?.use { return tellGathered(content) }
        stream.end()
        if let upstream = attempt.upstream {
            attempt.upstream = nil
            if answer?.keepsUpstream == true { upstream.giveBack() } else { upstream.close() }
        }
        endRequest(.complete)
        finishExchange()
    }

    /// An answer that is not a stream is complete, but the client was promised a stream. It is told as events, or reported as an
    /// error.
    private func tellGathered(_ content: [UInt8]) {
        if record.status == 200, let json = try? JSON(parsing: content), let events = AnswerAsStream.events(json) {
            dropUpstream()
            stream.send(events)
            stream.end()
            endRequest(.complete)
            return finishExchange()
        }
        var message = "\(record.server ?? "The server") answered \(record.status)."
        if let json = try? JSON(parsing: content) {
            let error = json["error"]
            message += " " + (error?["message"]?.stringValue ?? error?.stringValue ?? json.text)
        }
        dropUpstream()
        stream.breakOff(
            ErrorReply(status: record.status, code: "upstream_failed", message: message).streamEvent(request.line.dialect))
        endRequest(.complete)
        finishExchange()
    }

    /// The server failed after bytes had been sent. The client is told inside the answer if possible, and the connection is
    /// closed without a proper end. `isFault`: the failure counts against the server.
    func breakAnswer(_ detail: String, isFault: Bool = true) {
        stream.breakOff(eventAboutBreak(detail))
        loop.counters.answersBroken += 1
        endRequest(.upstreamBroke, fault: isFault ? "broke in the middle of an answer: \(detail)" : nil)
        finishExchange()
    }

    private func eventAboutBreak(_ detail: String) -> [UInt8]? {
        let isCommitted = exchange.audience == .committedClient
        guard let answer, answer.streamKind != .none || isCommitted else { return nil }
        let reply = ErrorReply(
            status: 502, code: "upstream_failed",
            message: "The answer is incomplete: \(record.server ?? "the server") \(detail).")
        let separator: [UInt8] =
            switch answer.streamKind {
            case .none: []
            case .events: answer.contentCount > 0 && !answer.isBetweenEvents ? [0x0A, 0x0A] : []
            case .lines: answer.contentCount > 0 && !answer.isBetweenEvents ? [0x0A] : []
            }
        let dialect = answer.streamKind == .lines && !isCommitted ? .ollama : request.line.dialect
        return separator + reply.streamEvent(dialect)
    }
}
