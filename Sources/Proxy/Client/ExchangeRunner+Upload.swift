import NIOCore
import Routing
import Wire

/// Bodies longer than `limits.retry-body` are not kept but streamed to the server, as soon as the server is known. Memory
/// stays bounded for any body length, and the client is not read faster than the server reads. Data that was streamed cannot
/// be sent again, so such a request is not retried once its server has begun to receive it.
extension ExchangeRunner {
    /// Sends the kept part of the body; the rest follows as it arrives.
    func beginUpload(on connection: UpstreamConnection) {
        let body = outgoingBody(for: connection.pool)
        request.body = ByteBuffer()
        var framing = OutgoingFraming.chunked
        if case .length(let length) = head.framing {
            framing = .length(length + body.count - request.bodyCount)
        }
        writeRequestHead(for: connection.pool, framing: framing)
        connection.write(ByteBuffer(bytes: loop.buffers.head.bytes))
        body.forEachPiece { upload($0) }
        writeChunk()
        connection.flush()
        connection.requestSent()
        upstreamWritabilityChanged(connection.isWritable)
    }

    func upload(_ piece: ByteBuffer) {
        guard case .chunked = head.framing else {
            attempt.upstream?.write(piece)
            return
        }
        request.chunk.writeImmutableBuffer(piece)
    }

    /// All data of one read becomes one chunk, because the client's own chunks may have a single byte each.
    private func writeChunk() {
        let size = request.chunk.readableBytes
        guard size > 0 else { return }
        var bytes = ByteBuffer(string: String(size, radix: 16) + "\r\n")
        bytes.writeBuffer(&request.chunk)
        bytes.writeString("\r\n")
        request.chunk.clear()
        attempt.upstream?.write(bytes)
    }

    /// A read from the client has been handled.
    func uploadRead(isFinished: Bool) {
        if exchange.body == .streaming { writeChunk() }
        if isFinished { return uploadComplete() }
        guard exchange.body == .streaming, let upstream = attempt.upstream else { return deadline.clear() }
        upstream.flush()
        if exchange.state != .relaying { expectUpload(isServerReady: upstream.isWritable) }
    }

    /// The server's socket is full, or has room again: reading from the client is paused or resumed.
    func upstreamWritabilityChanged(_ isWritable: Bool) {
        guard exchange.body == .streaming || exchange.state == .tunnelling else { return }
        stream.setReading(isWritable, .serverSlow)
        if exchange.body == .streaming, exchange.state != .relaying { expectUpload(isServerReady: isWritable) }
    }

    /// While reading from the client is paused, its time limit does not run.
    private func expectUpload(isServerReady: Bool) {
        if isServerReady { expectBody() } else { deadline.clear() }
    }

    private func uploadComplete() {
        let wasStreaming = exchange.body == .streaming
        exchange.bodyEnded()
        stream.setReading(true, .serverSlow)
        let routedModel = request.facts.model
        do { request.facts = try scanner.finish() ?? request.facts } catch { return refuseReceiving(malformed(error)) }
        guard request.facts.model == routedModel else {
            let message = "The body names a second model; it was sent on for \"\(routedModel ?? "")\"."
            return refuseReceiving(.init(status: 400, code: "invalid_request", message: message))
        }
        guard wasStreaming else { return }
        if case .chunked = head.framing { attempt.upstream?.write(ByteBuffer(string: "0\r\n\r\n")) }
        attempt.upstream?.flush()
        if exchange.state != .relaying { deadline.set(.firstByte, within: loop.settings.timeouts.firstByte, from: loop.now) }
    }
}
