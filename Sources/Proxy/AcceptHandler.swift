import NIOCore

/// Takes clients in. While their limit is reached, further ones wait in the kernel's queue instead of being turned away.
final class AcceptHandler: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let limit: ConnectionLimit
    /// Gives a client of this handler's own loop its `ClientHandler`.
    private let serve: (any Channel) throws -> Void
    /// SwiftNIO's handler of the same task, which stands behind this one. It is passed by for clients of the same loop: its five
    /// futures for each of them are a tenth of what a new connection costs. The others still hop through it.
    private var bootstrapHandler: ChannelHandlerContext?

    init(limit: ConnectionLimit, serve: @escaping (any Channel) throws -> Void) {
        self.limit = limit
        self.serve = serve
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        limit.onRoom { loop.execute { bound.value.handler.read(context: bound.value.context) } }
    }

    func channelActive(context: ChannelHandlerContext) {
        bootstrapHandler = try? context.pipeline.syncOperations.context(name: "AcceptHandler")
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { bootstrapHandler = nil }

    func read(context: ChannelHandlerContext) {
        if limit.hasRoom() { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        limit.opened()
        let client = unwrapInboundIn(data)
        guard let bootstrapHandler, client.eventLoop === context.eventLoop else { return context.fireChannelRead(data) }
        do {
            try serve(client)
            bootstrapHandler.fireChannelRead(data)
        } catch {
            limit.closed()
            client.close(promise: nil)
        }
    }
}
