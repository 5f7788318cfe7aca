/// The servers that may run a request, in the order in which they are considered. Cached for each model.
struct CandidateList: Sendable {
    struct Candidate: Sendable {
        /// Index into the router's backends.
        var index: Int
        /// The server's name.
        var server: String
        /// The model's instances: the model itself first. Empty when it is not known which model the request needs.
        var instances: [String]
        /// For each instance its index among the server's `served`; one index when there are no instances.
        var served = [0]
        /// The engine does not know the name that the client used, so a request must name the first instance.
        var renamesFirst = false
        /// Whether the engine has to load the model before it can answer. `loaded` when the engine does not say.
        var residency = ListedModel.Residency.loaded
        /// The longest prompt with its answer; nil when it is not known.
        var contextTokens: Int?
        /// The model takes images; nil when it is not known.
        var sees: Bool?
    }

    var candidates: [Candidate]
    /// Where each group of candidates ends; empty when there is only one group, as for nearly all requests. A group is considered only when no server of the groups before it is usable: the
    /// fallback order has a group for each server, an alias has a group for each of its models.
    var groupEnds: [Int]
    /// The model that a client's session belongs to; nil when it is not known which model runs.
    var model: String?
    /// The rule that chooses one of the candidates of a group.
    var rule: PickingRule
    /// The requests' class, unless their clients ask for a lower one.
    var priority = PriorityClass.normal
    var unfit: [Unfit] = []
    /// The shortest known context of the candidates, and whether one of them takes no images. Most requests fit everywhere, and need not
    /// look at each candidate.
    var shortestContext = Int.max
    var hasBlind = false

    /// Candidates in one group.
    init(_ candidates: [Candidate], model: String?, rule: PickingRule) {
        self.candidates = candidates
        groupEnds = []
        self.model = model
        self.rule = rule
    }

    /// Adds the candidates of another list as a further group.
    mutating func append(_ other: CandidateList) {
        if groupEnds.isEmpty { groupEnds = [candidates.count] }
        candidates += other.candidates
        groupEnds.append(candidates.count)
    }

    /// The positions of a group, counted from 0; nil when there is no such group.
    func group(_ number: Int) -> Range<Int>? {
        if groupEnds.isEmpty { return number == 0 ? 0..<candidates.count : nil }
        guard number < groupEnds.count else { return nil }
        return (number > 0 ? groupEnds[number - 1] : 0)..<groupEnds[number]
    }

    /// Index into the router's backends.
    func backend(of choice: Choice) -> Int { candidates[choice.position].index }

    /// The model that runs; nil when it is not known.
    func instance(of choice: Choice) -> String? {
        choice.instance.map { candidates[choice.position].instances[$0] }
    }

    /// The index of the model among its server's `served`.
    func served(of choice: Choice) -> Int { served(at: choice.position, choice.instance) }

    func served(at position: Int, _ instance: Int?) -> Int {
        let served = candidates[position].served
        return served[min(instance ?? 0, served.count - 1)]
    }

    /// The model name to request instead of the client's; nil when the client's name is right.
    func replacement(of choice: Choice) -> String? {
        guard let instance = choice.instance, instance > 0 || candidates[choice.position].renamesFirst else { return nil }
        return candidates[choice.position].instances[instance]
    }
}

extension Router {
    /// Finds the servers for a request; nil when there are none.
    mutating func candidates(for traits: RequestTraits) -> CandidateList? {
        var all = allCandidates(for: traits)
        if traits.mustBeListed { all = all.flatMap { listing($0) } }
        guard let all, let prompt = traits.prompt, all.candidates.count > 1, all.groupEnds.isEmpty,
            prompt.length > all.shortestContext || prompt.images > 0 && all.hasBlind
        else { return all }
        return withoutUnfit(all, prompt)
    }

    /// The servers that list the model that they are to run; nil when there are none.
    private mutating func listing(_ list: CandidateList) -> CandidateList? {
        // A list with several groups is an alias, or the fallback order.
        let listing = list.candidates.filter { candidate in
            candidate.instances.first.map { backends[candidate.index].models?.lists($0) == true } ?? false
        }
        guard listing.count < list.candidates.count else { return list }
        guard !listing.isEmpty else { return nil }
        var found = CandidateList(listing, model: list.model, rule: list.rule)
        found.priority = list.priority
        return withServedModels(found)
    }

