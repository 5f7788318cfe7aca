import NIOCore
import NIOHTTP1

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One client connection: collects requests, hands them to the engine one after the other and plays the answers.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    /// The largest number of bytes in one write.
    private static let writeSize = 65_536

    let number: Int
    private let engine: Engine
    private(set) var channel: (any Channel)?

    private var incoming: (head: HTTPRequestHead, body: ByteBuffer)?
    private var arrived = CircularBuffer<ReceivedRequest>()
    /// The request being answered, until its answer has ended.
    private var request: Int?
    private var script: AnswerScript?
    /// The whole answer has been written; the socket has not taken all of it yet.
    private var isFinishing = false
    private var begun = NIODeadline.now()
    private var timer: Scheduled<Void>?
    private var output = ByteBuffer()
    private(set) var answersSent = 0
    private var idleSince = NIODeadline.now()
    private var idleTimer: Scheduled<Void>?

    init(number: Int, engine: Engine) {
        self.number = number
        self.engine = engine
    }

    // Requests in.

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        self.channel = channel
        engine.opened(self)
        switch engine.behaviour.fault {
        case .refuse: reset()
        case .readSlow(let rate): readSlowly(bytesPerSecond: rate)
        case _: watchIdleness()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            incoming = (head, ByteBuffer())
            if head.headers.contains(name: "expect") { send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) }
            if case .readSlow(let rate)? = try? engine.fault(of: head) { readSlowly(bytesPerSecond: rate) }
        case .body(var part):
            incoming?.body.writeBuffer(&part)
        case .end:
            guard let (head, body) = incoming else { return }
            incoming = nil
            arrived.append(ReceivedRequest(head: head, body: Array(body.readableBytesView)))
            takeNextRequest()
        }
    }

    private func takeNextRequest() {
        guard request == nil, channel?.isActive == true, let next = arrived.popFirst() else { return }
        let number = engine.begin(next, on: self)
        request = number
        engine.answer(next, number: number, on: self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.close(promise: nil) }
        send(Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        idleTimer?.cancel()
        end(.cancelled)
        engine.closed(self)
    }

    /// Reads a few bytes at a time, at even intervals.
    private func readSlowly(bytesPerSecond: Int) {
        guard let channel else { return }
        let portion = max(1, min(4096, bytesPerSecond / 10))
        channel.setOption(.autoRead, value: false).assumeIsolated().whenFailure { _ in }
        channel.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: portion))
            .assumeIsolated().whenFailure { _ in }
        let interval = TimeAmount.nanoseconds(Int64(portion) * 1_000_000_000 / Int64(bytesPerSecond))
        func readAgain() {
            guard channel.isActive else { return }
            channel.read()
            channel.eventLoop.assumeIsolated().scheduleTask(in: interval) { readAgain() }
        }
        readAgain()
    }

    // Answers out.

    /// Starts to send an answer. The engine calls this once for each request that it was given, immediately or later.
    func play(_ script: AnswerScript) {
        self.script = script
        begun = .now()
        advance()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if timer == nil { advance() }
    }

    private func advance() {
        timer = nil
        while !isFinishing, let channel, channel.isActive, channel.isWritable, let step = script?.next() {
            switch step {
            case .send(let bytes):
                output.writeBytes(bytes)
                if output.readableBytes >= Connection.writeSize { flush() }
            case .wait(let offset):
                if begun + offset > .now() { return resume(at: begun + offset) }
            case .pause(let time):
                return resume(at: .now() + time)
            case .stall:
                return flush()
            case .reset: flush(thenEnd: .broken) { self.reset() }
            case .close: flush(thenEnd: .broken) { channel.close(promise: nil) }
            case .finished(let keepsConnection):
                flush(thenEnd: .completed) {
                    self.answersSent += 1
                    self.idleSince = .now()
                    guard keepsConnection else { return channel.close(promise: nil) }
                    guard !self.arrived.isEmpty else { return }
                    channel.eventLoop.assumeIsolated().execute { self.takeNextRequest() }
                }
            }
        }
    }

    private func resume(at deadline: NIODeadline) {
        flush()
        timer = channel?.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.advance() }
    }

    private func flush() {
        guard output.readableBytes > 0 else { return }
        // The bytes are moved out before the write: the write may make the channel writable again, which calls `advance` from
        // inside this call.
        let bytes = output
        output = ByteBuffer()
        channel?.writeAndFlush(bytes, promise: nil)
    }

    /// Ends the request once the socket has taken the whole answer, then goes on.
    private func flush(thenEnd outcome: Observations.Outcome, _ next: @escaping () -> Void) {
        guard let channel else { return }
        isFinishing = true
        channel.writeAndFlush(output).assumeIsolated().whenSuccess {
            self.isFinishing = false
            self.end(outcome)
            next()
        }
        output = ByteBuffer()
    }

    private func send(_ bytes: [UInt8]) {
        channel?.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    /// Ends the current request, if there is one.
    private func end(_ outcome: Observations.Outcome) {
        timer?.cancel()
        timer = nil
        guard let request else { return }
        let eventsSent = script?.eventsSent ?? 0
        self.request = nil
        script = nil
        engine.ended(request, outcome, eventsSent: eventsSent)
    }

    // The end of the connection.

    /// Closes the connection as if the engine's process were killed.
    func cutOff() {
        end(.broken)
        channel?.close(promise: nil)
    }

    private func reset() {
        guard let channel else { return }
        // A socket that does not linger is closed with RST. On its own loop the option is set before `close` is called.
        (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            .assumeIsolated().whenFailure { _ in }
        channel.close(promise: nil)
    }

    private func watchIdleness() {
        guard let channel, let limit = engine.behaviour.idleTimeout.map({ TimeAmount($0) }) else { return }
        let deadline = max(idleSince + limit, .now() + .milliseconds(1))
        idleTimer = channel.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            let isIdle = self.request == nil && self.incoming == nil
            if isIdle, self.idleSince + limit <= .now() { return channel.close(promise: nil) }
            if !isIdle { self.idleSince = .now() }
            self.watchIdleness()
        }
    }
}
