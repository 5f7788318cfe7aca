/// Which models are in an engine's memory. An engine lists them every few seconds only, so what requests have loaded and pushed out since
/// counts, too. Each list corrects it.
///
/// Engines push out the model that has been without a new request for longest and computes nothing (llama-server's router, Ollama).
struct ModelMemory: Sendable {
    struct Resident: Sendable {
        /// Index into the server's `served`.
        let served: Int
        /// When a request was sent for it, or it began or ended an answer. In seconds.
        var usedAt: Double
        /// False: it is being loaded, or sleeps.
        var isReady: Bool
        /// Who sent the last request for it.
        var client = ClientTable.ID.none
    }

    /// Whether the engine says at all which models are in its memory. If not, nothing is remembered here, and all models count as loaded.
    private(set) var isTold = false
    /// In the order of their last new requests, the oldest first.
    private(set) var residents: [Resident] = []
    /// How many models the engine says that it holds at most, and the most that it ever listed at once.
    var stated: Int?
    private var seen = 1
    /// A load was seen to push another model out.
    private var hasSwapped = false
    /// Since the last list, as far as is believed.
    private var pushedOut: [Int] = []
    /// When a request last began to load a model, in seconds.
    private(set) var loadedAt = -Double.infinity
    /// A load has begun or ended, well or not, since the models were listed.
    private(set) var isListOutdated = false

    private static let mostPushedOut = 16

    var capacity: Int { stated.map { max(1, $0) } ?? seen }
    var isFull: Bool { residents.count >= capacity }
    /// Otherwise the engine may hold more.
    var isCapacityKnown: Bool { stated != nil || hasSwapped }

    subscript(served: Int) -> Resident? { residents.first { $0.served == served } }

    /// The engine listed its models: those that are in its memory.
    ///
    /// - Parameter isWanted: a request in flight has it loaded, which this list may not show yet.
    mutating func listed(_ found: [Resident], isTold: Bool, isWanted: (Int) -> Bool) {
        self.isTold = isTold
        isListOutdated = false
        // One that a request has pushed out here is in the list, if the engine holds more.
        if pushedOut.contains(where: { gone in !found.contains { $0.served == gone } }) { hasSwapped = true }
        pushedOut = []
        for place in residents.indices.reversed() where !found.contains(where: { $0.served == residents[place].served }) {
            if isWanted(residents[place].served) { residents[place].isReady = false } else { residents.remove(at: place) }
        }
        for new in found {
            if let place = residents.firstIndex(where: { $0.served == new.served }) {
                residents[place].isReady = new.isReady
            } else {
                residents.append(new)
            }
        }
        seen = max(seen, found.count)
    }

    /// A request was sent for it. Returns the models that the engine pushes out for it; `isBusy`: they compute.
    mutating func began(_ served: Int, by client: ClientTable.ID = .none, isBusy: (Int) -> Bool, at now: Double) -> [Int] {
        guard isTold else { return [] }
        let known = residents.firstIndex { $0.served == served }.map { residents.remove(at: $0) }
        if known == nil { loadedAt = now }
        residents.append(Resident(served: served, usedAt: now, isReady: known?.isReady ?? false, client: client))
        let gone = pushOut { isBusy($0) || $0 == served }
        if pushedOut.count < Self.mostPushedOut { pushedOut += gone }
        return gone
    }

    /// It begins or ends an answer, so it is in memory.
    mutating func answered(_ served: Int, at now: Double) {
        guard isTold else { return }
        guard let place = residents.firstIndex(where: { $0.served == served }) else {
            isListOutdated = true
            return residents.append(Resident(served: served, usedAt: now, isReady: true))
        }
        if !residents[place].isReady { isListOutdated = true }
        (residents[place].usedAt, residents[place].isReady) = (now, true)
    }

    /// A request for it failed, and no other one is in flight: if it was to be loaded, it probably was not.
    mutating func failed(_ served: Int) {
        guard let resident = self[served], !resident.isReady else { return }
        residents.removeAll { $0.served == served }
        isListOutdated = true
    }

