/// Why a server was chosen for a request, as codes and numbers. `ExplanationText.swift` converts it to text on demand.
struct Explanation: Sendable {
    /// Only this many servers are explained. With hundreds of servers, the explanation would cost more than the decision.
    static let explainedServers = 16

    var list: CandidateList
    /// Nil when no server was chosen.
    var choice: Choice?
    /// For the first candidates, in their order. Empty when there was only one candidate and it was chosen.
    var findings: [Finding] = []
}

/// The result for one candidate.
struct Finding: Sendable {
    enum Code: Sendable {
        case chosen(Choice.Reason)
        case ineligible(Ineligibility)
        /// The client's session is on another server.
        case noSession
        /// Eligible, but dearer.
        case dearer
        /// Busy, but the cheapest: the request waits for it.
        case held
        /// Eligible, but another server was more suitable.
        case passedOver
        /// Considered only when every server before it is unusable.
        case laterInOrder
    }

    var code: Code
    var inFlight: Int
    var limit: Int?
    /// Sessions on the server, over all models. Nil when the client's own session decided, because sessions are not counted
    /// then.
    var sessions: Int?
    /// Nil when the rule has no prices.
    var price: Price?

    /// The request runs there, or waits for it.
    var isChosen: Bool {
        switch code {
        case .chosen, .held: true
        case .ineligible, .noSession, .dearer, .passedOver, .laterInOrder: false
        }
    }
}

extension Router {
    func finding(_ code: Finding.Code, _ index: Int, countsSessions: Bool = true, price: Price? = nil) -> Finding {
        Finding(
            code: code, inFlight: backends[index].inFlight, limit: backends[index].limit,
            sessions: countsSessions ? sessions.count(on: backends[index].id) : nil, price: price)
    }

    /// Why this server was chosen, and why the others were not.
    func explanation(of choice: Choice, among list: CandidateList, for request: PendingRequest, at now: Moment) -> Explanation {
        var explanation = Explanation(list: list, choice: choice)
        guard list.candidates.count > 1 else { return explanation }
        let isSticky = choice.reason == .sticky
        let groupEnd = list.groupEnds.first { $0 > choice.position } ?? list.candidates.count
        explanation.findings = list.candidates.prefix(Explanation.explainedServers).enumerated().map { position, candidate in
            let code: Finding.Code =
                if position == choice.position {
                    .chosen(choice.reason)
                } else if let reason = ineligibility(at: position, in: list, for: request, at: now) {
                    .ineligible(reason)
                } else {
                    position >= groupEnd ? .laterInOrder : isSticky ? .noSession : .passedOver
                }
            return finding(code, candidate.index, countsSessions: !isSticky)
        }
        return explanation
    }
}