    private mutating func allCandidates(for traits: RequestTraits) -> CandidateList? {
        guard traits.follows != nil else { return candidates(for: traits.destination, traits.match) }
        if let index = owner(for: traits).flatMap({ indexOfBackend[$0] }), !backends[index].isRemoved {
            return onlyCandidate(index, for: traits)
        }
        return traits.isSearch ? withServedModels(everyServer()) : candidates(for: traits.destination, traits.match)
    }

    /// The server that made what the request follows; nil when it follows nothing, or the server is not known.
    func owner(for traits: RequestTraits) -> BackendID? {
        switch traits.follows {
        case nil: nil
        case .made(let id)?: owners.backend(of: id)
        case .stream(let name)?: streamOwners.backend(of: name)
        }
    }

    private mutating func candidates(for destination: RequestTraits.Destination, _ match: RouteMatch?) -> CandidateList? {
        switch destination {
        case .model(let model):
            if let known = candidatesByModel[model] { return known }
            let found = withServedModels(resolveAlias(model, match)) ?? candidatesOfUnknownModel()
            if candidatesByModel.count >= Self.rememberedModels { candidatesByModel.removeAll() }
            candidatesByModel[model] = found
            return found
        case .fallback: return candidatesWithoutModel()
        case .server(let name):
            guard let index = backends.firstIndex(where: { $0.server.name == name && !$0.isRemoved }) else { return nil }
            return withServedModels(CandidateList([candidate(index)], model: nil, rule: fleet.rule))
        }
    }

    /// The list, with what is known of each candidate's models at hand.
    private mutating func withServedModels(_ list: CandidateList?) -> CandidateList? {
        guard var list else { return nil }
        for position in list.candidates.indices {
            let (index, names) = (list.candidates[position].index, list.candidates[position].instances)
            list.candidates[position].served =
                (names.isEmpty ? [""] : names).map {
                    backends[index].indexOfServed($0, conversationTime: fleet.policy.conversationTime)
                }
        }
        for candidate in list.candidates {
            list.shortestContext = min(list.shortestContext, candidate.contextTokens ?? .max)
            list.hasBlind = list.hasBlind || candidate.sees == false
        }
        return list
    }

    /// The server that has what the request follows.
    ///
    /// A request that names a model stays among the model's servers.
    private mutating func onlyCandidate(_ index: Int, for traits: RequestTraits) -> CandidateList? {
        guard traits.model != nil else {
            return withServedModels(CandidateList([candidate(index)], model: nil, rule: fleet.rule))
        }
        let list = candidates(for: traits.destination, traits.match)
        guard let list, let known = list.candidates.first(where: { $0.index == index }) else { return list }
        var only = CandidateList([known], model: list.model, rule: list.rule)
        only.priority = list.priority
        return only
    }

    /// All servers, one after the other, the fallback first.
    private func everyServer() -> CandidateList? {
        let present = backends.indices.filter { !backends[$0].isRemoved }
        let first = fleet.fallback.flatMap { indexOfBackend[$0] }
        let order = present.filter { $0 == first } + present.filter { $0 != first }
        guard let start = order.first else { return nil }
        var list = CandidateList([candidate(start)], model: nil, rule: fleet.rule)
        for index in order.dropFirst() { list.append(CandidateList([candidate(index)], model: nil, rule: fleet.rule)) }
        return list
    }

    /// To be called whenever the result of `candidates(for:)` may have changed.
    mutating func forgetCandidates() {
        candidatesByModel.removeAll()
        unnamedCandidates = nil
        unknownCandidates = nil
    }

    private func candidate(_ index: Int, _ instances: ModelList.Instances? = nil) -> CandidateList.Candidate {
        .init(
            index: index, server: backends[index].server.name, instances: instances?.names ?? [],
            renamesFirst: instances?.renamesFirst ?? false, residency: instances?.residency ?? .loaded,
            contextTokens: instances?.contextTokens ?? backends[index].health.lastReport?.contextTokens,
            sees: instances?.sees ?? backends[index].health.lastReport?.sees)
    }

    // MARK: Requests that name a model

    /// The servers of a model, or of the models that a configured alias stands for.
    private func resolveAlias(_ model: String, _ match: RouteMatch?) -> CandidateList? {
        guard let models = fleet.aliases[model] else { return resolve(model, match) }
        var found: CandidateList?
        for target in models {
            guard var list = resolve(target, nil) else { continue }
            for position in list.candidates.indices { list.candidates[position].renamesFirst = true }
            if found == nil { found = list } else { found?.append(list) }
        }
        found?.model = model
        return found
    }

