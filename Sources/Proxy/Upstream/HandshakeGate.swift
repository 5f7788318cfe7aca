import NIOCore
import NIOSSL
import NIOTLS

/// Makes "connected" mean "the TLS handshake has succeeded". The handler is placed after the TLS handler and holds back the
/// promise of `connect` until the handshake has succeeded. The connect timeout therefore covers the handshake, and after a
/// failed handshake the next address is tried. The handler removes itself from the pipeline when it is done.
final class HandshakeGate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private var connected: EventLoopPromise<Void>?

    func connect(context: ChannelHandlerContext, to address: SocketAddress, promise: EventLoopPromise<Void>?) {
        connected = promise
        let tcp = context.eventLoop.makePromise(of: Void.self)
        tcp.futureResult.assumeIsolated().whenFailure { [self] error in finish(.failure(error)) }
        context.connect(to: address, promise: tcp)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        if case .handshakeCompleted? = event as? TLSUserEvent {
            finish(.success(()))
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard connected != nil else { return context.fireErrorCaught(error) }
        let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
        finish(.failure(TLSFailure(error, certificate: certificate, now: Clock.wallMilliseconds / 1000)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failure(TLSFailure(reason: "it closed the connection during the TLS handshake")))
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { finish(.failure(ChannelError.ioOnClosedChannel)) }

    private func finish(_ result: Result<Void, any Error>) {
        let promise = connected
        connected = nil
        promise?.completeWith(result)
    }
}
