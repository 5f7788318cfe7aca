import NIOCore
import NIOEmbedded

/// One end of a connection, without a socket: notes what is written to it, gives what comes, and misbehaves as told.
///
/// It stands in front of the other handlers. Like a socket it takes nothing once its output has been closed.
final class EmbeddedSocket: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What becomes of a write.
    enum Fate {
        case taken
        /// The bytes are lost.
        case failed
    }

    private(set) var channel: EmbeddedChannel
    /// Everything that was flushed before the end.
    private(set) var sentBytes: [UInt8] = []
    private var unflushed: [UInt8] = []
    /// Bytes written after the end.
    private(set) var lateBytes = 0
    /// Those of them that were written although this side had closed the connection itself.
    private(set) var bytesBehindOwnEnd = 0
    private var isEndedByPeer = false
    private(set) var isOutputClosed = false
    private(set) var isClosed = false
    /// Called inside each write, as the system's own callbacks are.
    var onWrite: (() -> Fate)?
    /// Called inside each flush, when its bytes are out.
    var onFlush: (() -> Void)?

    init(loop: EmbeddedEventLoop) {
        channel = EmbeddedChannel(loop: loop)
    }

    /// The channel gets its handlers and becomes active.
    func open(_ initialize: (any Channel) throws -> Void) throws {
        try channel.pipeline.syncOperations.addHandler(self)
        try initialize(channel)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 50_000), promise: nil)
    }

    // MARK: The other end

    /// Bytes come.
    func receive(_ text: String) { receive(Array(text.utf8)) }

    func receive(_ bytes: [UInt8]) {
        guard !isClosed, !bytes.isEmpty else { return }
        channel.pipeline.syncOperations.fireChannelRead(NIOAny(ByteBuffer(bytes: bytes)))
        channel.pipeline.syncOperations.fireChannelReadComplete()
    }

    /// The other end closes.
    func end() {
        guard !isClosed else { return }
        isEndedByPeer = true
        channel.close(promise: nil)
    }

    /// The connection breaks.
    func fail() {
        guard !isClosed else { return }
        isEndedByPeer = true
        channel.pipeline.syncOperations.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
    }

    var isWritable: Bool {
        get { channel.isWritable }
        set {
            guard channel.isWritable != newValue else { return }
            channel.isWritable = newValue
            if !isClosed { channel.pipeline.syncOperations.fireChannelWritabilityChanged() }
        }
    }

    /// Whether the channel reads by itself, as it was last told.
    var isReading: Bool {
        channel.options.last { $0.option is ChannelOptions.Types.AutoReadOption }?.value as? Bool ?? true
    }

    var sent: String { String(decoding: sentBytes, as: UTF8.self) }

    /// What was sent since the last call.
    func takeSent() -> String {
        defer { sentBytes = [] }
        return sent
    }

    // MARK: The handler

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = unwrapOutboundIn(data)
        guard !isOutputClosed, !isClosed else {
            lateBytes += bytes.readableBytes
            if !isEndedByPeer { bytesBehindOwnEnd += bytes.readableBytes }
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let fate = onWrite?() ?? .taken
        if fate == .taken, !isClosed { unflushed += bytes.readableBytesView }
        promise?.succeed(())
    }

    func flush(context: ChannelHandlerContext) {
        guard !isClosed else { return }
        sentBytes += unflushed
        unflushed = []
        onFlush?()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        isOutputClosed = true
        guard case .output = mode else { return context.close(mode: mode, promise: promise) }
        promise?.succeed(())
    }

    func channelInactive(context: ChannelHandlerContext) {
        isOutputClosed = true
        isClosed = true
        context.fireChannelInactive()
    }
}
