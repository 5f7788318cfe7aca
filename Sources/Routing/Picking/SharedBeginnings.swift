// Many conversations begin alike, with the system prompt of an application. A server that does not have this beginning in its cache would
// have to compute it first, so each new conversation is cheaper elsewhere, and the server stays without it, however busy the others are.
//
// It is the question of buying or renting skis: what requests lose because a server does not have the beginning adds up, and when it has
// reached what the beginning costs there, one of them is sent there. So never more than twice the unavoidable time is lost.

extension Router {
    /// Seconds by which a request counts as cheaper on a server because it brings a beginning there that others have missed.
    func gain(of basis: PriceBasis, _ index: Int, _ served: Int, _ work: Work, speed: Double) -> Double {
        let missing = basis.sharedTokens - work.match.tokens
        guard missing > 0 else { return 0 }
        return min(missing / speed, backends[index].served[served].missed.value(at: basis.now))
    }

    /// A new conversation was placed. Adds up what it loses because the best of the servers without its beginning does not have it.
    mutating func noteMissed(_ request: PendingRequest, _ placement: Placement, at moment: Moment) {
        guard request.outlook.previous == nil, request.history.attempts == 0, request.waitingSince == nil,
            request.traits.prompt?.links.isEmpty == false
        else { return }
        let (explanation, isHeld): (Explanation, Bool)
        switch placement {
        case .run(_, let given): (explanation, isHeld) = (given, false)
        case .hold(_, _, let given): (explanation, isHeld) = (given, true)
        case .wait, .nobody: return
        }
        let findings = explanation.findings
        guard let chosen = findings.firstIndex(where: \.isChosen), let price = findings[chosen].price else { return }
        let shared = findings.reduce(0) { max($0, min($1.price?.matchedTokens ?? 0, price.promptTokens)) }
        let now = moment.seconds
        if !isHeld, price.matchedTokens < shared {
            // From now on the server has it.
            return changeMissed(chosen, explanation.list) { $0.add(-.infinity, at: now) }
        }
        var (best, least) = (Int?.none, price.total - price.sharing)
        for (position, finding) in findings.enumerated() where position != chosen {
            guard let other = finding.price, other.wait == 0, other.matchedTokens < shared else { continue }
            let newTokens = max(1, other.promptTokens - other.matchedTokens)
            let cold = min(newTokens, shared - other.matchedTokens) / newTokens * other.own
            let without = other.total - other.sharing - cold
            if without < least { (best, least) = (position, without) }
        }
        guard let best else { return }
        let lost = price.total - price.sharing - least
        changeMissed(best, explanation.list) { $0.add(lost, at: now) }
    }

    private mutating func changeMissed(_ position: Int, _ list: CandidateList, _ body: (inout DecayingSum) -> Void) {
        let candidate = list.candidates[position]
        guard let served = candidate.served.first else { return }
        body(&backends[candidate.index].served[served].missed)
    }
}
