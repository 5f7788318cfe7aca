import NIOCore
import Routing
import Wire

/// Receives a request: refuses it at its head, reads its body, and asks the router.
extension ExchangeRunner {
    /// A client that sends nothing for this long, although it could, is disconnected.
    private static let bodyPause = Interval.seconds(60)

    // MARK: The head

    /// A request begins. `head` was parsed from `headBytes`. `received`: the number of bytes received after the head.
    func begin(_ line: RequestLine, _ headBytes: ByteBuffer, from peer: Peer, hasBody: Bool, received: Int) {
        startRecord(line, from: peer)
        record.bytesReceived = headBytes.readableBytes
        request = RequestInHand()
        request.line = line
        request.peer = peer
        request.headBytes = headBytes
        request.nextUploadLook = loop.settings.limits.retryBody
        request.wantsUpgrade = asksForWebSocket
        exchange.headReceived(hasBody: hasBody)
        if !hasBody, answersPreflight() { return }
        if let denial = keyDenial() { return refuse(denial) }
        if let reply = refusalAtHead() { return refuse(reply) }
        var bodyLength: Int?
        if case .length(let length) = head.framing { bodyLength = length }
        scanner.begin(bodyFormat, length: bodyLength)
        guard hasBody else { return bodyComplete() }
        if case .length(let length) = head.framing {
            guard length <= maxBody else { return refuseBody(length: length) }
            // A body that has already arrived completely is not copied. Otherwise the buffer grows by doubling later, so a
            // large announced length costs no more than this.
            if length > received { request.body.reserveCapacity(min(length, 1 << 20)) }
        }
        expectBody()
    }

    /// The head cannot be read.
    func refuseHead(_ reply: ErrorReply, from peer: Peer) {
        startRecord(.none, from: peer)
        request = RequestInHand()
        request.peer = peer
        exchange.headReceived(hasBody: false)
        refuse(reply)
    }

    private func startRecord(_ line: RequestLine, from peer: Peer) {
        requestNumber &+= 1
        excerpt.reset()
        pulse = Pulse(arrivedAt: loop.now)
        record = RequestRecord()
        record.startedAt = loop.wallMilliseconds
        record.line = line
        record.peerAddress = peer.address
    }

    /// The reasons for a refusal that are known before any byte of the body is stored.
    private func refusalAtHead() -> ErrorReply? {
        let line = request.line
        if line.kind.isRoutedByBody, isEncoded {
            return .init(
                status: 415, code: "unsupported_encoding",
                message: "The model cannot be read from a body with Content-Encoding \(value(of: .contentEncoding) ?? ""). "
                    + "Send the body as it is; no engine needs it to be compressed.")
        }
        // With keys, the key has decided.
        if loop.settings.keys.isEmpty, line.kind.steersBalancer(path: line.path),
            let denial = loop.settings.localAccess.denial(of: caller)
        {
            return .init(status: 403, code: "forbidden", message: denial.message(path: line.path))
        }
        // No browser asks first whether a page may open a WebSocket, and its page may read what comes.
        if request.wantsUpgrade, let origin = value(of: .origin), !loop.settings.allowedOrigins.contains(origin),
            LocalAccess.site(of: caller) == .other
        {
            return .init(status: 403, code: "forbidden", message: "A page of another site may not use \(line.path).")
        }
        // Probes of other balancers have no `Via`.
        guard line.kind != .own || Routes.isMerged(line.path), head.present.contains(.via), hasPassedHere else { return nil }
        return .init(
            status: 508, code: "loop_detected",
            message: "This request has passed this balancer before: one of its servers is the balancer itself, "
                + "or another balancer that sends requests back. Remove that server from the configuration.")
    }

    /// The request needs a key and has none that is good for it. Decided first, so that a stranger learns nothing else.
    private func keyDenial() -> KeyDenial? {
        guard !loop.settings.keys.isEmpty else { return nil }
        switch keyCheck {
        case .passed(let key):
            request.key = key
            record.keyName = key?.name
            return nil
        case .denied(let denial):
            record.keyName = denial.keyName
            return denial
        }
    }

    private var keyCheck: KeyCheck {
        let hash = hashOfKeyFields
        if let known = knownKey, known.hash == hash {
            return KeyCheck(
                request.line, known.key, isBasic: known.isBasic, now: loop.wallMilliseconds, site: LocalAccess.site(of: caller))
        }
        let credentials = credentials
        let check = KeyCheck(
            request.line, credentials, loop.settings.keys, now: loop.wallMilliseconds, site: LocalAccess.site(of: caller))
        if case .passed(let key?) = check { knownKey = KnownKey(hash: hash, key: key, isBasic: credentials.isBasic) }
        return check
    }

