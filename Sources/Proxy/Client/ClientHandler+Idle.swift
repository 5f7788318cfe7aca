import NIOCore

/// A connection between two requests, or before its first one: it may be closed for a client that waits to be accepted.
extension ClientHandler {
    func becameIdle() {
        // A connection whose client has left is not idle, although its stream may go on.
        if idlePlace == nil, context != nil { idlePlace = loop.clients.idle.becameIdle(self, at: loop.now) }
    }

    /// A request has begun to arrive, or the connection ends.
    func becameBusy() {
        guard let place = idlePlace else { return }
        idlePlace = nil
        loop.clients.idle.becameBusy(place)
    }

    /// Closes an idle connection, unless a request is on its way (its bytes are in the kernel already), or the client has not
    /// taken its last answer yet.
    func closeForAnother() -> Bool {
        guard idlePlace != nil, let channel = context?.channel, !channel.hasUnreadInput,
            (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) == 0
        else { return false }
        closeNow()
        return true
    }
}
