import NIOCore
import Wire

/// One connection to a backend: turns its bytes into a head and body pieces for the request that has leased it.
final class UpstreamConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A longer answer head is refused.
    static let maximumHead = 256 << 10

    let pool: UpstreamPool
    /// The request it serves; nil while idle.
    private(set) var owner: ClientHandler?
    private var context: ChannelHandlerContext?
    private(set) var head = HTTPHead()
    private(set) var streamKind = StreamKind.none
    private var headEnd = HeadEndScanner()
    /// Bytes of a head that is not complete.
    private var inbound: ByteBuffer?
    private var isReadingHead = false
    private var isPaused = false
    private var hasEnded = false
    private var lastError: String?
    /// Interim answers (1xx) passed over for the request at hand; an endless row of them is no answer.
    private var interimAnswers = 0
    private static let maximumInterimAnswers = 32

    init(pool: UpstreamPool) { self.pool = pool }

    /// Whether the server takes what it is sent.
    var isWritable: Bool { context?.channel.isWritable ?? false }

    /// Lends the connection to a request, whose answer is the next thing expected.
    func begin(for owner: ClientHandler) {
        self.owner = owner
        isReadingHead = true
        interimAnswers = 0
        headEnd = HeadEndScanner()
        inbound = nil
    }

    /// Nobody owns it any more.
    func detach() {
        owner = nil
        resumeReading()
    }

    func write(_ buffer: ByteBuffer) { context?.write(wrapOutboundOut(buffer), promise: nil) }

    func flush() { context?.flush() }

    /// Writes and flushes in one go.
    func send(_ buffer: ByteBuffer) { context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }

    func close() {
        owner = nil
        hasEnded = true
        context?.close(mode: .all, promise: nil)
    }

    /// Back to the pool after a whole answer on a connection that lives on.
    func giveBack() {
        detach()
        // One that has been closed in the meantime would swallow the next request.
        guard !hasEnded else { return }
        pool.giveBack(self, at: Clock.now)
    }

    func pauseReading() {
        if !isPaused { context?.setAutoRead(false) }
        isPaused = true
    }

    func resumeReading() {
        if isPaused { context?.setAutoRead(true) }
        isPaused = false
    }

    // MARK: Callbacks

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        guard let owner else {
            // An idle server that speaks unasked has lost its place in the protocol.
            pool.forget(self)
            context.close(promise: nil)
            return
        }
        owner.loop.readClock()
        if isReadingHead { readHead(buffer, owner) } else { owner.upstreamBody(buffer) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        owner?.upstreamReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        owner?.upstreamWritabilityChanged(isWritable: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        hasEnded = true
        if let owner {
            self.owner = nil
            owner.upstreamClosed(lastError ?? "the server closed the connection", isClean: lastError == nil)
        } else {
            pool.forget(self)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lastError = ConnectProblem.text(error)
        context.close(promise: nil)
    }

    // MARK: Heads

    private func readHead(_ buffer: ByteBuffer, _ owner: ClientHandler) {
        var bytes: ByteBuffer
        if var known = inbound {
            inbound = nil
            known.writeImmutableBuffer(buffer)
            bytes = known
        } else {
            bytes = buffer
        }
        while true {
            switch headEnd.scan(bytes.readableBytesSpan, limit: Self.maximumHead) {
            case .needMore:
                inbound = bytes
                return
            case .refused(let problem): return fail(problem)
            case .complete(let length):
                guard let headBytes = bytes.readSlice(length: length) else { return }
                do { try head.parseAnswer(headBytes.readableBytesSpan) } catch { return fail(error) }
                if head.status < 200, head.status != 101 {
                    // An interim answer: the final one follows.
                    interimAnswers += 1
                    guard interimAnswers <= Self.maximumInterimAnswers else {
                        lastError = "it sent more than \(Self.maximumInterimAnswers) interim answers (1xx)"
                        context?.close(promise: nil)
                        return
                    }
                    owner.upstreamInterim(self, headBytes: headBytes)
                    headEnd = HeadEndScanner()
                    if bytes.readableBytes == 0 { return }
                    continue
                }
                isReadingHead = false
                streamKind = StreamKind(head, headBytes.readableBytesSpan)
                owner.upstreamHead(self, headBytes: headBytes, rest: bytes)
                return
            }
        }
    }

    private func fail(_ problem: HeadProblem) {
        lastError = "its answer is not HTTP that can be trusted: \(problem.message)"
        context?.close(promise: nil)
    }
}