    private var hashOfKeyFields: Int {
        var hasher = Hasher()
        request.headBytes.withUnsafeReadableBytes { bytes in
            for field in head.fields where Self.keyFields.contains(field.known) {
                hasher.combine(field.known)
                hasher.combine(field.value.count)
                hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: bytes[field.value]))
            }
        }
        return hasher.finalize()
    }

    /// Who tries many keys waits for each answer, on a connection that ends with it.
    private func refuse(_ denial: KeyDenial) {
        guard denial.isWrongKey else { return refuse(denial.reply) }
        loop.counters.wrongKeys += 1
        guard loop.clients.failedKeys.failed(request.peer.address, at: loop.now) else { return refuse(denial.reply) }
        exchange.localAnswerBegan()
        _ = exchange.bodyStopped()
        stream.stopReceiving()
        deadline.set(.refusal(denial.reply), within: FailedKeys.delay, from: loop.now)
    }

    private var credentials: Credentials {
        var credentials = Credentials()
        for field in head.fields where Self.keyFields.contains(field.known) {
            let start = request.headBytes.readerIndex + field.value.lowerBound
            let value = request.headBytes.getBytes(at: start, length: field.value.count) ?? []
            if field.known == .authorization { credentials.add(authorization: value) } else { credentials.add(value) }
        }
        return credentials
    }

    /// The fields in which clients send keys: OpenAI's, Anthropic's and Azure's.
    static let keyFields = FieldSet(.authorization, .apiKey, .azureKey)

    /// The body is compressed. `identity` and an empty value mean that it is not.
    private var isEncoded: Bool {
        guard head.present.contains(.contentEncoding) else { return false }
        return head.fields.contains { field in
            field.known == .contentEncoding && !["", "identity"].contains(string(field.value).lowercased())
        }
    }

    private var caller: LocalAccess.Caller {
        .init(
            peerIsLoopback: request.peer.isLoopback, isForwarded: !head.present.isDisjoint(with: Self.signsOfProxies),
            host: value(of: .host), origin: value(of: .origin), fetchSite: value(of: .fetchSite))
    }

    /// Fields that a proxy adds.
    private static let signsOfProxies = forwardingFields.union(FieldSet(.via))

    /// Whether `Via` contains this balancer's own name.
    private var hasPassedHere: Bool {
        head.fields.contains { $0.known == .via && string($0.value).contains(loop.viaName) }
    }

    // MARK: The body

    func expectBody() { deadline.set(.body, within: Self.bodyPause, from: loop.now) }

    private var bodyFormat: BodyScanner.Format {
        switch request.line.kind {
        case .model: return .json
        case .multipart:
            // Audio and image requests are sent as forms or as JSON, whatever type they name.
            if let boundary = value(of: .contentType).flatMap(MultipartScanner.boundary) { return .form(boundary: boundary) }
            return .anything
        case .passed: return isEncoded ? .unread : .perhapsJSON
        case .own, .upstream: return .unread
        }
    }

    /// The longest body in bytes. The balancer's own endpoints need only small bodies.
    private var maxBody: Int { request.line.kind == .own ? ProxySettings.Limits.ownBody : loop.settings.limits.body }

    private func refuseBody(length: Int) {
        let limit = request.line.kind == .own ? "\(request.line.path) takes" : "`limits.body` allows"
        refuseReceiving(
            .init(
                status: 413, code: "request_too_large",
                message: "The request body has at least \(length) bytes; \(limit) \(maxBody)."))
    }

    /// A part of the body's content has arrived. `isWhole`: the part is the complete body.
    func bodyReceived(_ piece: ByteBuffer, isWhole: Bool) {
        scanner.feed(piece.readableBytesSpan)
        request.bodyCount += piece.readableBytes
        if exchange.body == .streaming {
            upload(piece)
        } else if isWhole, request.body.readableBytes == 0 {
            request.body = piece
        } else {
            request.body.writeImmutableBuffer(piece)
        }
    }

    /// All received bytes of the body have been handled. `framedBytes`: their number, including chunk framing.
    func bodyRead(framedBytes: Int, isFinished: Bool) {
        record.bytesReceived += framedBytes
        if request.bodyCount > maxBody { return refuseBody(length: request.bodyCount) }
        switch exchange.body {
        case .receiving where isFinished:
            exchange.bodyEnded()
            bodyComplete()
        case .receiving:
            expectBody()
            if request.body.readableBytes > request.nextUploadLook { routeEarlyIfPossible() }
        case .pending, .streaming: uploadRead(isFinished: isFinished)
        case .whole, .streamed, .abandoned: break
        }
    }

    /// The body has become long: asks the router at once if the received part shows where the request should go.
    private func routeEarlyIfPossible() {
        request.nextUploadLook = max(1, request.body.readableBytes) * 2
        // What follows may name another model, for which the key is not good.
        guard request.key?.models == nil else { return }
        guard let (destination, counts) = destinationSoFar() else { return }
        stream.setReading(false, .serverSlow)
        deadline.clear()
        submit(destination, counts: counts, early: true)
    }

    private func destinationSoFar() -> (RequestTraits.Destination, counts: Bool)? {
        switch request.line.kind {
        case .own: return nil
        case .passed:
            if request.line.namedModel == nil, takeFactsSoFar() == nil, scanner.isLooking { return nil }
            return passedDestination()
        case .upstream(let name, _): return (.server(name), true)
        case .model(let counts, let isChat):
            // A model rule may change any part of the body, so the body must be complete.
            guard let model = takeFactsSoFar(), !(isChat && loop.memory.modelRules.concern(model)) else { return nil }
            return (.model(model), counts)
        case .multipart: return takeFactsSoFar().map { (.model($0), true) }
        }
    }

    /// The model that the body names; nil until it is known.
    private func takeFactsSoFar() -> String? {
        guard let facts = scanner.factsSoFar else { return nil }
        request.facts = facts
        return facts.model
    }

    /// The request is complete.
    private func bodyComplete() {
        deadline.clear()
        switch request.line.kind {
        case .own: answerHere()
        case .upstream(let name, _): submit(.server(name), counts: true)
        case .passed:
            // A body that is not JSON is the engine's business.
            request.facts = (try? scanner.finish()) ?? RequestFacts()
            let (destination, counts) = passedDestination()
            submit(destination, counts: counts)
        case .model(let counts, let isChat):
            do { request.facts = try scanner.finish() ?? RequestFacts() } catch { return refuse(malformed(error)) }
            if isChat { applyModelRules() }
            submit((modelInBody ?? request.line.namedModel).map { .model($0) } ?? .fallback, counts: counts)
        case .multipart:
            do { request.facts = try scanner.finish() ?? RequestFacts() } catch { return refuse(malformed(error)) }
            submit((request.facts.model ?? request.line.namedModel).map { .model($0) } ?? .fallback, counts: true)
        }
    }

    /// Where a request goes whose path is not known: to the server that has its stream, or that has the model it names, wherever
    /// it names one.
    private func passedDestination() -> (RequestTraits.Destination, counts: Bool) {
        let line = request.line
        if line.followed != nil { return (.fallback, false) }
        // A new model has no server yet.
        if line.path == "/api/pull" { return (loop.settings.pullServer.map { .server($0) } ?? .fallback, false) }
        guard let model = line.namedModel ?? modelInBody else { return (.fallback, false) }
        return (.model(model), Routes.computes(method: line.method, path: line.path))
    }

    /// Whether the request is routed by the model that its target names.
    var isRoutedByTarget: Bool {
        guard request.line.namedModel != nil else { return false }
        return request.line.kind == .passed || modelInBody == nil
    }

    /// On Ollama's paths, `name` names a model as well.
    private var modelInBody: String? {
        request.facts.model ?? (request.line.dialect == .ollama ? request.facts.name : nil)
    }

    func malformed(_ problem: RequestScanProblem) -> ErrorReply {
        .init(
            status: 400, code: "invalid_request",
            message: "The request body is malformed at byte \(problem.offset): \(problem.message).")
    }

    private func applyModelRules() {
        guard let model = request.facts.model, loop.memory.modelRules.concern(model) else { return }
        let (received, facts) = (request.body, request.facts)
        guard
            let change = loop.memory.modelRules.change(
                model: model,
                systemText: { facts.systemText(in: received.readableBytesSpan, limit: ModelRuleSet.searchedSystemText) })
        else { return }
        var fields = change.fields
        if change.model != model { fields.append(.init(name: "model", value: .string(change.model))) }
        let body = JSONEdit.setting(fields, in: Array(received.readableBytesView))
        request.body = ByteBuffer(bytes: body)
        scanner.begin(.json)
        request.body.withSpan { scanner.feed($0) }
        if let facts = try? scanner.finish() { request.facts = facts }
    }
}

extension RouteKind {
    /// Whether only the body can name the model.
    fileprivate var isRoutedByBody: Bool {
        switch self {
        case .model, .multipart: true
        case .own, .upstream, .passed: false
        }
    }

    /// Whether the request can change the balancer or bypass its routing.
    fileprivate func steersBalancer(path: String) -> Bool {
        switch self {
        case .upstream: true
        case .own: path.hasPrefix("/admin") || path.hasPrefix("/upstream")
        case .model, .multipart, .passed: false
        }
    }
}
