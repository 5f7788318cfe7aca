import NIOCore
import Routing
import Wire

/// A granted request on its way to the server, and the server's answer up to the decision to forward it.
extension ClientHandler {
    /// Gets a connection to the granted server: a kept one, or a new one.
    func lease(allowKept: Bool) {
        guard let grant = request.grant else { return }
        guard let pool = loop.pool(of: grant.backend) else {
            return upstreamFailed("the server is no longer configured")
        }
        if refusesResponsesSocket(pool.endpoint) { return }
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
                if isCurrent { upstreamFailed(ConnectProblem.text(error)) }
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
        let pieces = bodyPieces()
        let bodyLength = pieces.reduce(0) { $0 + $1.readableBytes }
        let isFramed = bodyLength > 0 || head.framing != .unstated
        writeRequestHead(for: connection.endpoint, framing: isFramed ? .length(bodyLength) : .none)
        let joins = bodyLength <= Self.joinedBytes
        loop.outbound.writeBytes(loop.headWriter.bytes)
        if joins { for piece in pieces { loop.outbound.writeImmutableBuffer(piece) } }
        connection.write(loop.outbound)
        if !joins { for piece in pieces where piece.readableBytes > 0 { connection.write(piece) } }
        connection.flush()
        loop.outbound.clear()
    }

    /// The body; with the chosen instance in place of the model when there is one.
    func bodyPieces() -> [ByteBuffer] {
        let body = request.body
        guard let instance = request.grant?.model, let range = request.facts.modelRange,
            let before = body.getSlice(at: body.readerIndex, length: range.lowerBound),
            let after = body.getSlice(
                at: body.readerIndex + range.upperBound, length: body.readableBytes - range.upperBound)
        else { return [body] }
        var name: [UInt8] = []
        if request.isMultipart { name = Array(instance.utf8) } else { JSON.writeString(instance, into: &name) }
        return [before, ByteBuffer(bytes: name), after]
    }

    /// How the body goes to the server.
    enum OutgoingFraming {
        case none
        case length(Int)
        case chunked
    }

    func writeRequestHead(for endpoint: BackendEndpoint, framing: OutgoingFraming) {
        let headBytes = request.headBytes
        let source = headBytes.readableBytesSpan
        var writer = loop.headWriter
        loop.headWriter = HeadWriter()
        defer { loop.headWriter = writer }
        writer.reset()
        writer.write(source, head.method)
        writer.write(" ")
        writer.write(endpoint.pathPrefix)
        if case .upstream(_, let restStart) = request.kind {
            let rest = (head.target.lowerBound + restStart)..<head.target.upperBound
            if rest.isEmpty || request.target.utf8.dropFirst(restStart).first != UInt8(ascii: "/") { writer.write("/") }
            writer.write(source, rest)
        } else {
            writer.write(source, head.target)
        }
        writer.write(" HTTP/1.1\r\n")
        writer.writeField("Host", endpoint.authority)
        var forwardedFor = ""
        let replacesAuthorization = endpoint.authorization != nil
        let hasProto = head.first(.forwardedProto) != nil
        let hasHost = head.first(.forwardedHost) != nil
        for field in head.fields where field.known == .forwardedFor && !field.value.isEmpty {
            forwardedFor += string(field.value) + ", "
        }
        forwardedFor += peer
        writer.copyFields(of: head, from: source) { name in
            switch name {
            case .host, .contentLength, .expect, .forwardedFor, .requestID: false
            case .authorization, .apiKey: !replacesAuthorization
            default: true
            }
        }
        if let authorization = endpoint.authorization { writer.writeField("Authorization", authorization) }
        for header in endpoint.extraHeaders {
            writer.write(header.name)
            writer.write(": ")
            writer.write(header.value)
            writer.write("\r\n")
        }
        writer.writeField("X-Forwarded-For", forwardedFor)
        if !hasProto { writer.write("X-Forwarded-Proto: http\r\n") }
        if !hasHost, let host = head.first(.host) { writer.writeField("X-Forwarded-Host", string(host.value)) }
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

    // MARK: What can go wrong

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
        var writer = HeadWriter()
        let source = headBytes.readableBytesSpan
        writer.write("HTTP/1.1")
        writer.write(source, 8..<connection.head.fieldsStart)
        writer.copyFields(of: connection.head, from: source) { $0 != .contentLength }
        writer.endHead()
        writeToClient(writer.bytes)
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
            contentType(of: connection.head, headBytes, begins: ["text/event-stream", "application/x-ndjson"])
            && !BodyReader(answer: connection.head, toHead: request.isHead).isFinished
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

    func contentType(of head: borrowing HTTPHead, _ bytes: ByteBuffer, begins prefixes: [StaticString]) -> Bool {
        guard let field = head.first(.contentType) else { return false }
        return bytes.readableBytesSpan.extracting(field.value).hasPrefixIgnoringCase(anyOf: prefixes)
    }
}
