import NIOCore
import Routing
import Wire

/// `Upgrade: websocket`: once the server has agreed, bytes pass both ways and mean nothing to us.
extension ClientHandler {
    /// Whether the request at hand asks for a WebSocket on a path that is passed on.
    var asksForWebSocket: Bool {
        guard head.saysUpgrade, head.minorVersion == 1, head.framing == .unstated, request.method == "GET",
            let field = head.first(.upgrade), string(field.value).lowercased() == "websocket"
        else { return false }
        switch request.kind {
        case .passed, .upstream: return true
        case .own, .model, .multipart: return false
        }
    }

    /// OpenAI's clients try their Responses API over a WebSocket first. Local engines speak only HTTP there, and would let
    /// the client wait for a refusal of theirs, or worse.
    func refusesResponsesSocket(_ endpoint: BackendEndpoint) -> Bool {
        guard request.wantsUpgrade, !endpoint.speaksResponsesOverWebSocket,
            request.record.path == "/v1/responses" || request.record.path == "/responses"
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
        guard exchange.switchedProtocols() else { return connection.close() }
        expect(.none, within: nil)
        request.record.status = 101
        request.record.firstByteMilliseconds = loop.now.milliseconds(since: request.arrivedAt)
        request.keepsAlive = false
        var writer = ByteWriter()
        writer.write("HTTP/1.1 101 Switching Protocols\r\n")
        writer.copyFields(of: connection.head, from: headBytes.readableBytesSpan, except: Self.setHere)
        writer.write("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        writer.writeField("X-Request-Id", request.record.requestID)
        writer.write(connection.pool.lines.server)
        writer.endHead()
        writeToClient(writer.bytes)
        if rest.readableBytes > 0 { receiveThroughTunnel(rest) }
        flushToClient()
        request.headBytes = ByteBuffer()
        let sentAhead = inbound
        inbound = ByteBuffer()
        if sentAhead.readableBytes > 0 { sendThroughTunnel(sentAhead) }
        resumeReading(.sentAhead)
    }

    func sendThroughTunnel(_ buffer: ByteBuffer) {
        guard let upstream = request.upstream else { return }
        request.record.bytesReceived += buffer.readableBytes
        upstream.write(buffer)
        upstream.flush()
        if !upstream.isWritable { pauseReading(.upload) }
    }

    func receiveThroughTunnel(_ buffer: ByteBuffer) { writeSlice(buffer, 0..<buffer.readableBytes) }

    /// The server's end has closed: so does ours, once the client has taken what was sent.
    func endTunnel() {
        flushToClient()
        endRequest(.complete)
        lingerAndClose()
        exchange.finished()
    }
}
