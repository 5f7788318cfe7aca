import NIOCore
import Routing
import Wire

/// One HTTP/1 connection of a client. NIO's callbacks become events, which the loop handles one at a time; requests are read here
/// (`+Input`), answers are framed here (`+Stream`), and what happens in between is `ExchangeRunner`'s.
final class ClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let loop: LoopContext
    private let limit: ConnectionLimit
    private(set) var context: ChannelHandlerContext?
    private(set) var peer = Peer()
    let runner: ExchangeRunner

    var connection = ClientConnectionState()
    var deadline = Deadline<Waiting>()
    /// Where it stands among the loop's idle connections; nil while it is busy.
    var idlePlace: IdleConnections<ClientHandler>.Place?
    /// Bytes not looked at yet: of the body at hand, or requests sent ahead.
    var input = ByteBuffer()
    var headEnd = HeadEndScanner()
    /// Where the body at hand ends; nil while none is wanted.
    var bodyReader: BodyReader?
    /// What the last request asked for.
    var line = RequestLine.none
    /// Bytes for the client that are gathered until the next flush, so that small pieces cost one system call.
    var held = ByteBuffer()
    var framing = AnswerFraming.none
    /// Whether the client takes what it is sent.
    private(set) var isWritable = true

    /// What a connection may be waiting for.
    enum Waiting {
        /// The rest of a head.
        case head
        /// The next request.
        case request
        /// The request that may have been on its way when the program was told to end.
        case lastRequest
        /// The end of the client's side, after ours.
        case clientsEnd
    }

    /// Something that has happened to the connection.
    enum Event {
        case received(ByteBuffer)
        /// What was sent ahead can be looked at now.
        case proceed
        /// The same, and others have had their turn.
        case turnCame
        case writabilityChanged(Bool)
        case inactive
        case outputClosed
        case ticked
        /// The program ends: no further request on kept connections.
        case draining
    }

    init(loop: LoopContext, limit: ConnectionLimit) {
        self.loop = loop
        self.limit = limit
        runner = ExchangeRunner(loop: loop)
    }

    // MARK: NIO's callbacks

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        runner.stream = self
        loop.clients.connected[ObjectIdentifier(self)] = self
        loop.counters.connectionsAccepted += 1
        deadline.set(.request, within: loop.settings.timeouts.head, from: loop.now)
        becameIdle()
    }

    func channelActive(context: ChannelHandlerContext) {
        // The channel knows it by now; earlier, or asked of the context, it costs a system call.
        peer = Peer(context.channel.remoteAddress)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        loop.handle(.client(self, .received(unwrapInboundIn(data))))
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        loop.handle(.client(self, .writabilityChanged(context.channel.isWritable)))
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        loop.handle(.client(self, .inactive))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        becameBusy()
        loop.clients.connected[ObjectIdentifier(self)] = nil
        // They refer to each other; a connection that was never active does not become inactive.
        runner.stream = loop.clients.gone
        limit.closed()
    }

    // MARK: Events

    /// Handles one event. Only the loop calls this, one event at a time.
    func handle(_ event: consuming Event) {
        switch consume event {
        case .received(let bytes): received(bytes)
        case .proceed: proceed()
        case .turnCame:
            connection.turnCame()
            proceed()
        case .writabilityChanged(let isWritable): writabilityChanged(isWritable)
        case .inactive: clientLeft()
        case .outputClosed: deadline.set(.clientsEnd, within: .seconds(2), from: loop.now)
        case .ticked: ticked()
        case .draining: drain()
        }
    }

    private func writabilityChanged(_ isWritable: Bool) {
        self.isWritable = isWritable
        runner.clientWritabilityChanged()
        guard isWritable else { return }
        setReading(true, .answersUnread)
        proceed()
    }

    /// The client's connection has ended: whatever was going on for it is stopped, or goes on without it.
    private func clientLeft() {
        connection.ended()
        input = ByteBuffer()
        bodyReader = nil
        // Detach first: a stream that goes on is not paused because its client had stopped reading.
        runner.stream = loop.clients.gone
        runner.clientLeft()
    }

    private func ticked() {
        switch deadline.expired(at: loop.now) {
        case nil: break
        case .request, .clientsEnd: closeNow()
        case .lastRequest: closeGracefully()
        case .head: refuseHead(.init(status: 408, code: "invalid_request", message: "the request was not received in time"))
        }
        runner.ticked()
    }

    // MARK: The connection's end

    func closeNow() { context?.close(promise: nil) }

    /// Ends a connection that has nothing to do, once the client has taken what it was sent; the others end after their
    /// request.
    private func drain() {
        if runner.exchange.state == .feedingEvents { return closeNow() }
        guard connection.state == .expectingHead, input.readableBytes == 0 else { return connection.closeAfterAnswer() }
        // Its next request may be on its way: that one is still answered, and told that the connection ends.
        deadline.set(.lastRequest, within: loop.settings.timeouts.drainPause, from: loop.now)
    }

    /// Closes our side behind what has been written, and the rest when the client has done so too: closing at once with unread bytes would
    /// reset the connection and could take the answer with it.
    func closeGracefully() {
        guard let context, connection.closingBegan() else { return }
        becameBusy()
        input = ByteBuffer()
        bodyReader = nil
        if connection.gate.openForAll() == .resume { context.setAutoRead(true) }
        // A slow client may still take a while to read.
        deadline.set(.clientsEnd, within: loop.settings.timeouts.idle, from: loop.now)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { [loop] _ in loop.handle(.client(self, .outputClosed)) }
        context.close(mode: .output, promise: sent)
    }

    /// Closes a connection behind its last answer: at once, if the client has said that nothing more comes and has taken everything.
    func closeBehindAnswer(isLast: Bool) {
        let unsent = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)
        if isLast, bodyReader == nil, input.readableBytes == 0, unsent == 0 { closeNow() } else { closeGracefully() }
    }
}

/// Who is at the other end of a connection.
struct Peer {
    /// Without its port.
    var address = ""
    var isLoopback = false

    init() {}

    init(_ socket: SocketAddress?) {
        switch socket {
        case .v4(let address): self.address = address.host
        case .v6(let address): self.address = address.host
        case .unixDomainSocket: address = "unix"
        case nil: break
        }
        isLoopback = address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.") || address == "unix"
    }
}
