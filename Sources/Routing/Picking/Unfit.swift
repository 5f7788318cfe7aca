// Servers on which a request cannot run, although they have its model.

extension CandidateList {
    /// A server that has the model, but cannot answer this request.
    struct Unfit: Sendable {
        var server: String
        var reason: Reason

        enum Reason: Sendable {
            /// Its context is shorter than the prompt. Both in tokens.
            case contextTooShort(context: Int, prompt: Int)
            case cannotSee
            /// The model is not loaded, and the server loads none by itself.
            case notLoaded
        }
    }
}

extension CandidateList {
    /// Leaves out the servers that would answer that the model is not loaded; none if it is loaded nowhere.
    mutating func leaveOutUnloaded(where loadsNone: (Int) -> Bool) {
        let isUnfit = candidates.map { $0.residency >= .unloaded && loadsNone($0.index) }
        guard isUnfit.contains(true), isUnfit.contains(false) else { return }
        unfit += zip(candidates, isUnfit).filter(\.1).map { .init(server: $0.0.server, reason: .notLoaded) }
        candidates = zip(candidates, isUnfit).filter { !$0.1 }.map(\.0)
    }
}

extension Router {
    /// It answers requests for a model that is not loaded with an error.
    func loadsNoModels(_ index: Int) -> Bool { backends[index].health.lastReport?.loadsModelsItself == false }

    /// The servers on which a request fits; all of them when it fits on none, because the engines' own error says best why.
    func withoutUnfit(_ all: CandidateList, _ prompt: PromptChain) -> CandidateList {
        var unfit: [Int: CandidateList.Unfit.Reason] = [:]
        for (position, candidate) in all.candidates.enumerated() {
            if prompt.images > 0, candidate.sees == false { unfit[position] = .cannotSee }
            // A shorter prompt fits in any context, whatever the tokens.
            guard let context = candidate.contextTokens, prompt.length > context else { continue }
            let figures = candidate.served.first.map { backends[candidate.index].served[$0].figures }
            let tokens = Int(bounded: Double(prompt.length) / (figures?.bytesPerToken ?? PriceWeights.bytesPerToken))
            if tokens >= context { unfit[position] = .contextTooShort(context: context, prompt: tokens) }
        }
        guard !unfit.isEmpty, unfit.count < all.candidates.count else { return all }
        var list = all
        list.candidates = all.candidates.indices.filter { unfit[$0] == nil }.map { all.candidates[$0] }
        list.unfit += unfit.sorted { $0.key < $1.key }.map { .init(server: all.candidates[$0.key].server, reason: $0.value) }
        return list
    }
}
