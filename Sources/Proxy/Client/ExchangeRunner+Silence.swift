import Routing
import Wire

/// Handles silent streams. A client that waits, in the line or during a long prefill, is sent keep-alive comments
/// (`keep-alive-comments`), because proxies and clients give up on silent connections. A server that has become silent is
/// probed.
extension ExchangeRunner {
    /// Called a few times a second.
    func watchForSilence() {
        if exchange.state == .relaying { watchForStall() }
        if let interval = loop.settings.keepAliveInterval { sendSignOfLife(every: interval) }
    }

    private func sendSignOfLife(every interval: Interval) {
        guard request.facts.stream == true, request.line.dialect != .ollama, stream.takesOpenAnswers, isSilent(for: interval),
            stream.isWritable
        else { return }
        if exchange.committedEarly() { beginStream() }
        pulse.lastKeepAliveAt = loop.now
        switch request.line.dialect {
        case .openAI: stream.send(Array(": \(whereItStands)\n\n".utf8))
        case .anthropic: stream.send(Array("event: ping\ndata: {\"type\": \"ping\"}\n\n".utf8))
        case .ollama: break
        }
        stream.flush()
    }

    /// Whether the client has received nothing for that interval, and a keep-alive comment is allowed now.
    private func isSilent(for interval: Interval) -> Bool {
        var since = max(pulse.arrivedAt, pulse.lastKeepAliveAt)
        switch exchange.state {
        case .waiting, .connecting, .awaitingAnswer, .readingError, .holdingHead: break
        case .relaying:
            // Only between two events, and only where the balancer can insert its own chunk.
            guard let answer, case .forward = answer.use, answer.streamKind == .events, answer.isBetweenEvents,
                answer.hasOpenLength || exchange.audience == .committedClient
            else { return false }
            since = max(since, pulse.lastUpstreamByteAt)
        case .idle, .receiving, .holdingFailure, .tunnelling, .answering, .feedingEvents: return false
        }
        return since + interval <= loop.now
    }

    /// Checks whether a stream has become silent.
    private func watchForStall() {
        // When the client does not read, the silence is not the server's.
        guard stream.isWritable, let ticket = attempt.ticket, let streamKind = answer?.streamKind, streamKind != .none,
            answer?.pace.hasStalled(at: loop.now, since: pulse.lastUpstreamByteAt) == true
        else { return }
        loop.router.send(.stalled(ticket), from: loop)
    }

    private var whereItStands: String {
        if exchange.state == .relaying { return "still here" }
        let ahead = exchange.state == .waiting ? attempt.ticket.flatMap { loop.router.ahead(of: $0) } : nil
        return ahead.map { "waiting, \($0) ahead" } ?? "prefill"
    }

    /// Sends the head of a stream before its answer has arrived. From here on, a failure can only be reported inside the
    /// stream.
    private func beginStream() {
        record.firstByteMilliseconds = loop.now.milliseconds(since: pulse.arrivedAt)
        stream.sendHead(
            OwnHead(
                status: 200, contentType: "text/event-stream",
                fields: [
                    ("Cache-Control", "no-cache"), ("X-Request-Id", record.requestID), ("X-Accel-Buffering", "no"),
                ] + crossOriginFields, body: .open))
    }
}
