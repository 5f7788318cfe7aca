import NIOCore
import Routing
import Wire

/// Signs of life for a client that waits for its stream, in the line or during a long prefill: proxies and clients in
/// between give up on silence (CONTRACT `keep-alive-comments`).
extension ClientHandler {
    /// An engine's error that comes after the stream has begun is shown up to so many bytes.
    private static let gatheredBytes = 16 << 10

    /// Sends one if it is due. Called a few times a second.
    func keepAlive(every interval: Interval, _ now: Moment) {
        guard request.facts.stream == true, !request.isHTTP10, request.dialect != .ollama, let context else { return }
        var silentSince = max(request.arrivedAt, request.lastKeepAliveAt)
        switch exchange.state {
        case .waiting, .connecting, .awaitingAnswer, .holdingHead: break
        case .relaying:
            // Only between two events, and only where our own chunk can stand.
            guard let relay = request.answer, relay.isEventStream, relay.lastBytes == (0x0A, 0x0A) else { return }
            switch relay.clientFraming {
            case .chunked, .rechunked: break
            case .asReceived, .untilClose, .gathered: return
            }
            silentSince = max(silentSince, request.lastUpstreamByteAt)
        case .idle, .collecting, .holdingAnswer, .tunnelling, .answering: return
        }
        guard silentSince + interval <= now, context.channel.isWritable else { return }
        if exchange.state != .relaying, !request.isCommittedToStream { beginStream() }
        request.lastKeepAliveAt = now
        switch request.dialect {
        case .openAI: writeChunk(Array(": \(whereItStands)\n\n".utf8))
        case .anthropic: writeChunk(Array("event: ping\ndata: {\"type\": \"ping\"}\n\n".utf8))
        case .ollama: break
        }
        flushToClient()
    }

    /// Looks whether a stream has fallen silent. Called a few times a second.
    func watchForStall(_ now: Moment) {
        // A client that does not read is not the server's silence.
        let last = request.lastUpstreamByteAt
        guard exchange.state == .relaying, isWritable, let ticket = request.ticket, request.answer?.hasEvents == true,
            request.answer?.pace.hasStalled(at: now, since: last) == true
        else { return }
        loop.router.send(.stalled(ticket), from: loop)
    }

    private var whereItStands: String {
        if exchange.state == .relaying { return "still here" }
        let ahead = exchange.state == .waiting ? request.ticket.flatMap { loop.router.ahead(of: $0) } : nil
        return ahead.map { "waiting, \($0) ahead" } ?? "prefill"
    }

    /// The head of a stream whose answer has not come yet. From here on a failure can only be told inside.
    private func beginStream() {
        request.isCommittedToStream = true
        request.record.firstByteMilliseconds = loop.now.milliseconds(since: request.arrivedAt)
        writeToClient(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                + "Transfer-Encoding: chunked\r\nX-Request-Id: \(request.record.requestID)\r\nX-Accel-Buffering: no\r\n")
        writeToClient(request.keepsAlive ? "\r\n" : "Connection: close\r\n\r\n")
    }

    /// How an answer goes on after the stream has begun without it.
    func framingAfterKeepAlive(_ relay: AnswerRelay, status: Int) -> AnswerRelay.ClientFraming {
        guard status == 200, relay.isEventStream else { return .gathered }
        return relay.reader.isChunked ? .chunked : .rechunked
    }

    func gather(_ content: RawSpan, into relay: inout AnswerRelay) {
        let room = max(0, Self.gatheredBytes - relay.gathered.count)
        content.withUnsafeBytes { relay.gathered.append(contentsOf: $0.prefix(room)) }
    }

    /// An answer that is no stream has come whole: it is told as an error.
    func finishGathered(_ relay: AnswerRelay) {
        let server = request.record.server ?? "The server"
        var message = "\(server) answered \(request.record.status)."
        if let json = try? JSON(parsing: relay.gathered) {
            let error = json["error"]
            message += " " + (error?["message"]?.stringValue ?? error?.stringValue ?? json.text)
        }
        request.upstream?.close()
        request.upstream = nil
        endRequest(.complete)
        endStream(with: ErrorReply(status: request.record.status, code: "upstream_failed", message: message))
    }

    /// Ends a stream that has begun without an answer: an error event, then the connection, without a proper end.
    func endStream(with reply: ErrorReply, isRefusal: Bool = false) {
        writeChunk(reply.streamEvent(request.dialect))
        flushToClient()
        if isRefusal { finishRecord() }
        request.keepsAlive = false
        lingerAndClose()
        exchange.finished()
    }
}
