/// Why a request was placed where it was, in codes and numbers. `ExplanationText.swift` puts it into words when somebody asks.
struct Explanation: Sendable {
    /// Only this many servers are explained: with hundreds of them, the explanation would cost more than the decision.
    static let explainedServers = 16

    var list: CandidateList
    /// Nil when no server was chosen.
    var choice: Choice?
    /// For the first candidates, in their order. Empty when there was only one candidate and it was chosen.
    var findings: [Finding] = []
}

/// What was found out about one candidate.
struct Finding: Sendable {
    enum Code: Sendable {
        case chosen(Choice.Reason)
        case ineligible(Ineligibility)
        /// The client's session is elsewhere.
        case noSession
        /// Eligible, but another server was more suitable.
        case passedOver
    }

    var code: Code
    var inFlight: Int
    var limit: Int?
    /// Sessions held there, all models together. Nil where the client's own session decided: they were not counted then.
    var sessions: Int?
}

extension Router {
    func finding(_ code: Finding.Code, _ index: Int, countsSessions: Bool = true) -> Finding {
        Finding(
            code: code, inFlight: backends[index].inFlight, limit: backends[index].limit,
            sessions: countsSessions ? sessions.count(on: backends[index].id) : nil)
    }

    /// Why this one, and why not the others.
    func explanation(of choice: Choice, among list: CandidateList, for request: PendingRequest, at now: Moment) -> Explanation {
        var explanation = Explanation(list: list, choice: choice)
        guard list.candidates.count > 1 else { return explanation }
        let isSticky = choice.reason == .sticky
        explanation.findings = list.candidates.prefix(Explanation.explainedServers).enumerated().map { position, candidate in
            let code: Finding.Code =
                if position == choice.position {
                    .chosen(choice.reason)
                } else if let reason = ineligibility(of: candidate.index, for: request, at: now) {
                    .ineligible(reason)
                } else {
                    isSticky ? .noSession : .passedOver
                }
            return finding(code, candidate.index, countsSessions: !isSticky)
        }
        return explanation
    }
}
