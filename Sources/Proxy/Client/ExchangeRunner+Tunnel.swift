import NIOCore
import Routing
import Wire

/// `Upgrade: websocket`: after the server has agreed, bytes are forwarded in both directions without being interpreted.
extension ExchangeRunner {
    /// Whether the current request asks for a WebSocket on a path that is forwarded.
    var asksForWebSocket: Bool {
        guard head.saysUpgrade, head.minorVersion == 1, head.framing == .unstated, request.line.method == "GET",
            value(of: .upgrade)?.lowercased() == "websocket"
        else { return false }
        switch request.line.kind {
        case .passed, .upstream: return true
        case .own, .model, .multipart: return false
        }
    }

    /// OpenAI's clients first try the Responses API over a WebSocket. Local engines support only HTTP there,
    /// so such a request is refused at once, and the client does not wait for the engine.
    func refusesResponsesSocket(_ pool: UpstreamPool) -> Bool {
        guard !pool.endpoint.speaksResponsesOverWebSocket,
            request.line.path == "/v1/responses" || request.line.path == "/responses"
        else { return false }
        withdraw()
        refuse(
            .init(
                status: 426, code: "websocket_not_supported",
                message: "\(pool.endpoint.name) speaks the Responses API over HTTP only; send the request as POST."))
        return true
    }

    /// The server has answered 101.
    func beginTunnel(_ connection: UpstreamConnection, _ headBytes: ByteBuffer, _ rest: ByteBuffer) {
        guard exchange.switchedProtocols() else { return dropUpstream() }
        deadline.clear()
        record.status = 101
        record.firstByteMilliseconds = loop.now.milliseconds(since: pulse.arrivedAt)
        stream.beginTunnel(connection.head, headBytes, answerFields(connection))
        if rest.readableBytes > 0 {
            stream.sendThroughTunnel(rest)
            stream.flush()
        }
        request.headBytes = ByteBuffer()
    }

    /// The client has sent data through the tunnel.
    func tunnelReceived(_ bytes: ByteBuffer) {
        guard let upstream = attempt.upstream else { return }
        record.bytesReceived += bytes.readableBytes
        upstream.send(bytes)
        if !upstream.isWritable { stream.setReading(false, .serverSlow) }
    }

    /// One end of the tunnel has closed. The client's connection is closed after all data has been sent.
    func endTunnel(_ ending: RequestRecord.Ending) {
        stream.breakOff(nil)
        endRequest(ending)
        finishExchange()
    }
}
