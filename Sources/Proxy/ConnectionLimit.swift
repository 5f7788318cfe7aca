import NIOCore
import Synchronization

/// How many clients may be connected at once (`limits.connections`).
final class ConnectionLimit: Sendable {
    private let maximum: Int
    private let open = Atomic(0)

    init(_ maximum: Int) { self.maximum = maximum }

    var isReached: Bool { open.load(ordering: .relaxed) >= maximum }

    func opened() { open.add(1, ordering: .relaxed) }

    func closed() { open.subtract(1, ordering: .relaxed) }
}

/// Stops accepting while the limit is reached: further clients wait in the kernel's queue instead of being turned away.
final class AcceptHandler: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let limit: ConnectionLimit
    private var isReadPending = false

    init(limit: ConnectionLimit) { self.limit = limit }

    func read(context: ChannelHandlerContext) {
        if limit.isReached { isReadPending = true } else { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        limit.opened()
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        let serverLoop = context.eventLoop
        channel.closeFuture.hop(to: serverLoop).whenComplete { _ in
            let (handler, context) = bound.value
            handler.limit.closed()
            guard handler.isReadPending, !handler.limit.isReached else { return }
            handler.isReadPending = false
            context.read()
        }
        context.fireChannelRead(data)
    }
}
