import NIOCore
import Routing
import Wire

/// Writing to the client: the server's answer as it came, and answers of our own.
extension ClientHandler {
    // MARK: The server's answer

    /// Sends the head and whatever of the body has come; from here on nothing can be taken back.
    func forwardAnswer(_ connection: UpstreamConnection, _ headBytes: ByteBuffer, _ rest: ByteBuffer) {
        let status = connection.head.status
        var relay = AnswerRelay(
            reader: BodyReader(answer: connection.head, toHead: request.isHead), clientFraming: .asReceived,
            streamKind: connection.streamKind, keepsUpstream: connection.head.isPersistent)
        if relay.isEventStream, !connection.pool.endpoint.keepsConnectionAfterStream { relay.keepsUpstream = false }
        if relay.reader.isUntilClose {
            // In chunks where the client knows them: then an end that comes too early can be told from the answer's own.
            relay.clientFraming = request.isHTTP10 ? .untilClose : .rechunked
        } else if relay.reader.isChunked, !relay.reader.isFinished {
            relay.clientFraming = request.isHTTP10 ? .untilClose : .chunked
        }
        if case .untilClose = relay.clientFraming { request.keepsAlive = false }
        if request.isCommittedToStream { relay.clientFraming = framingAfterKeepAlive(relay, status: status) }
        request.record.status = status
        request.record.firstByteMilliseconds = loop.now.milliseconds(since: request.arrivedAt)
        expectNextPiece()
        if !request.isCommittedToStream { writeAnswerHead(connection, headBytes, relay) }
        if let ticket = request.ticket, request.grant?.isTrial == true {
            loop.router.send(.answerBegan(ticket), from: loop)
        }
        request.answer = relay
        // Not `clear()`: on shared memory that allocates anew.
        request.headBytes = ByteBuffer()
        request.body = ByteBuffer()
        if relay.reader.isFinished {
            if rest.readableBytes > 0 { request.answer?.keepsUpstream = false }
            answerComplete()
        } else if rest.readableBytes > 0 {
            relayBody(rest)
        } else {
            flushToClient()
        }
    }

    private func writeAnswerHead(_ connection: UpstreamConnection, _ headBytes: ByteBuffer, _ relay: AnswerRelay) {
        writeAnswerHead(connection, headBytes, relay, into: &loop.headWriter)
        // Held until the first piece of the body is written: one system call for both.
        loop.headWriter.withSpan { writeToClient($0) }
    }

    private func writeAnswerHead(
        _ connection: UpstreamConnection, _ headBytes: ByteBuffer, _ relay: AnswerRelay, into writer: inout ByteWriter
    ) {
        let source = headBytes.readableBytesSpan
        writer.reset()
        writer.write("HTTP/1.1")
        writer.write(source, 8..<connection.head.fieldsStart)
        writer.copyFields(of: connection.head, from: source, except: relay.isEventStream ? Self.setForStreams : Self.setHere)
        switch relay.clientFraming {
        case .chunked, .rechunked: writer.write("Transfer-Encoding: chunked\r\n")
        case .asReceived, .untilClose, .gathered: break
        }
        writer.writeField("X-Request-Id", request.record.requestID)
        writer.write(connection.pool.lines.server)
        if let model = request.record.instance { writer.writeField("X-Balancer-Model", HeaderText.safe(model)) }
        if request.record.attempts > 1 { writer.writeField("X-Balancer-Attempts", String(request.record.attempts)) }
        if request.record.queuedMilliseconds > 0 {
            writer.writeField("X-Balancer-Queued-Ms", String(Int(request.record.queuedMilliseconds.rounded(.up))))
        }
        if relay.isEventStream { writer.write("X-Accel-Buffering: no\r\n") }
        writeConnectionField(&writer)
        writer.endHead()
    }

    /// Fields of answers that are ours to set.
    static let setHere = FieldSet(.requestID, .balancerServer, .balancerModel, .balancerQueued, .balancerAttempts)
    private static let setForStreams = setHere.union(FieldSet(.accelBuffering))

