import NIOCore
import Routing
import Wire

/// Bodies over `limits.retry-body` are not kept but streamed through, as soon as it is known where to: memory stays bounded
/// however much is sent, and the client is not read from faster than the server reads. What is gone cannot be sent again, so
/// such a request is not retried once its server has begun to receive it.
extension ExchangeRunner {
    /// What has been kept goes out; the rest follows as it comes.
    func beginUpload(on connection: UpstreamConnection) {
        let body = outgoingBody()
        request.body = ByteBuffer()
        var framing = OutgoingFraming.chunked
        if case .length(let length) = head.framing {
            framing = .length(length + body.count - request.bodyCount)
        }
        writeRequestHead(for: connection.pool, framing: framing)
        connection.write(ByteBuffer(bytes: loop.buffers.head.bytes))
        body.forEachPiece { upload($0) }
        connection.flush()
        connection.requestSent()
        upstreamWritabilityChanged(connection.isWritable)
    }

    func upload(_ piece: ByteBuffer) {
        guard let upstream = attempt.upstream, piece.readableBytes > 0 else { return }
        guard case .chunked = head.framing else { return upstream.write(piece) }
        upstream.write(ByteBuffer(string: String(piece.readableBytes, radix: 16) + "\r\n"))
        upstream.write(piece)
        upstream.write(ByteBuffer(string: "\r\n"))
    }

    /// A read of the client's has been dealt with.
    func uploadRead(isFinished: Bool) {
        if isFinished { return uploadComplete() }
        guard exchange.body == .streaming, let upstream = attempt.upstream else { return deadline.clear() }
        upstream.flush()
        if exchange.state != .relaying { expectUpload(isServerReady: upstream.isWritable) }
    }

    /// The server's socket is full, or has room again: the client is read from accordingly.
    func upstreamWritabilityChanged(_ isWritable: Bool) {
        guard exchange.body == .streaming || exchange.state == .tunnelling else { return }
        stream.setReading(isWritable, .serverSlow)
        if exchange.body == .streaming, exchange.state != .relaying { expectUpload(isServerReady: isWritable) }
    }

    /// While the client is not read from, it is not late.
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
