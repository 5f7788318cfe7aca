import NIOCore
import Routing
import Wire

/// Sends a granted request to its server, and handles failures of the attempt.
extension ExchangeRunner {
    /// Leases a connection to the granted server: a kept one, or a new one.
    func lease(allowKept: Bool) {
        guard let backend = record.grant?.backend else { return }
        guard let pool = loop.pool(of: backend) else {
            return carryOut(exchange.upstreamLost(), .connect("the server is no longer configured"))
        }
        if leavesPrefix(of: pool) || request.wantsUpgrade && refusesResponsesSocket(pool) { return }
        attempt.dialNumber += 1
        if allowKept, let kept = pool.leaseKept(at: loop.now) { return send(on: kept, isReused: true) }
        let number = attempt.dialNumber
        pool.dial(timeout: loop.settings.timeouts.connect) { [self] result in
            loop.handle(.exchange(self, .dialled(number: number, result)))
        }
    }

    /// A path with `..` could leave the path prefix of the server's address, so it is refused.
    private func leavesPrefix(of pool: UpstreamPool) -> Bool {
        guard !pool.endpoint.pathPrefix.isEmpty, Routes.hasDotSegments(request.line.path) else { return false }
        withdraw()
        refuse(
            .init(
                status: 400, code: "invalid_request",
                message: "The path \(request.line.path) has a segment \"..\", which would lead out of the path of the server's "
                    + "address. Send the path that it stands for."))
        return true
    }

    func dialled(_ number: Int, _ result: Result<UpstreamConnection, any Error>) {
        let isCurrent = number == attempt.dialNumber && exchange.state == .connecting
        switch result {
        case .success(let connection):
            if isCurrent { send(on: connection, isReused: false) } else { connection.giveBack() }
        case .failure(let error):
            guard isCurrent else { break }
            if ConnectProblem.isShortage(error) { return refuseForShortage() }
            carryOut(exchange.upstreamLost(), .connect(ConnectProblem.text(error)))
        }
    }

    private func send(on connection: UpstreamConnection, isReused: Bool) {
        let sending = exchange.connected(isReused: isReused)
        guard sending != .nobody else { return connection.giveBack() }
        attempt.upstream = connection
        pulse.lastUpstreamByteAt = loop.now
        pulse.sentAt = loop.now
        connection.begin(for: self, isReused: isReused)
        connection.setReading(stream.isWritable, .clientSlow)
        deadline.set(.firstByte, within: loop.settings.timeouts.firstByte, from: loop.now)
        if sending == .streamed { beginUpload(on: connection) } else { sendWhole(on: connection) }
    }

    /// Sends the request. The buffer is first taken out of the loop's buffers, because a callback during the write must not
    /// use it.
    private func sendWhole(on connection: UpstreamConnection) {
        let body = outgoingBody(for: connection.pool)
        let isFramed = body.count > 0 || head.framing != .unstated
        var bytes = loop.buffers.takeOutbound()
        writeRequestHead(for: connection.pool, framing: isFramed ? .length(body.count) : .none)
        loop.buffers.head.withSpan { _ = bytes.writeBytes($0) }
        if body.count <= ClientHandler.joinedBytes {
            body.forEachPiece { bytes.writeImmutableBuffer($0) }
            connection.send(bytes)
        } else {
            connection.write(bytes)
            body.forEachPiece { connection.write($0) }
            connection.flush()
        }
        loop.buffers.giveBackOutbound(consume bytes)
        connection.requestSent()
    }

    // MARK: Failures

    /// This machine cannot open another connection. This is no server's fault, and another server could not be reached
    /// either.
    private func refuseForShortage() {
        withdraw()
        refuse(
            .init(
                status: 503, code: "balancer_overloaded",
                message: "The balancer has no file descriptor left for a connection to a server. Try again in 1 s; "
                    + "if this lasts, raise its limit of open files or lower limits.connections.", retryAfterSeconds: 1))
    }

    /// The leased connection has ended. `error`: nil for a FIN, which ends a body without a length.
    func upstreamEnded(_ connection: UpstreamConnection, _ error: String?) {
        guard attempt.upstream === connection else { return }
        attempt.upstream = nil
        upstreamClosed(error: error)
    }

    func upstreamClosed(error: String?) {
        if error == nil, exchange.state == .relaying, answer?.connectionEnded() == true { return answerComplete() }
        carryOut(exchange.upstreamLost(), .beforeAnswer(error ?? "the server closed the connection"))
    }

    func upstreamTimedOut() {
        guard attempt.upstream != nil else { return }
        dropUpstream()
        guard exchange.state != .relaying else {
            return carryOut(exchange.upstreamLost(), .beforeAnswer("was silent for longer than timeouts.between-bytes"))
        }
        // A prefill that takes too long on this server also takes too long on another one, so there is no retry.
        endRequest(.refused, fault: "did not begin to answer within timeouts.first-byte")
        refuse(
            .init(
                status: 504, code: "upstream_timeout",
                message: "\(record.server ?? "The server") did not begin to answer within timeouts.first-byte."))
    }

    func carryOut(_ loss: Exchange.UpstreamLoss, _ failure: AttemptFailure) {
        switch loss {
        case .ignore: break
        case .tryFreshConnection: lease(allowKept: false)
        case .report:
            attempt.held = nil
            deadline.clear()
            guard let ticket = attempt.ticket else { return }
            let isFinal = !exchange.body.isRepeatable
            if exchange.body == .streaming, exchange.bodyStopped() { stream.stopReceiving() }
            loop.router.send(.attemptFailed(ticket, isFinal ? .notRepeatable(failure.message) : failure), from: loop)
        case .endVisibly: breakAnswer(failure.message)
        case .endTunnel: endTunnel(.complete)
        case .endUnheard:
            endRequest(.upstreamBroke, fault: failure.message)
            finishExchange()
        }
    }
}
