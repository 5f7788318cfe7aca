import NIOCore
import Routing
import Wire

/// Asks the router for a server, and handles its decision.
extension ExchangeRunner {
    /// The longest path, in bytes, that is displayed. The decision log keeps it after the request has ended.
    private static let longestPath = 512

    /// Asks the router for a server. `early`: before the body is complete.
    func submit(_ destination: RequestTraits.Destination, counts: Bool, early: Bool = false) {
        if let denial = denialOfModel() { return refuse(denial.reply) }
        let address = clientAddress()
        let username = findUsername()
        record.requestID = requestID()
        let identity = ClientIdentity(
            username: username, sessionField: { value(of: $0.field) }, promptCacheKey: request.facts.promptCacheKey,
            keyName: request.key?.name, address: address)
        var match: RouteMatch?
        if case .model(let model) = destination { match = loop.match(model) }
        let traits = RequestTraits(
            destination: destination, client: identity.name, key: request.key?.name, address: address, username: username,
            counts: counts,
            requestID: record.requestID, path: request.line.path.cut(toBytes: Self.longestPath),
            conversation: value(of: .conversationID).map { $0.cut(toBytes: ClientIdentity.longestName) },
            follows: request.line.followed ?? request.facts.follows.map { .made($0.cut(toBytes: ClientIdentity.longestName)) },
            prompt: counts && !early ? prompt() : nil, isStream: asksForStream,
            priority: value(of: .priority).flatMap { PriorityClass(rawValue: $0.lowercased()) }, match: match,
            mustBeListed: request.key?.models != nil)
        record.traits = traits
        exchange.submitted(early: early)
        let ticket = loop.ticket(for: self)
        attempt.ticket = ticket
        loop.router.send(.requestArrived(ticket, traits), from: loop)
    }

    /// The client's key is not good for the model that the request names. What cannot be told for certain was refused at the head.
    private func denialOfModel() -> KeyDenial? {
        guard let key = request.key, key.models != nil else { return nil }
        // An administrator's key may use everything that a server has.
        if case .upstream = request.line.kind { return nil }
        // Each way of writing a form has its own readers.
        if scanner.isForm { return .onlyModels(name: key.name, path: request.line.path) }
        guard !request.facts.hasSeveralModels else { return .severalModels(name: key.name) }
        var named = [request.line.namedModel, request.facts.model].compactMap(\.self)
        if request.line.dialect == .ollama, let name = request.facts.name { named.append(name) }
        guard !named.isEmpty else { return .noModel(name: key.name) }
        let refused = named.first { !loop.memory.isGood(key, for: $0) }
        return refused.map { .model(name: key.name, model: $0.cut(toBytes: ModelPattern.longestName)) }
    }

    /// Ollama streams unless it is told not to.
    private var asksForStream: Bool { request.facts.stream ?? (request.line.dialect == .ollama) }

    /// What the engine has to read.
    private func prompt() -> PromptChain? {
        readPromptWithoutVolatileParts()
        guard let outline = scanner.prompt else {
            return request.bodyCount > 0 ? PromptChain(length: request.bodyCount) : nil
        }
        guard request.line.keepsPrompt else { return PromptChain(length: outline.length) }
        var links: [PromptChain.Link] = []
        links.reserveCapacity(outline.linkCount)
        outline.forEachLink { hash, end, endsMessage in
            links.append(.init(hash: hash, end: UInt32(clamping: end), endsMessage: endsMessage))
        }
        return PromptChain(
            links: links, length: outline.length, lastMessageStart: outline.lastMessageStart, images: outline.images)
    }

    /// The configured parts of system prompts that change with every request are no content: engines get constant characters instead.
    private func readPromptWithoutVolatileParts() {
        guard loop.memory.volatilePrompts.hasPatterns else { return }
        let ranges = loop.memory.volatilePrompts.ranges(in: request.facts, body: request.body.readableBytesSpan)
        guard !ranges.isEmpty else { return }
        var body = request.body
        for range in ranges {
            body.setRepeatingByte(VolatilePrompts.replacement, count: range.count, at: body.readerIndex + range.lowerBound)
        }
        scanner.readPrompt(of: body.readableBytesSpan)
    }

    private func findUsername() -> String? {
        guard !request.facts.systemTexts.isEmpty, let finder = loop.memory.usernames else { return nil }
        let facts = request.facts
        return request.body.withSpan { finder.username(in: facts, body: $0) }
    }

    private func clientAddress() -> String {
        let peer = request.peer.address
        guard head.present.contains(.forwardedFor) else { return peer }
        let values = head.fields.filter { $0.known == .forwardedFor }.map { string($0.value) }
        return loop.settings.forwardingTrust.client(peer: peer, forwardedFor: values)
    }

    /// The client's `X-Request-Id` when it is short and plain, otherwise a generated one.
    func requestID() -> String {
        if !record.requestID.isEmpty { return record.requestID }
        if let text = value(of: .requestID), (1...128).contains(text.utf8.count),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        {
            return text
        }
        return loop.memory.ids.next()
    }

    // MARK: The router's decision

    func granted(_ grant: Grant, _ ticket: Ticket) {
        guard attempt.ticket == ticket, exchange.granted() else { return }
        dropUpstream()
        attempt.held = nil
        record.grant = grant
        if grant.attempt > 1 { loop.counters.retries += 1 }
        // At least 0.001, so that a request that waited always shows it, even if the clock was not read in between.
        if let waited = grant.waitedMilliseconds { record.queuedMilliseconds = max(0.001, waited) }
        // A streamed body cannot be sent twice, so a kept connection is not used: it may already be closed.
        lease(allowKept: exchange.body != .pending)
    }

    func refused(_ refusal: Refusal, _ ticket: Ticket) {
        guard attempt.ticket == ticket, exchange.refused() else { return }
        loop.forget(ticket)
        attempt.ticket = nil
        dropUpstream()
        attempt.held = nil
        refuse(ErrorReply(refusal))
    }

    /// The held answer (429) is dropped, and the request waits for a server.
    func requeued(_ ticket: Ticket) {
        guard attempt.ticket == ticket, exchange.requeued() else { return }
        dropUpstream()
        attempt.held = nil
        deadline.clear()
    }

    func serverLost(_ ticket: Ticket) {
        guard attempt.ticket == ticket else { return }
        let isSilent = stream.isWritable && pulse.lastUpstreamByteAt + .seconds(2) < loop.now
        let loss = exchange.serverLost(isSilent: isSilent)
        if loss == .ignore { return }
        dropUpstream()
        carryOut(loss, .serverLost)
    }

    /// The router has no better option than the held failure.
    func failureKept(_ ticket: Ticket) {
        guard attempt.ticket == ticket, let held = attempt.held else { return }
        guard !willSendAgain(), exchange.failureKept() else { return }
        attempt.held = nil
        forward(held.connection, held.head, held.rest)
        if attempt.upstream === held.connection {
            held.connection.setReading(true, .answerHeld)
        } else if attempt.upstream == nil, exchange.state == .relaying {
            // The connection has ended in the meantime. What was received may be the complete answer.
            upstreamClosed(error: nil)
        }
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
