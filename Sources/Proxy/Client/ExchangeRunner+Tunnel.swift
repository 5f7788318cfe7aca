import NIOCore
import Routing
import Wire

/// `Upgrade: websocket`: once the server has agreed, bytes pass both ways and mean nothing to us.
extension ExchangeRunner {
    /// Whether the request at hand asks for a WebSocket on a path that is passed on.
    var asksForWebSocket: Bool {
        guard head.saysUpgrade, head.minorVersion == 1, head.framing == .unstated, request.line.method == "GET",
            value(of: .upgrade)?.lowercased() == "websocket"
        else { return false }
        switch request.line.kind {
        case .passed, .upstream: return true
        case .own, .model, .multipart: return false
        }
    }

    /// OpenAI's clients try their Responses API over a WebSocket first. Local engines speak only HTTP there, and would let
    /// the client wait for a refusal of theirs, or worse.
    func refusesResponsesSocket(_ endpoint: BackendEndpoint) -> Bool {
        guard !endpoint.speaksResponsesOverWebSocket,
            request.line.path == "/v1/responses" || request.line.path == "/responses"
        else { return false }
        withdraw()
        refuse(
            .init(
                status: 426, code: "websocket_not_supported",
                message: "\(endpoint.name) speaks the Responses API over HTTP only; send the request as POST."))
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

    /// The client has sent something through the tunnel.
    func tunnelReceived(_ bytes: ByteBuffer) {
        guard let upstream = attempt.upstream else { return }
        record.bytesReceived += bytes.readableBytes
        upstream.send(bytes)
        if !upstream.isWritable { stream.setReading(false, .serverSlow) }
    }

    /// One end of the tunnel has closed: so does the client's, once it has taken what was sent.
    func endTunnel(_ ending: RequestRecord.Ending) {
        stream.breakOff(nil)
        endRequest(ending)
        finishExchange()
    }
}
