import NIOCore
import Routing
import Wire

/// A whole request has been received: what it asks for, who asks, and the router's word.
extension ClientHandler {
    func bodyComplete() {
        expect(.none, within: nil)
        request.bodyReader = nil
        switch request.kind {
        case .own: answerLocally()
        case .upstream(let name, _): submit(.server(name), counts: true)
        case .passed: submit(Routes.resumedConversation(request.target).map { .conversation($0) } ?? .fallback, counts: false)
        case .model(let counts, let isChat):
            // A compressed body is passed on as it is; nobody can look into it here.
            if !hasContentEncoding {
                do { request.facts = try scanner.finish() } catch { return refuseMalformed(error) }
                if isChat { applyModelRules() }
            }
            submit(request.facts.model.map { .model($0) } ?? .fallback, counts: counts)
        case .multipart:
            do { try readMultipart() } catch { return refuseMalformed(error) }
            submit(request.facts.model.map { .model($0) } ?? .fallback, counts: true)
        }
    }

    /// What can be refused before a byte of the body is kept.
    func refusalAtHead() -> ErrorReply? {
        if steersBalancer, let denial = loop.settings.localAccess.denial(of: caller) {
            return .init(status: 403, code: "forbidden", message: denial.message(path: request.record.path))
        }
        guard request.kind != .own, head.present.contains(.via), hasPassedHere else { return nil }
        return .init(
            status: 508, code: "loop_detected",
            message: "This request has passed this balancer before: one of its servers is the balancer itself, "
                + "or another balancer that sends requests back. Remove that server from the configuration.")
    }

    /// Whether the request can change the balancer, or reaches past it.
    private var steersBalancer: Bool {
        switch request.kind {
        case .upstream: true
        case .own: request.record.path.hasPrefix("/admin") || request.record.path == "/upstream"
        case .model, .multipart, .passed: false
        }
    }

    private var caller: LocalAccess.Caller {
        func value(_ name: FieldName) -> String? { head.first(name).map { string($0.value) } }
        return .init(
            peerIsLoopback: peerIsLoopback, isForwarded: !head.present.isDisjoint(with: Self.forwardingFields),
            host: value(.host), origin: value(.origin), fetchSite: value(.fetchSite))
    }

    /// Fields that a proxy adds.
    private static let forwardingFields = FieldSet(.via, .forwarded, .forwardedFor, .forwardedProto, .forwardedHost, .realIP)

    /// `Via` has our own name in it.
    private var hasPassedHere: Bool {
        head.fields.contains { $0.known == .via && string($0.value).contains(loop.viaName) }
    }

    private func refuseMalformed(_ problem: RequestScanProblem) { refuse(malformed(problem)) }

    func malformed(_ problem: RequestScanProblem) -> ErrorReply {
        .init(
            status: 400, code: "invalid_request",
            message: "The request body is malformed at byte \(problem.offset): \(problem.message).")
    }

    /// The boundary of a form; nil when the body is none.
    func multipartBoundary() -> String? {
        head.first(.contentType).flatMap { MultipartScanner.boundary(contentType: string($0.value)) }
    }

    /// Audio and image requests come as forms, or as JSON.
    private func readMultipart() throws(RequestScanProblem) {
        guard let field = head.first(.contentType), !hasContentEncoding else { return }
        let contentType = string(field.value)
        if let boundary = multipartBoundary() {
            let body = request.body
            let facts = try MultipartScanner.facts(body.readableBytesSpan, boundary: boundary)
            request.facts = facts
            request.isMultipart = true
        } else if contentType.lowercased().hasPrefix("application/json") {
            scanner.reset()
            request.body.withSpan { _ = scanner.feed($0) }
            request.facts = try scanner.finish()
        }
    }

    private func applyModelRules() {
        guard let model = request.facts.model, loop.modelRules.concern(model) else { return }
        let (received, facts) = (request.body, request.facts)
        guard
            let change = loop.modelRules.change(
                model: model,
                systemText: { facts.systemText(in: received.readableBytesSpan, limit: ModelRuleSet.searchedSystemText) })
        else { return }
        var fields = change.fields
        if change.model != model { fields.append(.init(name: "model", value: .string(change.model))) }
        let body = JSONEdit.setting(fields, in: Array(received.readableBytesView))
        request.body = ByteBuffer(bytes: body)
        scanner.reset()
        request.body.withSpan { _ = scanner.feed($0) }
        if let facts = try? scanner.finish() { request.facts = facts }
    }

    func submit(_ destination: RequestTraits.Destination, counts: Bool) {
        let address = clientAddress()
        let username = findUsername()
        let requestID = requestID()
        request.record.requestID = requestID
        request.record.address = address
        request.record.username = username
        request.record.model = request.facts.model
        request.conversation = head.first(.conversationID).map { String(string($0.value).prefix(256)) }
        let traits = RequestTraits(
            destination: destination, client: username ?? namedSession() ?? address, address: address,
            username: username, counts: counts, requestID: requestID, summary: request.record.path,
            conversation: request.conversation)
        exchange.submitted()
        let ticket = loop.ticket(for: self)
        request.ticket = ticket
        loop.router.send(.requestArrived(ticket, traits), from: loop)
    }

    private func findUsername() -> String? {
        guard !request.facts.systemTexts.isEmpty, let finder = loop.usernames else { return nil }
        let facts = request.facts
        return request.body.withSpan { finder.username(in: facts, body: $0) }
    }

    private func clientAddress() -> String {
        guard head.present.contains(.forwardedFor) else { return peer }
        let values = head.fields.filter { $0.known == .forwardedFor }.map { string($0.value) }
        return loop.settings.forwardingTrust.client(peer: peer, forwardedFor: values)
    }

    /// A session that the client names itself (CONTRACT section 8), in that order.
    private func namedSession() -> String? {
        let names: [FieldName] = [.sessionID, .conversationID, .claudeCodeSessionID, .codexSessionID, .codexThreadID]
        for name in names {
            if let field = head.first(name), !field.value.isEmpty { return String(string(field.value).prefix(256)) }
        }
        return request.facts.promptCacheKey.map { String($0.prefix(256)) }
    }

    /// The client's `X-Request-Id` when it is short and plain, else one of ours.
    func requestID() -> String {
        if !request.record.requestID.isEmpty { return request.record.requestID }
        if let field = head.first(.requestID) {
            let text = string(field.value)
            if (1...128).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) { return text }
        }
        return loop.requestIDs.next()
    }

    // MARK: The router's word

    func granted(_ grant: Grant, _ ticket: Ticket) {
        guard request.ticket == ticket, exchange.granted() else { return }
        request.upstream?.close()
        request.upstream = nil
        request.heldHead = nil
        request.heldRest = nil
        request.grant = grant
        request.record.server = grant.serverName
        request.record.instance = grant.model
        request.record.attempts = grant.attempt
        if grant.attempt > 1 { loop.counters.retries += 1 }
        // It did wait, even where the loops' clocks saw no time pass.
        if let waited = grant.waitedMilliseconds { request.record.queuedMilliseconds = max(0.001, waited) }
        // A kept connection that proves dead could not be made up for.
        lease(allowKept: request.upload == .none)
    }

    func refused(_ refusal: Refusal, _ ticket: Ticket) {
        guard request.ticket == ticket, exchange.refused() else { return }
        loop.forget(ticket)
        request.ticket = nil
        refuse(ErrorReply(refusal))
    }
}
