import NIOCore
import Routing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The ways in which a client's connection ends.
extension ClientHandler {
    func closeNow() { context?.close(promise: nil) }

    /// Ends a connection that has nothing to do, once the client has taken what it was sent; the others end after their
    /// request.
    func closeIfIdle() {
        if request.isEventFeed { return closeNow() }
        guard exchange.state == .idle, inbound.readableBytes == 0 else { return request.keepsAlive = false }
        // Its next request may be on its way: that one is still answered, and told that the connection ends.
        expect(.draining, within: loop.settings.drainPause)
    }

    /// Closes a connection on which the client has said that nothing more comes. What it has been sent, it is given the time to
    /// take.
    func closeOnceSent() {
        let unsent = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)
        if request.bodyReader == nil, unsent == 0 { closeNow() } else { lingerAndClose() }
    }

    /// Ends the connection with RST.
    func resetConnection() {
        let channel = context?.channel
        (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenFailure { _ in }
        channel?.close(promise: nil)
    }

    /// Closes our side, and the rest when the client has done so too: closing at once with unread bytes would reset the
    /// connection and could take the answer with it.
    func lingerAndClose() {
        guard let context, !isLingering else { return }
        inbound = ByteBuffer()
        closeOutput { $0.expect(.lingering, within: .seconds(2)) }
        if !readingPauses.isEmpty {
            readingPauses = []
            context.setAutoRead(true)
        }
    }

    /// Sends FIN behind what has been written, which a slow client may still take a while to read.
    func closeOutput(_ completion: @escaping (ClientHandler) -> Void) {
        guard let context else { return }
        isLingering = true
        expect(.lingering, within: loop.settings.idleTimeout)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { _ in completion(self) }
        context.close(mode: .output, promise: sent)
    }
}
