// Explanations as text, for the admin API.

extension Explanation {
    var candidates: [DecisionRecord.Candidate] {
        list.candidates.enumerated().map { position, candidate in
            let chosen = position == choice?.position ? choice : nil
            let finding = position < findings.count ? findings[position] : nil
            return DecisionRecord.Candidate(
                server: candidate.server, instance: chosen.flatMap { list.instance(of: $0) } ?? candidate.instances.first,
                isChosen: chosen != nil,
                reason: chosen?.reason.text ?? finding?.code.text(rule: list.rule) ?? "not looked at",
                inFlight: finding?.inFlight,
                limit: finding?.limit, sessions: finding?.sessions,
                price: finding?.price)
        }
            + list.unfit.map { .init(server: $0.server, isChosen: false, reason: $0.reason.text) }
    }
}

extension CandidateList.Unfit.Reason {
    var text: String {
        switch self {
        case .contextTooShort(let context, let prompt):
            "its context of \(context) tokens is too short for a prompt of about \(prompt)"
        case .notLoaded: "the model is not loaded there, and the server loads none by itself"
        case .cannotSee: "the prompt has images, and the model there takes none"
        }
    }
}

extension Finding.Code {
    func text(rule: PickingRule) -> String {
        switch self {
        case .chosen(let reason): reason.text
        case .ineligible(let reason): reason.text
        case .noSession: "does not hold this client's session"
        case .dearer: "costs more"
        case .held: "busy, but costs least: the request waits for it"
        case .passedOver:
            rule == .sticky ? "busier, holds more sessions, or later in order" : "not chosen by the rule \(rule.rawValue)"
        case .laterInOrder: "its turn comes when the servers before it are unusable"
        }
    }
}

extension Choice.Reason {
    var text: String {
        switch self {
        case .sticky: "holds this client's session"
        case .idleInstance: "idle, and the instance is free"
        case .idleServer: "idle, all instances in use"
        case .busyInstance: "the machine is busy, and the instance is free"
        case .busyServer: "the machine is busy, all instances in use"
        case .fewestInFlight: "the fewest requests are in flight there"
        case .cheapest: "costs least"
        case .itsTurn: "its turn"
        case .hasPrefix: "got most of this prompt before"
        case .nextOnRing: "the next one on the ring of hashes"
        case .overflow: "fewer requests in flight than on the server with the client's session"
        case .firstInOrder: "the first in order, for a light request"
        case .doesNotWait: "no server is fit, but a light request does not wait"
        case .onlyServer: "named by the request"
        case .lastResort: "nobody is up; tried once all the same"
        }
    }
}

extension Ineligibility {
    var text: String {
        switch self {
        case .failedThisRequest: "failed this request before"
        case .down: "down"
        case .draining: "draining"
        case .failing: "failed several requests in a row, and is left alone for a while"
        case .full: "full"
        }
    }
}
