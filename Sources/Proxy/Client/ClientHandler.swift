import NIOCore
import Routing
import Wire

/// One client connection: NIO's callbacks in, `Exchange`'s decisions carried out.
///
/// This file reads requests; `+Routing` puts them before the router, `+Upstream` runs them, `+Answer` writes answers;
/// `+Upload` streams large bodies through, `+Tunnel` passes on what is no HTTP any more, `+Closing` ends connections.
final class ClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let loop: LoopContext
    var context: ChannelHandlerContext?
    /// The connection's peer, without its port.
    private(set) var peer = ""
    private(set) var peerIsLoopback = false

    var exchange = Exchange()
    var request = RequestInHand()
    var head = HTTPHead()
    var scanner = RequestScanner()
    /// The end of the answer at hand, for its timings.
    var tail = AnswerTail()
    /// Bytes for the client that are gathered until the next flush, so that small pieces cost one system call.
    var held = ByteBuffer()
    static let joinedBytes = 16 << 10
    /// Whether the client takes what it is sent; else its server is not read from.
    private(set) var isWritable = true
    /// Bytes not yet looked at: the next head, or requests sent ahead.
    var inbound = ByteBuffer()
    private var headEnd = HeadEndScanner()
    private var isProcessing = false
    /// What the last request asked for, and what that means.
    private var known: KnownLine
    var readingPauses: ReadingPause = []
    /// An answer was sent that ends the connection; what still comes is thrown away until the client closes.
    var isLingering = false
    /// The connection has ended: what was sent ahead on it is nobody's request any more.
    private var isGone = false

    /// Why nothing is read from the client for a while.
    struct ReadingPause: OptionSet {
        let rawValue: UInt8
        /// It has sent enough ahead of its turn.
        static let sentAhead = ReadingPause(rawValue: 1)
        /// Its upload has no server yet, or one that reads slowly; a tunnel's, too.
        static let upload = ReadingPause(rawValue: 2)
    }

    private let limit: ConnectionLimit
    /// Where it stands among the loop's idle connections; nil while it is busy.
    var idlePlace: IdleConnections<ClientHandler>.Place?

    init(loop: LoopContext, limit: ConnectionLimit) {
        self.loop = loop
        known = loop.knownLine
        self.limit = limit
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.clients[ObjectIdentifier(self)] = self
        loop.counters.connectionsAccepted += 1
        expect(.idle, within: loop.settings.headTimeout)
        becameIdle()
    }

    func channelActive(context: ChannelHandlerContext) {
        // The channel knows it by now; earlier, or asked of the context, it costs a system call.
        switch context.channel.remoteAddress {
        case .v4(let address): peer = address.host
        case .v6(let address): peer = address.host
        case .unixDomainSocket: peer = "unix"
        case nil: break
        }
        peerIsLoopback = peer.hasPrefix("127.") || peer == "::1" || peer.hasPrefix("::ffff:127.") || peer == "unix"
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        becameBusy()
        loop.clients[ObjectIdentifier(self)] = nil
        limit.closed()
    }

    func channelInactive(context: ChannelHandlerContext) {
        isGone = true
        clientGone()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// The client's connection has ended: whatever was going on for it is stopped.
    private func clientGone() {
        if mayGoOnAlone { return detach() }
        switch exchange.clientLost() {
        case .nothing: break
        case .cancel: endRequest(.clientGone)
        case .cancelAndCloseUpstream:
            request.upstream?.close()
            // This may run inside a flush: whoever flushed must not give a closed connection back.
            request.upstream = nil
            endRequest(.clientGone)
        }
    }

    // MARK: Deadlines

    func expect(_ meaning: RequestInHand.DeadlineMeaning, within interval: Interval?) {
        request.deadlineMeaning = meaning
        request.deadline = interval.map { loop.now + $0 }
    }

    /// While the client does not read, we do not read either, and the server is not late.
    func expectNextPiece() { expect(.betweenBytes, within: isWritable ? loop.settings.betweenBytesTimeout : nil) }

    func hasExpired(at now: Moment) -> Bool { request.deadline.map { $0 <= now } ?? false }

    func deadlinePassed() {
        request.deadline = nil
        switch request.deadlineMeaning {
        case .none: break
        case .idle, .lingering: closeNow()
        case .draining: closeOutput { $0.closeNow() }
        case .head, .body:
            refuseReceiving(.init(status: 408, code: "invalid_request", message: "the request was not received in time"))
        case .firstByte, .betweenBytes: upstreamTimedOut()
        }
    }

    // MARK: Reading

    func pauseReading(_ reason: ReadingPause) {
        if readingPauses.isEmpty { context?.setAutoRead(false) }
        readingPauses.insert(reason)
    }

    func resumeReading(_ reason: ReadingPause) {
        if readingPauses.remove(reason) != nil, readingPauses.isEmpty { context?.setAutoRead(true) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isLingering { return }
        loop.readClock()
        var buffer = unwrapInboundIn(data)
        if exchange.state == .tunnelling { return sendThroughTunnel(buffer) }
        if request.bodyReader != nil {
            collect(&buffer)
            if buffer.readableBytes == 0 { return }
        }
        if inbound.readableBytes == 0 { inbound = buffer } else { inbound.writeImmutableBuffer(buffer) }
        if exchange.state == .idle {
            processInbound()
        } else if inbound.readableBytes > loop.settings.maxHeader {
            // Enough was sent ahead of its turn.
            pauseReading(.sentAhead)
        }
    }

    /// Takes requests from what has been received, one after the other.
    func processInbound() {
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        becameBusy()
        while exchange.state == .idle, !isLingering, !isGone, inbound.readableBytes > 0, context != nil {
            // Empty lines before a request are ignored (RFC 9112 section 2.2).
            if headEnd.isAtStart, inbound.withSpan({ $0.startsWithEmptyLine }) {
                inbound.moveReaderIndex(forwardBy: 2)
                continue
            }
            if headEnd.isAtStart { expect(.head, within: loop.settings.headTimeout) }
            let limit = loop.settings.maxHeader
            switch inbound.withSpan({ headEnd.scan($0, limit: limit) }) {
            case .needMore: return
            case .refused(let problem): return refuseHead(problem)
            case .complete(let length):
                headEnd = HeadEndScanner()
                guard let bytes = inbound.readSlice(length: length) else { return }
                beginRequest(bytes)
            }
        }
        // Lets go of the memory, so that the next read can use it again.
        if inbound.readableBytes == 0 {
            inbound = ByteBuffer()
            if exchange.state == .idle, !isLingering { becameIdle() }
        }
        if inbound.readableBytes <= loop.settings.maxHeader { resumeReading(.sentAhead) }
    }

    private func beginRequest(_ headBytes: ByteBuffer) {
        tail.reset()
        request.arrivedAt = loop.now
        request.record.startedAt = loop.wallMilliseconds
        request.headBytes = headBytes
        do { try head.parseRequest(headBytes.readableBytesSpan) } catch { return refuseHead(error) }
        exchange.headReceived()
        lookUpFirstLine()
        request.method = known.method
        request.target = known.target
        request.isHead = request.method == "HEAD"
        request.isHTTP10 = head.minorVersion == 0
        request.isLast = !head.isPersistent
        request.keepsAlive = head.isPersistent && !loop.isDraining
        request.kind = known.meaning.kind
        request.dialect = known.meaning.dialect
        request.record.method = request.method
        request.record.path = known.meaning.path
        request.record.bytesReceived = headBytes.readableBytes
        request.wantsUpgrade = asksForWebSocket
        request.nextUploadLook = loop.settings.retryBody
        if case .length(let length) = head.framing, length > loop.settings.maxBody {
            return refuseBody(length: length)
        }
        let reader = BodyReader(request: head)
        guard !reader.isFinished else { return bodyComplete() }
        if scansJSON { scanner.reset() }
        if case .length(let length) = head.framing, length > inbound.readableBytes {
            // Grown by doubling later on: a length that is only promised costs no more than this.
            request.body.reserveCapacity(min(length, 1 << 20))
        }
        if head.expectsContinue, inbound.readableBytes == 0 {
            writeToClient("HTTP/1.1 100 Continue\r\n\r\n")
            flushToClient()
        }
        request.bodyReader = reader
        expect(.body, within: Self.bodyPause)
        if inbound.readableBytes > 0 {
            var bytes = inbound
            inbound = ByteBuffer()
            collect(&bytes)
            if bytes.readableBytes > 0 { inbound = bytes }
        }
    }

    /// Whether the body is looked into while it comes.
    var scansJSON: Bool {
        request.kind.isModel && !hasContentEncoding
    }

    var hasContentEncoding: Bool { head.first(.contentEncoding) != nil }

    /// Takes what belongs to the body out of `buffer` and leaves the rest.
    private func collect(_ buffer: inout ByteBuffer) {
        guard var reader = request.bodyReader else { return }
        expect(.body, within: Self.bodyPause)
        var consumed = 0
        reading: while true {
            let start = consumed
            switch reader.next(buffer.readableBytesSpan, &consumed) {
            case .content(let range):
                take(buffer, range, isWhole: start == 0 && reader.isFinished)
            case .needMore, .finished: break reading
            case .malformed:
                request.bodyReader = reader
                return refuseReceiving(
                    .init(status: 400, code: "invalid_request", message: "the chunked request body is malformed"))
            }
        }
        request.bodyReader = reader
        request.record.bytesReceived += consumed
        buffer.moveReaderIndex(forwardBy: consumed)
        if request.bodyCount > loop.settings.maxBody { return refuseBody(length: request.bodyCount) }
        if request.upload != .none {
            uploadWent(isFinished: reader.isFinished)
        } else if reader.isFinished {
            bodyComplete()
        } else if request.body.readableBytes > request.nextUploadLook {
            streamBodyIfPossible()
        }
    }

    /// A part of the body has come. `isWhole`: it is the body.
    private func take(_ buffer: ByteBuffer, _ range: Range<Int>, isWhole: Bool) {
        guard let slice = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count) else { return }
        if scansJSON { scanner.feed(slice.readableBytesSpan) }
        request.bodyCount += range.count
        if request.upload == .sending {
            uploadPiece(slice)
        } else if isWhole, request.body.readableBytes == 0 {
            request.body = slice
        } else {
            request.body.writeImmutableBuffer(slice)
        }
    }

    private func refuseHead(_ problem: HeadProblem) {
        exchange.headReceived()
        if request.arrivedAt == .zero {
            request.arrivedAt = loop.now
            request.record.startedAt = loop.wallMilliseconds
        }
        request.keepsAlive = false
        let status =
            switch problem {
            case .headTooLarge, .tooManyFields: 431
            case .unsupportedVersion: 505
            case .methodNotAllowed: 405
            default: 400
            }
        let code = status == 431 ? "request_too_large" : "invalid_request"
        refuse(.init(status: status, code: code, message: "Malformed request: \(problem.message)."))
    }

    private func refuseBody(length: Int) {
        refuseReceiving(
            .init(
                status: 413, code: "request_too_large",
                message: "The request body has at least \(length) bytes; `limits.body` allows \(loop.settings.maxBody)."))
    }

    /// The request is over and answered: on to the next one, or close.
    func nextRequest() {
        exchange.finished()
        let keepsAlive = request.keepsAlive && !loop.isDraining
        guard keepsAlive else { return request.isLast && inbound.readableBytes == 0 ? closeOnceSent() : lingerAndClose() }
        request = RequestInHand()
        expect(.idle, within: loop.settings.idleTimeout)
        if inbound.readableBytes > 0 { processInbound() } else { becameIdle() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable {
            request.upstream?.resumeReading()
        } else {
            request.upstream?.pauseReading()
        }
        if exchange.state == .relaying {
            loop.readClock()
            request.lastUpstreamByteAt = loop.now
            expectNextPiece()
        }
        context.fireChannelWritabilityChanged()
    }

    /// What method and target mean; most connections ask for the same again and again, and most new ones for what others did.
    private func lookUpFirstLine() {
        let start = request.headBytes.readerIndex
        guard let line = request.headBytes.getSlice(at: start, length: head.target.upperBound), line != known.bytes else {
            return
        }
        if line != loop.knownLine.bytes {
            let (method, target) = (string(head.method), string(head.target))
            loop.knownLine = KnownLine(
                bytes: ByteBuffer(bytes: line.readableBytesView), method: method, target: target,
                meaning: loop.knownTargets.look(up: target, method: method))
        }
        known = loop.knownLine
    }

    /// Text of the received head.
    func string(_ range: Range<Int>) -> String {
        request.headBytes.getString(at: request.headBytes.readerIndex + range.lowerBound, length: range.count) ?? ""
    }
}
