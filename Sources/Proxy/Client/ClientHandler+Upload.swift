import NIOCore
import Routing
import Wire

/// Bodies over `limits.retry-body` are not kept but streamed through, as soon as it is known where to: memory stays bounded
/// however much is sent, and the client is not read from faster than the server reads. What is gone cannot be sent again, so
/// such a request is not retried once its server has begun to receive it.
extension ClientHandler {
    /// A client that sends nothing for so long, although it could, is given up.
    static let bodyPause = Interval.seconds(60)

    /// The body has become long: asks the router at once if what has come says where it should go.
    func streamBodyIfPossible() {
        request.nextUploadLook = max(1, request.body.readableBytes) * 2
        guard let (destination, counts) = destinationSoFar() else { return }
        request.upload = .waiting
        pauseReading(.upload)
        expect(.none, within: nil)
        submit(destination, counts: counts)
    }

    private func destinationSoFar() -> (RequestTraits.Destination, counts: Bool)? {
        switch request.kind {
        case .own: return nil
        case .passed: return (.fallback, false)
        case .upstream(let name, _): return isCrossSite || !peerIsLoopback ? nil : (.server(name), true)
        case .model(let counts, let isChat):
            if hasContentEncoding { return (.fallback, counts) }
            // A rule may change any part of the body: then it has to be there whole.
            guard !scanner.hasFailed, let model = scanner.facts.model, !(isChat && loop.modelRules.concern(model)) else {
                return nil
            }
            request.facts = scanner.facts
            return (.model(model), counts)
        case .multipart:
            guard let form, !form.hasFailed, let model = form.facts.model else { return nil }
            request.facts = form.facts
            request.isMultipart = true
            return (.model(model), true)
        }
    }

    /// What has been kept goes out; the rest follows as it comes.
    func beginUpload(on connection: UpstreamConnection) {
        exchange.beganToStreamBody()
        request.upload = .sending
        let body = outgoingBody()
        request.body = ByteBuffer()
        var framing = OutgoingFraming.chunked
        if case .length(let length) = head.framing {
            framing = .length(length + body.count - request.bodyCount)
        }
        writeRequestHead(for: connection.pool, framing: framing)
        connection.write(ByteBuffer(bytes: loop.headWriter.bytes))
        body.forEachPiece { uploadPiece($0) }
        connection.flush()
        upstreamWritabilityChanged(isWritable: connection.isWritable)
    }

    func uploadPiece(_ piece: ByteBuffer) {
        guard let upstream = request.upstream, piece.readableBytes > 0 else { return }
        guard case .chunked = head.framing else { return upstream.write(piece) }
        upstream.write(ByteBuffer(string: String(piece.readableBytes, radix: 16) + "\r\n"))
        upstream.write(piece)
        upstream.write(ByteBuffer(string: "\r\n"))
    }

    /// A read of the client's has been dealt with.
    func uploadWent(isFinished: Bool) {
        if isFinished { return uploadComplete() }
        guard request.upload == .sending else { return expect(.none, within: nil) }
        request.upstream?.flush()
        if exchange.state != .relaying, request.upstream?.isWritable == false { expect(.none, within: nil) }
    }

    /// The server's socket is full, or has room again: the client is read from accordingly.
    func upstreamWritabilityChanged(isWritable: Bool) {
        guard request.upload == .sending || exchange.state == .tunnelling else { return }
        if isWritable { resumeReading(.upload) } else { pauseReading(.upload) }
        // While we do not read, the client is not late.
        if request.bodyReader != nil, exchange.state != .relaying {
            expect(isWritable ? .body : .none, within: isWritable ? Self.bodyPause : nil)
        }
    }

    private func uploadComplete() {
        request.bodyReader = nil
        resumeReading(.upload)
        if scansJSON || form != nil {
            let routedModel = request.facts.model
            do { try finishScan() } catch { return stopUpload(malformed(error)) }
            guard request.facts.model == routedModel else {
                let message = "The body names a second model; it was sent on for \"\(routedModel ?? "")\"."
                return stopUpload(.init(status: 400, code: "invalid_request", message: message))
            }
        }
        guard request.upload == .sending else {
            // It came faster than the router's word: a body like any other, and repeatable.
            return request.upload = .none
        }
        if case .chunked = head.framing { request.upstream?.write(ByteBuffer(string: "0\r\n\r\n")) }
        request.upstream?.flush()
        if exchange.state != .relaying { expect(.firstByte, within: loop.settings.firstByteTimeout) }
    }

    /// No more of the request is taken, whether it is kept or streamed through.
    func refuseReceiving(_ reply: ErrorReply) {
        request.keepsAlive = false
        if request.upload == .none { refuse(reply) } else { stopUpload(reply) }
    }

    /// The upload turned out to be wrong after it had begun.
    private func stopUpload(_ reply: ErrorReply) {
        request.keepsAlive = false
        request.bodyReader = nil
        if exchange.state == .relaying {
            request.upstream?.close()
            request.upstream = nil
            if exchange.upstreamLost() == .endVisibly { breakAnswer("was sent a faulty request", isFault: false) }
            return
        }
        withdraw()
        refuse(reply)
    }
}
