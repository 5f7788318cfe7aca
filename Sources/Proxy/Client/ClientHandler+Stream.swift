import NIOCore
import Wire

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Writes answers as HTTP/1. No other code on the client's side frames bytes.
extension ClientHandler: ClientStream {
    static let joinedBytes = 16 << 10

    private var isHTTP10: Bool { runner.head.minorVersion == 0 }
    var takesOpenAnswers: Bool { !isHTTP10 }
    var closed: EventLoopFuture<Void> { context?.channel.closeFuture ?? loop.clients.gone.closed }

    // MARK: Heads

    /// Interim answers (such as early hints) are forwarded to clients that support them.
    func sendInterim(_ head: borrowing HTTPHead, _ bytes: ByteBuffer) {
        guard !isHTTP10, framing == .none else { return }
        let source = bytes.readableBytesSpan
        var writer = ByteWriter()
        writer.write("HTTP/1.1")
        writer.write(source, 8..<head.fieldsStart)
        writer.copyFields(of: head, from: source, except: AnswerFields.replaced.union(FieldSet(.contentLength)))
        writer.endHead()
        writer.withSpan { write($0) }
        flush()
    }

    func sendHead(_ head: borrowing HTTPHead, _ bytes: ByteBuffer, body: BodyReader, _ fields: AnswerFields) {
        framing = AnswerFraming(body, isHTTP10: isHTTP10)
        // The answer may come before the request is complete. If the rest of the request is not read, the next request cannot
        // be found behind it.
        if framing.endsConnection || bodyReader != nil { connection.closeAfterAnswer() }
        writeHead(head, bytes, fields, into: &loop.buffers.head)
        // Held back until the first piece of the body is written, so that both need only one system call.
        loop.buffers.head.withSpan { write($0) }
    }

    private func writeHead(
        _ head: borrowing HTTPHead, _ bytes: ByteBuffer, _ fields: AnswerFields, into writer: inout ByteWriter
    ) {
        let source = bytes.readableBytesSpan
        writer.reset()
        writer.write("HTTP/1.1")
        writer.write(source, 8..<head.fieldsStart)
        writer.copyFields(
            of: head, from: source, except: fields.replaced)
        if framing == .chunked { writer.write("Transfer-Encoding: chunked\r\n") }
        fields.write(into: &writer)
        writeConnectionField(into: &writer)
        writer.endHead()
    }

    func sendHead(_ head: OwnHead) {
        var writer = ByteWriter()
        writer.write("HTTP/1.1 ")
        writer.write(head.status)
        writer.write(" ")
        writer.write(HTTPStatus.reason(head.status))
        writer.write("\r\n")
        if let contentType = head.contentType { writer.writeField("Content-Type", contentType) }
        for field in head.fields {
            writer.write(field.name)
            writer.write(": ")
            writer.write(field.value)
            writer.write("\r\n")
        }
        switch head.body {
        case .none: framing = .noBody
        case .length(let length):
            framing = .length
            writer.write("Content-Length: ")
            writer.write(length)
            writer.write("\r\n")
        case .open:
            framing = isHTTP10 ? .untilClose : .chunked
            if framing == .chunked { writer.write("Transfer-Encoding: chunked\r\n") } else { connection.closeAfterAnswer() }
        }
        writeConnectionField(into: &writer)
        writer.endHead()
        writer.withSpan { write($0) }
    }

    private func writeConnectionField(into writer: inout ByteWriter) {
        if loop.isDraining { connection.closeAfterAnswer() }
        if connection.closesAfterAnswer {
            writer.write("Connection: close\r\n")
        } else if isHTTP10 {
            writer.write("Connection: keep-alive\r\n")
        }
    }

    // MARK: Bodies

    /// Keeps the upstream framing whenever possible.
    func send(_ piece: AnswerPiece) {
        switch framing {
        case .none, .noBody, .ended: break
        case .length: write(piece.bytes, 0..<piece.consumed)
        case .untilClose: piece.content.forEach { write(piece.bytes, $0) }
        case .chunked where piece.isWholeChunks:
            write(piece.bytes, 0..<piece.consumed)
            if piece.isLast { framing = .ended }
        case .chunked:
            // The content becomes a separate chunk. The output therefore always ends between two chunks, and an error can be
            // added there.
            if piece.content.byteCount > 0 {
                write(String(piece.content.byteCount, radix: 16) + "\r\n")
                piece.content.forEach { write(piece.bytes, $0) }
                write("\r\n")
            }
        }
    }

