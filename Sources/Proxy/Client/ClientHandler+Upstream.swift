import NIOCore
import Routing
import Wire

/// A granted request on its way to the server, and the server's answer up to the decision to forward it.
extension ClientHandler {
    /// Gets a connection to the granted server: a kept one, or a new one.
    func lease(allowKept: Bool) {
        guard let backend = request.grant?.backend else { return }
        guard let pool = loop.pool(of: backend) else {
            return upstreamFailed("the server is no longer configured")
        }
        if request.wantsUpgrade, refusesResponsesSocket(pool.endpoint) { return }
        request.dialNumber += 1
        if allowKept, let kept = pool.leaseKept(at: loop.now) { return run(on: kept, isReused: true) }
        let (dialNumber, ticket) = (request.dialNumber, request.ticket)
        pool.dial(timeout: loop.settings.connectTimeout) { [self] result in
            loop.readClock()
            let isCurrent = request.ticket == ticket && request.dialNumber == dialNumber && exchange.state == .connecting
            switch result {
            case .success(let connection):
                if isCurrent { run(on: connection, isReused: false) } else { connection.giveBack() }
            case .failure(let error):
                guard isCurrent else { break }
                if ConnectProblem.isShortage(error) { refuseForShortage() } else { upstreamFailed(ConnectProblem.text(error)) }
            }
        }
    }

    private func run(on connection: UpstreamConnection, isReused: Bool) {
        guard exchange.connected(isReused: isReused) else { return connection.giveBack() }
        request.upstream = connection
        request.lastUpstreamByteAt = loop.now
        connection.begin(for: self)
        if !isWritable { connection.pauseReading() }
        expect(.firstByte, within: loop.settings.firstByteTimeout)
        if request.upload == .waiting { beginUpload(on: connection) } else { sendRequest(on: connection) }
    }

    private func sendRequest(on connection: UpstreamConnection) {
        let body = outgoingBody()
        let isFramed = body.count > 0 || head.framing != .unstated
        writeRequestHead(for: connection.pool, framing: isFramed ? .length(body.count) : .none)
        loop.headWriter.withSpan { _ = loop.outbound.writeBytes($0) }
        let joins = body.count <= Self.joinedBytes
        if joins {
            body.forEachPiece { loop.outbound.writeImmutableBuffer($0) }
            connection.send(loop.outbound)
        } else {
            connection.write(loop.outbound)
            body.forEachPiece { connection.write($0) }
            connection.flush()
        }
        loop.outbound.clear()
    }

    /// A body on its way to a server: as it came, or with the chosen instance in place of the model.
    struct OutgoingBody {
        var whole: ByteBuffer
        /// What replaces that part of it.
        var replacement: (range: Range<Int>, bytes: ByteBuffer)?

        var count: Int {
            guard let replacement else { return whole.readableBytes }
            return whole.readableBytes - replacement.range.count + replacement.bytes.readableBytes
        }

        func forEachPiece(_ body: (ByteBuffer) -> Void) {
            func part(_ range: Range<Int>) {
                guard let slice = whole.getSlice(at: whole.readerIndex + range.lowerBound, length: range.count),
                    slice.readableBytes > 0
                else { return }
                body(slice)
            }
            guard let replacement else { return part(0..<whole.readableBytes) }
            part(0..<replacement.range.lowerBound)
            body(replacement.bytes)
            part(replacement.range.upperBound..<whole.readableBytes)
        }
    }

    func outgoingBody() -> OutgoingBody {
        guard let instance = request.grant?.model, let range = request.facts.modelRange,
            range.upperBound <= request.body.readableBytes
        else { return OutgoingBody(whole: request.body) }
        let name = request.isMultipart ? Array(instance.utf8) : JSON.string(instance).bytes
        return OutgoingBody(whole: request.body, replacement: (range, ByteBuffer(bytes: name)))
    }

    /// How the body goes to the server.
    enum OutgoingFraming {
        case none
        case length(Int)
        case chunked
    }