    private func resolve(_ model: String, _ match: RouteMatch?) -> CandidateList? {
        guard let routes = fleet.routes else { return discover(model) }
        let route: Fleet.Route? =
            if let match, match.fleetNumber == fleetNumber {
                match.route.flatMap { routes.indices.contains($0) ? routes[$0] : nil }
            } else {
                routes.first { $0.pattern.matches(model) }
            }
        guard let route else { return nil }
        let indices = route.servers.compactMap { indexOfBackend[$0] }.filter { !backends[$0].isRemoved }
        guard !indices.isEmpty else { return nil }
        let listing = indices.compactMap { index in
            backends[index].models == nil
                ? candidate(index, .init(names: [model])) : backends[index].instances(of: model).map { candidate(index, $0) }
        }
        // No server lists the model. Some engines serve one model under any name, so the route's servers are used anyway.
        let candidates = listing.isEmpty ? indices.map { candidate($0, .init(names: [model])) } : listing
        var list = CandidateList(candidates, model: ownName(of: model, on: indices), rule: route.rule)
        list.priority = route.priority
        list.leaveOutUnloaded(where: { loadsNoModels($0) })
        return list
    }

    /// Without routes: the servers that list the model. If no server lists it, the servers that are not down and have not
    /// sent a list yet.
    private func discover(_ model: String) -> CandidateList? {
        let present = backends.indices.filter { !backends[$0].isRemoved }
        let listing = present.compactMap { index in
            backends[index].instances(of: model).map { candidate(index, $0) }
        }
        if !listing.isEmpty {
            var list = CandidateList(listing, model: ownName(of: model, on: present), rule: fleet.rule)
            list.leaveOutUnloaded(where: { loadsNoModels($0) })
            return list
        }
        let silent = present.filter { backends[$0].models == nil && !backends[$0].health.isDown }
        guard !silent.isEmpty else { return nil }
        return CandidateList(silent.map { candidate($0, .init(names: [model])) }, model: model, rule: fleet.rule)
    }

    /// One name for a model that has several, so that its clients keep their sessions whichever name they use.
    private func ownName(of model: String, on indices: [Int]) -> String {
        for index in indices {
            if let name = backends[index].models?.name(of: model) { return name }
        }
        return model
    }

    // MARK: Requests that name no model, or one that nobody has

    private mutating func candidatesWithoutModel() -> CandidateList? {
        if let known = unnamedCandidates { return known }
        let found = withServedModels(defaultCandidates() ?? fallbackOrder())
        unnamedCandidates = .some(found)
        return found
    }

    /// One list for all names that nobody knows. They are sent unchanged: engines with a single model ignore the name.
    ///
    /// With configured routes, a name that none of them matches is meant for the fallback.
    private mutating func candidatesOfUnknownModel() -> CandidateList? {
        if let known = unknownCandidates { return known }
        let order = fallbackOrder()
        let found = withServedModels(order == nil || fleet.routes != nil ? order : defaultCandidates() ?? order)
        unknownCandidates = .some(found)
        return found
    }

    /// The servers of `default-model`, or of the only model.
    private func defaultCandidates() -> CandidateList? {
        guard let model = fleet.defaultModel ?? soleModel, var list = resolveAlias(model, nil) else { return nil }
        for position in list.candidates.indices {
            // The request does not name the model, so it cannot name another instance either.
            list.candidates[position].instances.removeLast(max(0, list.candidates[position].instances.count - 1))
            list.candidates[position].renamesFirst = false
        }
        return list
    }

    /// The model that every server has, when no server has another one; nil otherwise.
    private var soleModel: String? {
        var sole: String?
        for backend in backends where !backend.isRemoved {
            guard let models = backend.models, !models.models.isEmpty else { continue }
            let own = backend.server.hasInstances ? models.withoutInstances : models.models
            guard own.count == 1, let name = own.first.map({ ModelName.withoutLatest($0.name) }) else { return nil }
            if let sole, models.name(of: sole) != name { return nil }
            sole = sole ?? name
        }
        return sole
    }

    /// The fallback server, then the others in configured order.
    private func fallbackOrder() -> CandidateList? {
        guard let fallback = fleet.fallback, let first = indexOfBackend[fallback], !backends[first].isRemoved else { return nil }
        return everyServer()
    }
}
