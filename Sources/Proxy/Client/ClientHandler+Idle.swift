import NIOCore

/// A connection between two requests, or before its first one. It may be closed for a client that waits to be accepted.
extension ClientHandler {
    func becameIdle() {
        // A connection whose client has disconnected is not idle, although its stream may continue.
        if idlePlace == nil, context != nil { idlePlace = loop.clients.idle.becameIdle(self, at: loop.now) }
    }

    /// A request has begun to arrive, or the connection ends.
    func becameBusy() {
        guard let place = idlePlace else { return }
        idlePlace = nil
        loop.clients.idle.becameBusy(place)
    }

    /// Closes an idle connection, unless a request is arriving (its bytes are already in the kernel), or the client has not
    /// read its last answer yet.
    func closeForAnother() -> Bool {
        guard idlePlace != nil, let channel = context?.channel, !channel.hasUnreadInput,
            (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) == 0
        else { return false }
        closeNow()
        return true
    }
}