    /// Writes the head into the loop's writer.
    func writeRequestHead(for pool: UpstreamPool, framing: OutgoingFraming) {
        writeRequestHead(for: pool, framing: framing, into: &loop.headWriter)
    }

    private func writeRequestHead(for pool: UpstreamPool, framing: OutgoingFraming, into writer: inout ByteWriter) {
        let headBytes = request.headBytes
        let source = headBytes.readableBytesSpan
        writer.reset()
        writer.write(source, head.method)
        writer.write(" ")
        writer.write(pool.endpoint.pathPrefix)
        if case .upstream(_, let restStart) = request.kind {
            let rest = (head.target.lowerBound + restStart)..<head.target.upperBound
            if rest.isEmpty || request.target.utf8.dropFirst(restStart).first != UInt8(ascii: "/") { writer.write("/") }
            writer.write(source, rest)
        } else {
            writer.write(source, head.target)
        }
        writer.write(pool.lines.host)
        let replacesAuthorization = pool.endpoint.authorization != nil
        writer.copyFields(of: head, from: source, except: replacesAuthorization ? Self.rewrittenWithKey : Self.rewritten)
        writer.write(pool.lines.added)
        writer.write("X-Forwarded-For: ")
        if head.present.contains(.forwardedFor) {
            for field in head.fields where field.known == .forwardedFor && !field.value.isEmpty {
                writer.write(source, field.value)
                writer.write(", ")
            }
        }
        writer.write(peer)
        writer.write("\r\n")
        if !head.present.contains(.forwardedProto) { writer.write("X-Forwarded-Proto: http\r\n") }
        if !head.present.contains(.forwardedHost), let host = head.first(.host) {
            writer.write("X-Forwarded-Host: ")
            writer.write(source, host.value)
            writer.write("\r\n")
        }
        writer.write(head.minorVersion == 1 ? "Via: 1.1 llama-balancer\r\n" : "Via: 1.0 llama-balancer\r\n")
        writer.writeField("X-Request-Id", request.record.requestID)
        switch framing {
        case .none: break
        case .length(let length):
            writer.write("Content-Length: ")
            writer.write(length)
            writer.write("\r\n")
        case .chunked: writer.write("Transfer-Encoding: chunked\r\n")
        }
        if request.wantsUpgrade { writer.write("Connection: Upgrade\r\nUpgrade: websocket\r\n") }
        writer.endHead()
    }

    /// Fields of requests that are not passed on as they came.
    private static let rewritten = FieldSet(.host, .contentLength, .expect, .forwardedFor, .requestID)
    private static let rewrittenWithKey = rewritten.union(FieldSet(.authorization, .apiKey))

    // MARK: What can go wrong

    /// This machine cannot open another connection. No server is to blame, and none could be reached any better.
    private func refuseForShortage() {
        withdraw()
        refuse(
            .init(
                status: 503, code: "balancer_overloaded",
                message: "The balancer has no file descriptor left for a connection to a server. Try again in 1 s; "
                    + "if this lasts, raise its limit of open files or lower limits.connections.", retryAfterSeconds: 1))
    }

    /// Connecting failed, or a connection could not be used.
    func upstreamFailed(_ detail: String) { handle(exchange.upstreamLost(), .connect(detail)) }

    /// The leased connection has ended. `isClean`: with FIN, which ends a body that has no other end.
    func upstreamClosed(_ detail: String, isClean: Bool = false) {
        request.upstream = nil
        if isClean, var answer = request.answer, exchange.state == .relaying, answer.reader.connectionEnded() {
            request.answer = answer
            if case .rechunked = answer.clientFraming { writeToClient("0\r\n\r\n") }
            return answerComplete()
        }
        handle(exchange.upstreamLost(), .beforeAnswer(detail))
    }

    func upstreamTimedOut() {
        guard let upstream = request.upstream else { return }
        let isFirst = request.deadlineMeaning == .firstByte
        upstream.close()
        request.upstream = nil
        guard isFirst, exchange.state != .relaying else {
            return handle(exchange.upstreamLost(), .beforeAnswer("was silent for longer than timeouts.between-bytes"))
        }
        // A prefill that took too long here takes too long elsewhere: no second try.
        endRequest(.refused, fault: "did not begin to answer within timeouts.first-byte")
        refuse(
            .init(
                status: 504, code: "upstream_timeout",
                message: "\(request.record.server ?? "The server") did not begin to answer within timeouts.first-byte."))
    }

