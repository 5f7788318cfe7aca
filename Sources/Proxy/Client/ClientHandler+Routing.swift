import NIOCore
import Routing
import Wire

/// A whole request has been received: what it asks for, who asks, and the router's word.
extension ClientHandler {
    func bodyComplete() {
        expect(.none, within: nil)
        request.bodyReader = nil
        switch request.kind {
        case .own:
            if isCrossSite, request.method != "GET", request.method != "HEAD" { return refuseCrossSite() }
            answerLocally()
        case .upstream(let name, _):
            if isCrossSite { return refuseCrossSite() }
            guard peerIsLoopback else {
                return refuse(
                    .init(
                        status: 403, code: "forbidden",
                        message: "/upstream/ answers to this machine only (127.0.0.1), because no admin key is configured."))
            }
            submit(.server(name), counts: true)
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

    /// A browser sends this for a page of another site: it must not steer us through its user's machine.
    var isCrossSite: Bool {
        guard let origin = head.first(.origin) else { return false }
        guard let host = head.first(.host) else { return true }
        let site = string(origin.value)
        return site != "http://" + string(host.value) && site != "https://" + string(host.value)
    }

    private func refuseCrossSite() {
        refuse(
            .init(
                status: 403, code: "forbidden", message: "A page of another site may not use \(request.record.path)."))
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
        let identity = ClientIdentity(
            username: username, sessionField: { head.first($0.field).map { string($0.value) } },
            promptCacheKey: request.facts.promptCacheKey, address: address)
        var match: RouteMatch?
        if case .model(let model) = destination { match = loop.match(model) }
        let traits = RequestTraits(
            destination: destination, client: identity.name, address: address, username: username, counts: counts,
            requestID: requestID, summary: request.record.path, conversation: request.conversation, match: match)
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

    /// The peer, or the first entry of `X-Forwarded-For` when that peer is believed.
    private func clientAddress() -> String {
        guard let field = head.first(.forwardedFor), loop.settings.trustsForwardedFor(peer) else { return peer }
        let first = string(field.value).prefix { $0 != "," }.filter { $0 != " " && $0 != "\t" }
        return first.isEmpty ? peer : String(first.prefix(100))
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

extension ClientIdentity.SessionField {
    fileprivate var field: FieldName {
        switch self {
        case .sessionID: .sessionID
        case .conversationID: .conversationID
        case .claudeCode: .claudeCodeSessionID
        case .codexSession: .codexSessionID
        case .codexThread: .codexThreadID
        }
    }
}
