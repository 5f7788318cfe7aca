import NIOCore
import NIOTLS

/// Notices clients that do not get through the TLS handshake. Leaves the pipeline when one has.
final class HandshakeWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private var failed: (() -> Void)?

    init(failed: @escaping () -> Void) { self.failed = failed }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        guard case .handshakeCompleted? = event as? TLSUserEvent else { return }
        failed = nil
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        failed?()
        failed = nil
        context.fireChannelInactive()
    }
}
