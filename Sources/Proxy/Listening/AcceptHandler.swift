import NIOCore

/// Accepts clients. While their limit is reached, further clients wait in the kernel's queue instead of being rejected, and
/// the longest idle client is closed for each of them. While the system is out of descriptors, accepting pauses.
final class AcceptHandler: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    /// What the listener needs from the rest of the server.
    struct Surroundings {
        /// Closes an idle client. Reports on this handler's loop whether a client is being closed.
        var makeRoom: (_ completion: @escaping (Bool) -> Void) -> Void
        /// Called when accepting pauses, with the reason.
        var paused: (IOError) -> Void
    }

    /// How often to check whether a client is waiting while there is no room.
    private static let look = TimeAmount.milliseconds(25)
    /// How long accepting pauses when the system has no descriptor, or no memory, for another connection.
    private static let pause = TimeAmount.milliseconds(250)

    private let limit: ConnectionLimit
    private let surroundings: Surroundings
    /// An idle client is about to be closed for a waiting one.
    private var isMakingRoom = false
    private var nextLook: Scheduled<Void>?
    /// The system has refused another connection. A timer ends this state.
    private var isPaused = false
    /// Automatic reading is off: from the time `isPaused` is set until a client is accepted again.
    private var isReadingOff = false

    init(limit: ConnectionLimit, _ surroundings: Surroundings) {
        self.limit = limit
        self.surroundings = surroundings
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        limit.onRoom { loop.execute { bound.value.handler.read(context: bound.value.context) } }
    }

    func channelInactive(context: ChannelHandlerContext) {
        nextLook?.cancel()
        context.fireChannelInactive()
    }

    func read(context: ChannelHandlerContext) {
        guard !isPaused else { return }
        guard limit.hasRoom() else { return makeRoomIfSomebodyWaits(context) }
        guard isReadingOff else { return context.read() }
        isReadingOff = false
        context.setAutoRead(true)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        limit.opened()
        // Another listener has taken the last place while this one was ready to accept.
        if limit.isExceeded { surroundings.makeRoom { _ in } }
        context.fireChannelRead(data)
    }

    // MARK: No room

    private func makeRoomIfSomebodyWaits(_ context: ChannelHandlerContext) {
        lookLater(context)
        guard !isMakingRoom, context.channel.hasUnreadInput else { return }
        isMakingRoom = true
        // When a client is closed, `onRoom` is called. Otherwise the next check finds out.
        surroundings.makeRoom { _ in self.isMakingRoom = false }
    }

    private func lookLater(_ context: ChannelHandlerContext) {
        guard nextLook == nil, context.channel.isActive else { return }
        nextLook = context.eventLoop.assumeIsolated().scheduleTask(in: Self.look) {
            self.nextLook = nil
            self.read(context: context)
        }
    }

    // MARK: No descriptors

    /// SwiftNIO would retry at once and for ever, because the listener stays readable. SwiftNIO's own handler against this
    /// does not stop the channel from polling.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, error.isShortage else { return context.fireErrorCaught(error) }
        guard !isPaused else { return }
        isPaused = true
        isReadingOff = true
        context.setAutoRead(false)
        surroundings.paused(error)
        surroundings.makeRoom { _ in }
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
            self.isPaused = false
            self.read(context: context)
        }
    }
}