    func send(_ content: [UInt8]) {
        switch framing {
        case .none, .noBody, .ended: break
        case .length, .untilClose: write(content)
        case .chunked:
            guard !content.isEmpty else { break }
            write(String(content.count, radix: 16) + "\r\n")
            write(content)
            write("\r\n")
        }
    }

    func end() {
        if framing == .chunked { write("0\r\n\r\n") }
        flush()
        framing = .none
        let isLast = !runner.head.isPersistent
        if loop.isDraining { connection.closeAfterAnswer() }
        // The balancer's own pages cost time on the loop. A client that pipelines many such requests must not delay other
        // clients.
        switch connection.answerEnded(yields: line.kind == .own && input.readableBytes > 0) {
        case .nextRequest:
            expectRequest()
            if input.readableBytes > 0 || connection.inputHasEnded {
                loop.handle(.client(self, .proceed))
            } else {
                becameIdle()
            }
        case .nextRequestLater:
            expectRequest()
            nextTurn()
        case .close: closeBehindAnswer(isLast: isLast)
        case .nothing: break
        }
    }

    private func expectRequest() { deadline.set(.request, within: loop.settings.timeouts.idle, from: loop.now) }

    func breakOff(_ event: [UInt8]?) {
        if let event, framing == .chunked || framing == .untilClose { send(event) }
        flush()
        if framing == .untilClose, event == nil {
            // Any ordinary end would look like the proper end of the answer.
            reset()
        } else {
            closeGracefully()
        }
        framing = .none
    }

    /// Closes the connection with a TCP reset (RST).
    private func reset() {
        let channel = context?.channel
        (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenFailure { _ in }
        // Not through the TLS handler: it would say that this is a proper end.
        if let tls { tls.close(promise: nil) } else { channel?.close(promise: nil) }
    }

    // MARK: Reading

    func stopReceiving() {
        bodyReader = nil
        connection.closeAfterAnswer()
    }

    func setReading(_ isOn: Bool, _ reason: ReadingGate.Reasons) {
        switch isOn ? connection.gate.open(reason) : connection.gate.close(reason) {
        case .none: break
        case .pause: context?.setAutoRead(false)
        case .resume: context?.setAutoRead(true)
        }
    }

    // MARK: Tunnels

    func beginTunnel(_ head: borrowing HTTPHead, _ bytes: ByteBuffer, _ fields: AnswerFields) {
        connection.tunnelBegan()
        var writer = ByteWriter()
        writer.write("HTTP/1.1 101 Switching Protocols\r\n")
        writer.copyFields(of: head, from: bytes.readableBytesSpan, except: AnswerFields.replaced)
        writer.write("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        fields.write(into: &writer)
        writer.endHead()
        writer.withSpan { write($0) }
        flush()
        setReading(true, .sentAhead)
        let sentAhead = input
        input = ByteBuffer()
        if sentAhead.readableBytes > 0 { loop.handle(.client(self, .received(sentAhead))) }
    }

    func sendThroughTunnel(_ bytes: ByteBuffer) { write(bytes, 0..<bytes.readableBytes) }

    // MARK: Bytes

    func write(_ text: String) { held.writeString(text) }

    private func write(_ span: RawSpan) { held.writeBytes(span) }

    private func write(_ bytes: [UInt8]) { held.writeBytes(bytes) }

    /// Small pieces are joined with the held bytes; larger pieces are written without a copy.
    private func write(_ buffer: ByteBuffer, _ range: Range<Int>) {
        if range.count <= Self.joinedBytes - held.readableBytes {
            held.writeBytes(buffer.readableBytesSpan.extracting(range))
            return
        }
        writeHeld(flushing: false)
        guard let context, let slice = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count) else {
            return
        }
        runner.record.bytesSent += range.count
        context.write(wrapOutboundOut(slice), promise: nil)
    }

    /// The bytes are moved out first, because other events may occur while they are written.
    private func writeHeld(flushing: Bool) {
        guard let context else { return held.clear(minimumCapacity: 0) }
        guard held.readableBytes > 0 else {
            if flushing { context.flush() }
            return
        }
        runner.record.bytesSent += held.readableBytes
        var bytes = ByteBuffer()
        swap(&bytes, &held)
        if flushing {
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            // When everything has been written, no other reference to the memory exists, so the memory is reused.
            bytes.clear(minimumCapacity: 0)
            held = bytes
        } else {
            context.write(wrapOutboundOut(bytes), promise: nil)
        }
    }

    func flush() { writeHeld(flushing: true) }
}