    private func writeConnectionField(_ writer: inout ByteWriter) {
        if !request.keepsAlive || loop.isDraining {
            request.keepsAlive = false
            writer.write("Connection: close\r\n")
        } else if request.isHTTP10 {
            writer.write("Connection: keep-alive\r\n")
        }
    }

    func upstreamBody(_ buffer: ByteBuffer) {
        switch exchange.state {
        case .holdingHead:
            guard let head = request.heldHead, let upstream = request.upstream, exchange.released() else { return }
            request.heldHead = nil
            request.lastUpstreamByteAt = loop.now
            forwardAnswer(upstream, head, buffer)
        case .holdingAnswer:
            var rest = request.heldRest ?? ByteBuffer()
            rest.writeImmutableBuffer(buffer)
            request.heldRest = rest
        case .relaying: relayBody(buffer)
        case .tunnelling: receiveThroughTunnel(buffer)
        case .idle, .collecting, .waiting, .connecting, .awaitingAnswer, .answering: break
        }
    }

    /// Passes a piece of the body on, in the framing it came with wherever that is possible.
    private func relayBody(_ buffer: ByteBuffer) {
        guard var relay = request.answer else { return }
        // Taken out while it changes: two references would copy.
        request.answer = nil
        relay.pace.pieceCame(at: loop.now, after: request.lastUpstreamByteAt)
        request.lastUpstreamByteAt = loop.now
        if loop.settings.betweenBytesTimeout != nil { expectNextPiece() }
        let span = buffer.readableBytesSpan
        let readerBefore = relay.reader
        let keepsTail = request.kind.isModel
        var consumed = 0
        reading: while true {
            switch relay.reader.next(span, &consumed) {
            case .content(let range):
                relay.noteContent(span, range)
                if keepsTail { tail.append(span, range) }
            case .needMore, .finished: break reading
            case .malformed: return malformedBody(relay)
            }
        }
        let isFinished = relay.reader.isFinished
        switch relay.clientFraming {
        case .asReceived: writeSlice(buffer, 0..<consumed)
        case .chunked where readerBefore.isBetweenChunks && (isFinished || relay.reader.isBetweenChunks):
            writeSlice(buffer, 0..<consumed)
        case .chunked, .rechunked: writeRechunked(buffer, readerBefore)
        case .untilClose:
            var reader = readerBefore
            _ = reader.read(span, from: 0) { writeSlice(buffer, $0) }
        case .gathered:
            var reader = readerBefore
            _ = reader.read(span, from: 0) { gather(span.extracting($0), into: &relay) }
        }
        if isFinished, consumed < buffer.readableBytes { relay.keepsUpstream = false }
        request.answer = relay
        if isFinished { answerComplete() }
    }

    func upstreamReadComplete() { flushToClient() }

    /// A read that begins or ends inside a chunk: its content becomes a chunk of its own, so that what the client has
    /// received always ends between two chunks and an error can be told there.
    private func writeRechunked(_ buffer: ByteBuffer, _ readerBefore: BodyReader) {
        let span = buffer.readableBytesSpan
        var (counting, writing) = (readerBefore, readerBefore)
        var length = 0
        _ = counting.read(span, from: 0) { length += $0.count }
        if length > 0 {
            writeToClient(String(length, radix: 16) + "\r\n")
            _ = writing.read(span, from: 0) { writeSlice(buffer, $0) }
            writeToClient("\r\n")
        }
        if counting.isFinished { writeToClient("0\r\n\r\n") }
    }

    func writeChunk(_ content: [UInt8]) {
        writeToClient(String(content.count, radix: 16) + "\r\n")
        writeToClient(content)
        writeToClient("\r\n")
    }

    /// The whole answer has been passed on.
    func answerComplete() {
        if let relay = request.answer, case .gathered = relay.clientFraming { return finishGathered(relay) }
        flushToClient()
        if request.bodyReader != nil {
            // The server did not want the rest of the body: neither connection is where a next request could begin.
            request.answer?.keepsUpstream = false
            request.keepsAlive = false
        }
        if let upstream = request.upstream {
            request.upstream = nil
            if request.answer?.keepsUpstream == true { upstream.giveBack() } else { upstream.close() }
        }
        endRequest(.complete)
        nextRequest()
    }