    func serverLost(_ ticket: Ticket) {
        guard request.ticket == ticket else { return }
        let isSilent = isWritable && request.lastUpstreamByteAt + .seconds(2) < loop.now
        let action = exchange.serverLost(isSilent: isSilent)
        if action == .ignore { return }
        request.upstream?.close()
        request.upstream = nil
        handle(action, .serverLost)
    }

    private func handle(_ action: Exchange.UpstreamLoss, _ failure: AttemptFailure) {
        if request.isDetached, action != .ignore { return endRequest(.upstreamBroke, fault: failure.message) }
        switch action {
        case .ignore: break
        case .tryFreshConnection: lease(allowKept: false)
        case .report:
            request.heldHead = nil
            request.heldRest = nil
            expect(.none, within: nil)
            guard let ticket = request.ticket else { return }
            let isFinal = !exchange.isRepeatable
            if isFinal { stopReceivingBody() }
            loop.router.send(.attemptFailed(ticket, isFinal ? .notRepeatable(failure.message) : failure), from: loop)
        case .endVisibly: breakAnswer(failure.message)
        case .endTunnel: endTunnel()
        }
    }

    /// What still comes of the body is nobody's any more.
    private func stopReceivingBody() {
        if request.bodyReader != nil { request.keepsAlive = false }
        request.bodyReader = nil
    }

    // MARK: The answer's head

    /// Early hints and the like go on to clients that can take them; `100 Continue` is this hop's own business.
    func upstreamInterim(_ connection: UpstreamConnection, headBytes: ByteBuffer) {
        guard connection.head.status != 100, !request.isHTTP10, !request.isCommittedToStream, !request.isDetached else { return }
        var writer = ByteWriter()
        let source = headBytes.readableBytesSpan
        writer.write("HTTP/1.1")
        writer.write(source, 8..<connection.head.fieldsStart)
        writer.copyFields(of: connection.head, from: source, except: FieldSet(.contentLength))
        writer.endHead()
        writer.withSpan { writeToClient($0) }
        flushToClient()
    }

    func upstreamHead(_ connection: UpstreamConnection, headBytes: ByteBuffer, rest: ByteBuffer) {
        request.lastUpstreamByteAt = loop.now
        let status = connection.head.status
        if status == 101, request.wantsUpgrade { return beginTunnel(connection, headBytes, rest) }
        guard status != 101 else {
            // Nobody asked for another protocol: `Upgrade` is not passed on.
            connection.close()
            return upstreamClosed("switched protocols unasked")
        }
        // Nothing more comes after a stream's head that has no body: to HEAD, or with a length of 0.
        let isStream =
            connection.streamKind != .none && !BodyReader(answer: connection.head, toHead: request.isHead).isFinished
        switch exchange.answerHead(
            status: status, isStream: isStream, hasBodyBytes: rest.readableBytes > 0)
        {
        case .forward: forwardAnswer(connection, headBytes, rest)
        case .holdHead:
            request.heldHead = headBytes
        case .holdAndReport:
            request.heldHead = headBytes
            request.heldRest = rest
            connection.pauseReading()
            guard let ticket = request.ticket else { return }
            loop.router.send(.attemptFailed(ticket, .answered(status: status)), from: loop)
        case .ignore: connection.close()
        }
    }

    /// The router has nothing better than the held 502, 503 or 504.
    func keepAnswer(_ ticket: Ticket) {
        guard request.ticket == ticket, exchange.released(), let head = request.heldHead else { return }
        let rest = request.heldRest ?? ByteBuffer()
        request.heldHead = nil
        request.heldRest = nil
        guard let upstream = request.upstream else { return breakAnswer("the server closed the connection") }
        forwardAnswer(upstream, head, rest)
        request.upstream?.resumeReading()
    }
}
