import Routing
import Wire

/// Streams on which nothing comes: signs of life for a client that waits, in the line or during a long prefill, as proxies and clients in
/// between give up on silence (`keep-alive-comments`); and a look at servers that have fallen silent.
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

    /// Whether the client has heard nothing for so long, and can be told something where it stands.
    private func isSilent(for interval: Interval) -> Bool {
        var since = max(pulse.arrivedAt, pulse.lastKeepAliveAt)
        switch exchange.state {
        case .waiting, .connecting, .awaitingAnswer, .holdingHead: break
        case .relaying:
            // Only between two events, and only where our own chunk can stand.
            guard let answer, case .forward = answer.use, answer.streamKind == .events, answer.isBetweenEvents,
                answer.hasOpenLength || exchange.audience == .committedClient
            else { return false }
            since = max(since, pulse.lastUpstreamByteAt)
        case .idle, .receiving, .holdingFailure, .tunnelling, .answering, .feedingEvents: return false
        }
        return since + interval <= loop.now
    }

    /// Looks whether a stream has fallen silent.
    private func watchForStall() {
        // A client that does not read is not the server's silence.
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

    /// The head of a stream whose answer has not come yet. From here on a failure can only be told inside.
    private func beginStream() {
        record.firstByteMilliseconds = loop.now.milliseconds(since: pulse.arrivedAt)
        stream.sendHead(
            OwnHead(
                status: 200, contentType: "text/event-stream",
                fields: [
                    ("Cache-Control", "no-cache"), ("X-Request-Id", record.requestID), ("X-Accel-Buffering", "no"),
                ], body: .open))
    }
}