    private func malformedBody(_ relay: AnswerRelay) {
        request.answer = relay
        request.upstream?.close()
        request.upstream = nil
        if exchange.upstreamLost() == .endVisibly { breakAnswer("its chunked body is malformed") }
    }

    /// The server broke after bytes had gone out: the client is told inside the answer if that is possible, and the
    /// connection is closed without a proper end. `isFault`: the server is to blame.
    func breakAnswer(_ detail: String, isFault: Bool = true) {
        if let relay = request.answer, relay.isEventStream || relay.isLineStream {
            let server = request.record.server ?? "the server"
            let reply = ErrorReply(
                status: 502, code: "upstream_failed", message: "The answer is incomplete: \(server) \(detail).")
            var event: [UInt8] = []
            let isAtBoundary = relay.isEventStream ? relay.lastBytes == (0x0A, 0x0A) : relay.lastBytes.1 == 0x0A
            if relay.contentCount > 0, !isAtBoundary { event += relay.isEventStream ? [0x0A, 0x0A] : [0x0A] }
            event += reply.streamEvent(relay.isLineStream ? .ollama : request.dialect)
            switch relay.clientFraming {
            case .asReceived, .gathered: break
            case .untilClose: writeToClient(event)
            case .chunked, .rechunked: writeChunk(event)
            }
        }
        flushToClient()
        loop.counters.answersBroken += 1
        endRequest(.upstreamBroke, fault: isFault ? "broke in the middle of an answer: \(detail)" : nil)
        request.keepsAlive = false
        if let relay = request.answer, case .untilClose = relay.clientFraming, !relay.hasEvents {
            // Any ordinary end would be the answer's proper one.
            resetConnection()
        } else {
            lingerAndClose()
        }
        exchange.finished()
    }

    // MARK: Answers of our own

    func answerLocally() {
        exchange.localAnswerBegan()
        let local = LocalRequest(
            method: request.method, target: request.target, body: Array(request.body.readableBytesView))
        switch loop.localEndpoints.answer(local) {
        case .now(let response): finishLocally(response)
        case .later(let future):
            let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
            future.hop(to: loop.eventLoop).whenComplete { result in
                let handler = bound.value
                guard handler.exchange.state == .answering, handler.context != nil else { return }
                switch result {
                case .success(let response): handler.finishLocally(response)
                case .failure(let error):
                    handler.refuse(.init(status: 502, code: "upstream_failed", message: String(describing: error)))
                }
            }
        case .events(let begin):
            guard let context else { return }
            request.keepsAlive = false
            request.isEventFeed = true
            writeToClient(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                    + "X-Accel-Buffering: no\r\nConnection: close\r\n\r\n")
            flushToClient()
            begin(EventSink(channel: context.channel))
        }
    }

    /// `isRefusal`: in place of a server's answer, so that it belongs into the books.
    private func finishLocally(_ response: LocalResponse, isRefusal: Bool = false) {
        var writer = ByteWriter()
        writer.write("HTTP/1.1 ")
        writer.write(response.status)
        writer.write(" ")
        writer.write(HTTPStatus.reason(response.status))
        writer.write("\r\n")
        if let contentType = response.contentType { writer.writeField("Content-Type", contentType) }
        for header in response.headers {
            writer.write(header.name)
            writer.write(": ")
            writer.write(header.value)
            writer.write("\r\n")
        }
        if response.status != 204 {
            writer.write("Content-Length: ")
            writer.write(response.body.count)
            writer.write("\r\n")
        }
        writeConnectionField(&writer)
        writer.endHead()
        writer.withSpan { writeToClient($0) }
        if !request.isHead, response.status != 204 { writeToClient(response.body) }
        flushToClient()
        if isRefusal { finishRecord() }
        nextRequest()
    }