    /// A list was asked for.
    mutating func askedForList() { isListOutdated = false }

    /// The engine has ended.
    mutating func forget() { residents.removeAll() }

    /// Those that leave when others than the busy ones are too many. The engine waits for busy ones.
    mutating func pushOut(isBusy: (Int) -> Bool) -> [Int] {
        var gone: [Int] = []
        while residents.count > capacity, let place = residents.firstIndex(where: { !isBusy($0.served) }) {
            gone.append(residents.remove(at: place).served)
        }
        return gone
    }
}

extension Backend {
    func isBusy(with served: Int) -> Bool { jobs.contains { $0.served == served } }

    /// A request was sent for the model. Returns the models that the engine pushes out for it.
    mutating func useBegan(_ served: Int, by client: ClientTable.ID, at now: Double) -> [Int] {
        // Not by passing `isBusy(with:)`: that would copy the whole backend.
        let jobs = jobs
        return memory.began(served, by: client, isBusy: { other in jobs.contains { $0.served == other } }, at: now)
    }

    /// The models that leave because they are too many.
    mutating func pushOut() -> [Int] {
        let jobs = jobs
        return memory.pushOut { other in jobs.contains { $0.served == other } }
    }

    /// Whether the model can answer at once. A model of which the engine does not say so counts as loaded.
    func residency(of number: Int) -> ListedModel.Residency {
        guard memory.isTold, let listed = served[number].residency else { return .loaded }
        if let resident = memory[number] { return resident.isReady ? .loaded : .loading }
        return listed == .failed ? .failed : .unloaded
    }

    /// The model is not in memory, and each one that is there computes: a load would have to wait inside the engine, or break one off.
    func mustSwap(for number: Int) -> Bool {
        guard memory.isTold, memory.isFull, !jobs.isEmpty, residency(of: number) >= .unloaded else { return false }
        return memory.residents.allSatisfy { isBusy(with: $0.served) }
    }

    /// The model that has to leave if this one is loaded; nil when there is room.
    func displaced(by number: Int) -> ModelMemory.Resident? {
        guard memory.isTold, memory.isFull, residency(of: number) >= .unloaded else { return nil }
        return memory.residents.first { !isBusy(with: $0.served) } ?? memory.residents.first
    }

    /// The engine listed these models.
    mutating func remember(_ models: [ListedModel], conversationTime: Double, at now: Double) {
        let isTold = models.contains { $0.residency != nil }
        guard isTold || memory.isTold else { return }
        var found: [ModelMemory.Resident] = []
        for model in models where model.residency == .loaded || model.residency == .loading {
            let number = indexOfServed(ModelName.withoutLatest(model.name), conversationTime: conversationTime)
            guard number > 0, !found.contains(where: { $0.served == number }) else { continue }
            found.append(.init(served: number, usedAt: now, isReady: model.residency == .loaded))
        }
        let wanted = Set(jobs.map(\.served))
        memory.listed(found, isTold: isTold) { wanted.contains($0) }
    }
}

extension Router {
    /// Whether the model, or an instance of it, can answer at once.
    func residency(_ position: Int, in list: CandidateList) -> ListedModel.Residency {
        // By index: a copy of a candidate counts references.
        let index = list.candidates[position].index
        guard backends[index].memory.isTold else { return .loaded }
        var best = ListedModel.Residency.failed
        for number in list.candidates[position].served.indices {
            best = min(best, backends[index].residency(of: list.candidates[position].served[number]))
        }
        return best
    }

    /// Models have left the server's memory, and their caches with them.
    mutating func forgetCaches(of displaced: [Int], on index: Int) {
        for served in displaced { backends[index].served[served].cache.forget(in: &sequences) }
    }

    /// Has the models listed soon, after a load.
    mutating func askForList(of index: Int, _ effects: inout [Effect]) {
        guard backends[index].memory.isListOutdated else { return }
        backends[index].memory.askedForList()
        effects.append(.probeNow(backends[index].id))
    }
}
