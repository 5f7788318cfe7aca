import NIOCore
import Wire

/// The balancer's own answers: its endpoints, and errors in the client's API format.
extension ExchangeRunner {
    /// Passes the request to the balancer's own endpoints.
    func answerHere() {
        exchange.localAnswerBegan()
        let passed = head.fields.filter { $0.known == .via }.map { string($0.value) }
        let local = LocalRequest(
            method: request.line.method, target: request.line.target, body: Array(request.body.readableBytesView),
            key: request.key,
            via: (passed + ["1.1 " + loop.viaName]).joined(separator: ", "))
        switch loop.localEndpoints.answer(local) {
        case .now(let response): send(response, isRefusal: false)
        case .later(let future):
            let bound = NIOLoopBound((self, requestNumber), eventLoop: loop.eventLoop)
            future.hop(to: loop.eventLoop).whenComplete { result in
                let (runner, number) = bound.value
                runner.loop.handle(.exchange(runner, .answeredHere(number: number, result)))
            }
        case .events(let begin):
            guard exchange.eventFeedBegan() else { return }
            stream.sendHead(
                OwnHead(
                    status: 200, contentType: "text/event-stream",
                    fields: [("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")], body: .open))
            stream.flush()
            begin(EventSink(self, closed: stream.closed))
        }
    }

    /// Answers a browser's question whether a page of another origin may send a request (a CORS preflight); false if this is none.
    func answersPreflight() -> Bool {
        let line = request.line
        guard line.method == "OPTIONS", let origin = value(of: .origin), let method = value(of: .requestedMethod) else {
            return false
        }
        // What counts is the request that would follow.
        guard CrossOrigin.isAllowed(Routes.kind(method: method, target: line.target), path: line.path),
            loop.settings.allowedOrigins.contains(origin)
        else {
            refuse(.init(status: 403, code: "forbidden", message: "A page of another site may not use \(line.path)."))
            return true
        }
        exchange.localAnswerBegan()
        let fields = CrossOrigin.fields(for: origin, method: method, headers: value(of: .requestedHeaders))
        stream.sendHead(OwnHead(status: 204, fields: fields, body: .none))
        stream.end()
        finishExchange()
        return true
    }

    /// Fields that let a page of another origin read an answer of the balancer, where it may.
    var crossOriginFields: [(name: String, value: String)] {
        guard request.line.method != "OPTIONS", CrossOrigin.isAllowed(request.line.kind, path: request.line.path) else {
            return []
        }
        guard let origin = value(of: .origin), !origin.isEmpty, loop.settings.allowedOrigins.contains(origin) else {
            return loop.settings.allowedOrigins == .any ? [] : CrossOrigin.varies
        }
        return CrossOrigin.fields(for: origin)
    }

    func answeredHere(_ number: Int, _ result: Result<LocalResponse, any Error>) {
        guard number == requestNumber, exchange.state == .answering else { return }
        switch result {
        case .success(let response): send(response, isRefusal: false)
        case .failure(let error): refuse(.init(status: 502, code: "upstream_failed", message: String(describing: error)))
        }
    }

    func feed(_ number: Int, _ bytes: [UInt8]) {
        guard number == requestNumber, exchange.state == .feedingEvents else { return }
        stream.send(bytes)
        stream.flush()
    }

    /// `isRefusal`: the response replaces a server's answer, so it is recorded.
    private func send(_ response: LocalResponse, isRefusal: Bool) {
        let hasBody = response.status != 204
        stream.sendHead(
            OwnHead(
                status: response.status, contentType: response.contentType, fields: response.headers + crossOriginFields,
                body: hasBody ? .length(response.body.count) : .none))
        if hasBody, request.line.method != "HEAD" { stream.send(response.body) }
        stream.end()
        if isRefusal { finishRecord() }
        finishExchange()
    }

    /// Answers with an error in the client's API format.
    func refuse(_ reply: ErrorReply) {
        let isCommitted = exchange.audience == .committedClient
        exchange.localAnswerBegan()
        deadline.clear()
        record.requestID = requestID()
        record.status = reply.status
        record.ending = .refused
        if exchange.bodyStopped() { stream.stopReceiving() }
        // Refused keys are lines of the access log, whatever they were for.
        let isRefusal = request.line.kind != .own || reply.code == ErrorReply.invalidKey || reply.code == ErrorReply.forbidden
        if isCommitted {
            // A stream has begun without an answer, so the error is its only event.
            stream.breakOff(reply.streamEvent(request.line.dialect))
            if isRefusal { finishRecord() }
            return finishExchange()
        }
        var headers: [(name: String, value: String)] = [("X-Request-Id", record.requestID)]
        if reply.status == 401 { headers.append(("WWW-Authenticate", request.line.challenge)) }
        if reply.status == 426 { headers.append(("Upgrade", "HTTP/1.1")) }
        if let seconds = reply.retryAfterSeconds { headers.append(("Retry-After", String(seconds))) }
        send(
            LocalResponse(status: reply.status, headers: headers, body: reply.json(request.line.dialect).bytes),
            isRefusal: isRefusal)
    }

    /// The rest of the request is not read. The connection closes after the answer.
    func refuseReceiving(_ reply: ErrorReply) {
        _ = exchange.bodyStopped()
        stream.stopReceiving()
        switch exchange.state {
        case .idle, .receiving: refuse(reply)
        case .waiting, .connecting, .awaitingAnswer, .holdingFailure, .readingError, .holdingHead:
            withdraw()
            refuse(reply)
        case .relaying:
            dropUpstream()
            if exchange.upstreamLost() == .endVisibly { breakAnswer("was sent a faulty request", isFault: false) }
        case .tunnelling, .answering, .feedingEvents: break
        }
    }
}
