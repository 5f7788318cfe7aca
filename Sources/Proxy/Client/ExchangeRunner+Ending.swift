import Routing
import Wire

/// Ends requests and records them.
extension ExchangeRunner {
    /// The exchange is over; the next one may begin.
    func finishExchange() {
        if exchange.audience == .nobody { loop.clients.detached[ObjectIdentifier(self)] = nil }
        answer = nil
        attempt.reset()
        deadline.clear()
        exchange.finished()
    }

    /// An administrator ends the request.
    func cancelled(_ ticket: Ticket) {
        guard attempt.ticket == ticket else { return }
        switch exchange.cancelled() {
        case .nothing: break
        case .refuse:
            withdraw()
            // A status that clients do not retry.
            refuse(.init(status: 410, code: "request_cancelled", message: "An administrator cancelled this request."))
        case .endVisibly:
            dropUpstream()
            breakAnswer("was told by an administrator to stop", isFault: false)
        case .endTunnel:
            dropUpstream()
            endTunnel(.upstreamBroke)
        case .endUnheard:
            dropUpstream()
            endRequest(.upstreamBroke)
            finishExchange()
        }
    }

    /// Withdraws the request from the router and its server, without counting a failure against the server.
    func withdraw() {
        dropUpstream()
        attempt.held = nil
        guard let ticket = attempt.ticket else { return }
        attempt.ticket = nil
        loop.forget(ticket)
        loop.router.send(.requestCancelled(ticket), from: loop)
    }

    /// Ends the request for the router and the statistics, exactly once. `fault`: the server's failure.
    func endRequest(_ ending: RequestRecord.Ending, fault: String? = nil) {
        guard let ticket = attempt.ticket else { return }
        attempt.ticket = nil
        loop.forget(ticket)
        record.ending = exchange.audience == .nobody ? .clientGone : ending
        noteWork()
        switch ending {
        case .clientGone:
            if record.status == 0 { record.status = 499 }
            loop.counters.clientsGone += 1
            loop.router.send(.requestCancelled(ticket), from: loop)
        case .complete, .upstreamBroke, .refused:
            let verdict: Outcome.Ending = ending == .complete ? completeVerdict : fault.map { .broken($0) } ?? .abandoned
            loop.router.send(
                .finished(
                    ticket,
                    Outcome(
                        verdict, timings: record.usage.map { Timings($0, isTimedHere: pulse.isPromptTimedHere) },
                        created: created)), from: loop)
        }
        if ending != .refused { finishRecord() }
    }

    /// What a complete answer says about its server. The router already knows of a failure that was held; one whose request
    /// could not be repeated is judged here.
    private var completeVerdict: Outcome.Ending {
        switch RetryableStatus(record.status, isSearch: false) {
        case .unavailable: .broken("answered \(record.status)")
        case .failed, .full: .abandoned
        case nil, .missing: .complete
        }
    }

    /// The id of what the server has made and keeps.
    private var created: String? {
        guard request.line.creates, (200..<300).contains(record.status) else { return nil }
        return excerpt.firstID().map { $0.cut(toBytes: ClientIdentity.longestName) }
    }

    /// Records the tokens and times of the answer: as the engine reports them, else counted in its stream and taken from our own
    /// clock.
    private func noteWork() {
        guard record.traits?.counts == true, (200..<300).contains(record.status) else { return }
        let streamKind = answer?.streamKind ?? .none
        guard var usage = excerpt.usage() ?? countedWork(streamKind) else { return }
        usage.predictedTokens = usage.predictedTokens ?? countedWork(streamKind)?.predictedTokens
        // An answer that is not a stream comes when everything is done, so its first byte shows nothing.
        let isTimedHere = streamKind != .none && pulse.sentAt != .zero && usage.promptMilliseconds == nil
        if streamKind != .none, pulse.sentAt != .zero {
            usage.promptMilliseconds = usage.promptMilliseconds ?? pulse.answerBeganAt.milliseconds(since: pulse.sentAt)
            usage.predictedMilliseconds =
                usage.predictedMilliseconds ?? pulse.lastUpstreamByteAt.milliseconds(since: pulse.answerBeganAt)
        }
        record.usage = usage
        pulse.isPromptTimedHere = isTimedHere
    }

    private func countedWork(_ streamKind: StreamKind) -> AnswerUsage? {
        let events: Int
        switch streamKind {
        case .none: return nil
        case .events: events = excerpt.events(linesPerEvent: request.line.dialect == .anthropic ? 3 : 2)
        case .lines: events = excerpt.events(linesPerEvent: 1)
        }
        return events > 0 ? AnswerUsage(predictedTokens: events) : nil
    }

    func finishRecord() {
        record.totalMilliseconds = loop.now.milliseconds(since: pulse.arrivedAt)
        loop.counters.requestsByStatusClass[min(5, max(0, record.status / 100))] += 1
        loop.counters.bytesReceived += record.bytesReceived
        loop.counters.bytesSent += record.bytesSent
        loop.log(record)
    }
}

extension Timings {
    /// What is not known counts as nothing.
    fileprivate init(_ usage: AnswerUsage, isTimedHere: Bool) {
        self.init(
            cachedTokens: usage.cachedTokens, promptTokens: usage.promptTokens ?? 0,
            promptMilliseconds: usage.promptMilliseconds ?? 0,
            predictedTokens: usage.predictedTokens ?? 0, predictedMilliseconds: usage.predictedMilliseconds ?? 0,
            loadMilliseconds: usage.loadMilliseconds, isTimedHere: isTimedHere)
    }
}