    /// Answers with an error in the client's API.
    func refuse(_ reply: ErrorReply) {
        exchange.localAnswerBegan()
        request.record.requestID = requestID()
        if request.record.address.isEmpty { request.record.address = peer }
        var headers: [(name: String, value: String)] = [("X-Request-Id", request.record.requestID)]
        if reply.status == 426 { headers.append(("Upgrade", "HTTP/1.1")) }
        if request.bodyReader != nil { request.keepsAlive = false }
        if let seconds = reply.retryAfterSeconds { headers.append(("Retry-After", String(seconds))) }
        request.record.status = reply.status
        request.record.ending = .refused
        if request.isCommittedToStream { return endStream(with: reply, isRefusal: true) }
        finishLocally(
            LocalResponse(status: reply.status, headers: headers, body: reply.json(request.dialect).bytes),
            isRefusal: request.kind != .own)
    }

    // MARK: Accounting

    /// The request leaves the router and the books, exactly once. `fault`: what its server did wrong.
    func endRequest(_ ending: RequestRecord.Ending, fault: String? = nil) {
        guard let ticket = request.ticket else { return }
        request.ticket = nil
        loop.forget(ticket)
        request.record.ending = request.isDetached ? .clientGone : ending
        if request.isDetached { loop.counters.detachedStreams -= 1 }
        if let found = tail.timings() {
            request.record.timings = Timings(
                promptTokens: found.promptTokens, promptMilliseconds: found.promptMilliseconds,
                predictedTokens: found.predictedTokens, predictedMilliseconds: found.predictedMilliseconds)
            request.record.cachedTokens = found.cachedTokens
        }
        switch ending {
        case .clientGone:
            if request.record.status == 0 { request.record.status = 499 }
            loop.counters.clientsGone += 1
            loop.router.send(.requestCancelled(ticket), from: loop)
        case .complete, .upstreamBroke, .refused:
            let verdict: Outcome.Ending = ending == .complete ? .complete : fault.map { .broken($0) } ?? .abandoned
            loop.router.send(.finished(ticket, Outcome(verdict, timings: request.record.timings)), from: loop)
        }
        if ending != .refused { finishRecord() }
    }

    func finishRecord() {
        request.record.totalMilliseconds = loop.now.milliseconds(since: request.arrivedAt)
        loop.counters.requestsByStatusClass[min(5, max(0, request.record.status / 100))] += 1
        loop.counters.bytesReceived += request.record.bytesReceived
        loop.counters.bytesSent += request.record.bytesSent
        loop.log(request.record)
    }

    // MARK: Bytes out

    func writeToClient(_ text: String) {
        if !request.isDetached { held.writeString(text) }
    }

    func writeToClient(_ span: RawSpan) {
        if !request.isDetached { held.writeBytes(span) }
    }

    func writeToClient(_ bytes: [UInt8]) {
        if !request.isDetached { held.writeBytes(bytes) }
    }

    /// Small pieces are joined with what is held; larger ones are written as they are, without a copy.
    func writeSlice(_ buffer: ByteBuffer, _ range: Range<Int>) {
        if request.isDetached { return }
        if range.count <= Self.joinedBytes - held.readableBytes {
            held.writeBytes(buffer.readableBytesSpan.extracting(range))
            return
        }
        writeHeld()
        guard let context, let slice = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count) else {
            return
        }
        request.record.bytesSent += range.count
        context.write(wrapOutboundOut(slice), promise: nil)
    }

    private func writeHeld(flushing: Bool = false) {
        guard let context, held.readableBytes > 0 else {
            if flushing { context?.flush() }
            return
        }
        request.record.bytesSent += held.readableBytes
        if flushing {
            context.writeAndFlush(wrapOutboundOut(held), promise: nil)
        } else {
            context.write(wrapOutboundOut(held), promise: nil)
        }
        held.moveReaderIndex(to: held.writerIndex)
    }

    func flushToClient() {
        writeHeld(flushing: true)
        // Once everything is out, nobody else refers to the memory and it is used again.
        held.clear(minimumCapacity: 0)
    }
}

/// Text that goes into a header line of ours.
enum HeaderText {
    /// Without control characters.
    static func safe(_ text: String) -> String {
        text.utf8.contains { $0 < 0x20 || $0 == 0x7F }
            ? String(decoding: text.utf8.filter { $0 >= 0x20 && $0 != 0x7F }, as: UTF8.self) : text
    }
}
