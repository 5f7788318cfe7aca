import NIOCore
import NIOSSL
import Routing
import Wire

/// A client's HTTP/1 connection. NIO's callbacks become events, which the loop handles one at a time. This class reads
/// requests (`+Input`) and frames answers (`+Stream`); `ExchangeRunner` does everything in between.
final class ClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let loop: LoopContext
    private let limit: ConnectionLimit
    private(set) var context: ChannelHandlerContext?
    private(set) var peer: Peer
    let runner: ExchangeRunner

    var connection = ClientConnectionState()
    var deadline = Deadline<Waiting>()
    /// The connection's place in the loop's list of idle connections; nil while it is busy.
    var idlePlace: IdleConnections<ClientHandler>.Place?
    /// Bytes that have not been handled yet: of the current body, or of pipelined requests.
    var input = ByteBuffer()
    var headEnd = HeadEndScanner()
    /// Finds the end of the current body; nil when no body is being read.
    var bodyReader: BodyReader?
    /// Method and target of the last request.
    var line = RequestLine.none
    /// Bytes for the client, collected until the next flush, so that small pieces need only one system call.
    var held = ByteBuffer()
    var framing = AnswerFraming.none
    /// Whether the client's socket can take more data.
    private(set) var isWritable = true

    /// What the connection is waiting for.
    enum Waiting {
        /// The rest of a head.
        case head
        /// The next request.
        case request
        /// A last request that may have been sent before the client learned of the shutdown.
        case lastRequest
        /// The client closing its side, after the balancer has closed its own.
        case clientsEnd
    }

    /// An event of the connection.
    enum Event {
        case received(ByteBuffer)
        /// Pipelined input can be handled now.
        case proceed
        /// Pipelined input can be handled now, after other connections had a turn.
        case turnCame
        case writabilityChanged(Bool)
        case inactive
        /// The client has closed its sending side.
        case inputClosed
        case outputClosed
        case ticked
        /// The program shuts down: kept connections take no further requests.
        case draining
    }

    init(loop: LoopContext, limit: ConnectionLimit, entrance: Peer.Entrance = .plain) {
        self.loop = loop
        self.limit = limit
        peer = Peer(through: entrance)
        runner = ExchangeRunner(loop: loop)
    }

    // MARK: NIO's callbacks

    func handlerAdded(context: ChannelHandlerContext) {
        // How long clients of different loops have been idle is compared.
        loop.readClock()
        self.context = context
        runner.stream = self
        loop.clients.connected[ObjectIdentifier(self)] = self
        loop.counters.connectionsAccepted += 1
        deadline.set(.request, within: loop.settings.timeouts.head, from: loop.now)
        becameIdle()
    }

    func channelActive(context: ChannelHandlerContext) {
        // At this point the channel knows the address. Asking earlier, or asking the context, costs a system call.
        peer = Peer(context.channel.remoteAddress, through: peer.entrance)
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

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { loop.handle(.client(self, .inputClosed)) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        becameBusy()
        loop.clients.connected[ObjectIdentifier(self)] = nil
        // Breaks the reference cycle. A connection that was never active does not become inactive.
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
        case .inputClosed: inputClosed()
        case .outputClosed:
            if connection.inputHasEnded { closeNow() } else { deadline.set(.clientsEnd, within: .seconds(2), from: loop.now) }
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

    /// The client's connection has ended: its request is stopped, or continues without the client.
    private func clientLeft() {
        connection.ended()
        input = ByteBuffer()
        bodyReader = nil
        // Detach first: a stream that continues must not stay paused because its client had stopped reading.
        runner.stream = loop.clients.gone
        runner.clientLeft()
    }

    private func inputClosed() {
        let isBetweenRequests = connection.state == .expectingHead
        guard !connection.inputEnded(answersHere: runner.exchange.state == .answering) else { return }
        // The last answer may not be sent completely.
        if isBetweenRequests { closeBehindAnswer(isLast: true) } else { closeNow() }
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

    func closeNow() {
        guard let tls else {
            context?.close(promise: nil)
            return
        }
        // The TLS handler's own way to close would wait for the client's goodbye, and pass on what it sends until then.
        context?.close(mode: .output, promise: nil)
        tls.close(promise: nil)
    }

    /// Behind the TLS handler, as seen from the client; nil when the connection is not encrypted.
    var tls: ChannelHandlerContext? {
        guard peer.isEncrypted else { return nil }
        return try? context?.pipeline.syncOperations.context(handlerType: NIOSSLServerHandler.self)
    }

    /// Closes an idle connection after the client has received all data. Other connections close after their current request.
    private func drain() {
        if runner.exchange.state == .feedingEvents { return closeNow() }
        guard connection.state == .expectingHead, input.readableBytes == 0 else { return connection.closeAfterAnswer() }
        // The client's next request may already be on its way. It is still answered, and the answer announces that the
        // connection closes.
        deadline.set(.lastRequest, within: loop.settings.timeouts.drainPause, from: loop.now)
    }

    /// Closes the sending side after the written data, and the connection after the client has closed its side. Closing at
    /// once with unread input would reset the connection, and the answer could be lost.
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
        if connection.inputHasEnded {
            // Closing the sending side of such a connection would drop what is not sent yet. This promise waits for it.
            context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
        } else {
            context.close(mode: .output, promise: sent)
        }
    }

    /// Closes a connection after its last answer. Closes at once if the client has announced that it sends nothing more and
    /// has received all data.
    func closeBehindAnswer(isLast: Bool) {
        let unsent = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)
        if isLast, bodyReader == nil, input.readableBytes == 0, unsent == 0 { closeNow() } else { closeGracefully() }
    }
}
