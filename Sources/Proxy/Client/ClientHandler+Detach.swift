import Routing
import Wire

/// llama-server's resumable streams (`X-Conversation-Id`): the engine keeps such an answer for a client that comes back for it
/// (`GET /v1/stream`), so a client that goes away does not end it. It keeps its place on the server until it is whole.
extension ClientHandler {
    /// Whether the request at hand goes on when its client has left.
    var mayGoOnAlone: Bool {
        guard exchange.isWithServer, request.facts.stream == true, request.bodyReader == nil, request.conversation != nil,
            let upstream = request.upstream, loop.counters.detachedStreams < loop.settings.maxDetachedStreams
        else { return false }
        return !upstream.pool.endpoint.keepsConnectionAfterStream
    }

    /// The client has left: the rest of the answer is read and thrown away.
    func detach() {
        request.isDetached = true
        loop.counters.detachedStreams += 1
        loop.counters.clientsGone += 1
        request.upstream?.resumeReading()
    }
}
