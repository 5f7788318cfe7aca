import NIOCore
import Wire

/// One connection to a backend. NIO's callbacks become events of the exchange that leases the connection. The exchange then
/// asks the connection to parse the bytes.
final class UpstreamConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A longer answer head is refused.
    static let maximumHead = 256 << 10
    /// A longer series of interim answers (1xx) is treated as a failure.
    private static let maximumInterimAnswers = 32

    let pool: UpstreamPool
    /// The exchange that leases the connection; nil while idle.
    private(set) var owner: ExchangeRunner?
    private var context: ChannelHandlerContext?
    private var state = UpstreamAttemptState.idle
    private var gate = ReadingGate()
    private(set) var head = HTTPHead()
    private(set) var streamKind = StreamKind.none
    private var headEnd = HeadEndScanner()
    /// The head has been read and the body follows. Still needed when the connection has ended before its last bytes are
    /// handled.
    private var isHeadRead = false
    /// Bytes of an incomplete head.
    private var inbound: ByteBuffer?
    private var interimAnswers = 0
    private var lastError: String?

    init(pool: UpstreamPool) { self.pool = pool }

    /// Whether the server's socket can take more data.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    // MARK: Leases

    /// Leases the connection to an exchange. Once the request has been sent, its answer is expected next.
    func begin(for owner: ExchangeRunner, isReused: Bool) {
        self.owner = owner
        state.leased(isReused: isReused)
        interimAnswers = 0
        headEnd = HeadEndScanner()
        isHeadRead = false
        inbound = nil
    }

    func requestSent() { state.requestSent() }

    /// Returns the connection to the pool, after a complete answer that keeps the connection open, or unused.
    func giveBack() {
        owner = nil
        // A connection that was closed in the meantime would lose the next request.
        guard state.givenBack() else { return }
        if gate.openForAll() == .resume { context?.setAutoRead(true) }
        pool.giveBack(self, at: Clock.now)
    }

    func close() {
        owner = nil
        state.ended()
        context?.close(mode: .all, promise: nil)
    }

    /// Bytes have arrived without a request.
    func closeUnasked() {
        pool.forget(self)
        context?.close(promise: nil)
    }

    // MARK: Bytes

    func write(_ buffer: ByteBuffer) { context?.write(wrapOutboundOut(buffer), promise: nil) }

    func flush() { context?.flush() }

    /// Writes and flushes together.
    func send(_ buffer: ByteBuffer) { context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }

    func setReading(_ isOn: Bool, _ reason: ReadingGate.Reasons) {
        switch isOn ? gate.open(reason) : gate.close(reason) {
        case .none: break
        case .pause: context?.setAutoRead(false)
        case .resume: context?.setAutoRead(true)
        }
    }

    // MARK: NIO's callbacks

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let meaning = state.meaning
        guard let owner, meaning != .unasked else { return closeUnasked() }
        owner.loop.handle(.exchange(owner, .upstreamRead(self, unwrapInboundIn(data), isStale: meaning == .stale)))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if let owner { owner.loop.handle(.exchange(owner, .upstreamReadComplete(self))) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if let owner {
            owner.loop.handle(.exchange(owner, .upstreamWritabilityChanged(self, context.channel.isWritable)))
        }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        state.ended()
        if let owner {
            self.owner = nil
            owner.loop.handle(.exchange(owner, .upstreamEnded(self, error: lastError)))
        } else {
            pool.forget(self)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lastError = ConnectProblem.text(error)
        context.close(promise: nil)
    }

    // MARK: The answer

    /// The meaning of the next bytes.
    enum Received {
        /// A head is still incomplete.
        case needMore
        /// A 1xx; the final answer follows.
        case interim(ByteBuffer)
        case head(ByteBuffer)
        case body(ByteBuffer)
        case malformed(String)
    }

    /// Reads the next part of an answer from `bytes`. Heads are parsed into `head`.
    func read(_ bytes: inout ByteBuffer) -> Received {
        if isHeadRead {
            defer { bytes = ByteBuffer() }
            return bytes.readableBytes > 0 ? .body(bytes) : .needMore
        }
        if var known = inbound {
            inbound = nil
            known.writeImmutableBuffer(bytes)
            bytes = known
        }
        guard bytes.readableBytes > 0 else { return .needMore }
        switch headEnd.scan(bytes.readableBytesSpan, limit: Self.maximumHead) {
        case .needMore:
            inbound = bytes
            return .needMore
        case .refused(let problem): return malformed(problem)
        case .complete(let length):
            headEnd = HeadEndScanner()
            guard let headBytes = bytes.readSlice(length: length) else { return .needMore }
            do { try head.parseAnswer(headBytes.readableBytesSpan) } catch { return malformed(error) }
            if head.status < 200, head.status != 101 {
                interimAnswers += 1
                guard interimAnswers <= Self.maximumInterimAnswers else {
                    return .malformed("it sent more than \(Self.maximumInterimAnswers) interim answers (1xx)")
                }
                return .interim(headBytes)
            }
            state.headEnded()
            isHeadRead = true
            streamKind = StreamKind(head, headBytes.readableBytesSpan)
            return .head(headBytes)
        }
    }

    private func malformed(_ problem: HeadProblem) -> Received {
        .malformed("its answer is not HTTP that can be trusted: \(problem.message)")
    }
}
