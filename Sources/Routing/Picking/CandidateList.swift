/// The servers that may run a request, in the order in which they are considered. Cached for each model.
struct CandidateList: Sendable {
    struct Candidate: Sendable {
        /// Index into the router's backends.
        var index: Int
        /// The server's name.
        var server: String
        /// Model names to request: the model itself first. Empty when the request names no model.
        var instances: [String]
    }

    var candidates: [Candidate]
    /// No server is known to have the model: the request goes to the fallback server under the model's own name.
    var isFallback = false
    /// The rule that chooses one of the candidates.
    var rule = PickingRule.sticky

    /// Index into the router's backends.
    func backend(of choice: Choice) -> Int { candidates[choice.position].index }

    /// The model name to request; nil when the request names no model.
    func instance(of choice: Choice) -> String? {
        choice.instance.map { candidates[choice.position].instances[$0] }
    }
}

extension Router {
    private func candidate(_ index: Int, _ instances: [String]) -> CandidateList.Candidate {
        .init(index: index, server: backends[index].server.name, instances: instances)
    }

    /// Finds the servers for a request; nil when there are none.
    mutating func candidates(for traits: RequestTraits) -> CandidateList? {
        switch traits.destination {
        case .model(let model):
            if let known = candidatesByModel[model] { return known }
            let found = resolve(model, traits.match)
            if candidatesByModel.count >= Self.rememberedModels { candidatesByModel.removeAll() }
            candidatesByModel[model] = found
            return found
        case .fallback: return fallbackAlone(model: nil)
        case .conversation(let name):
            guard let index = conversations.backend(of: name).flatMap({ indexOfBackend[$0] }), !backends[index].isRemoved else {
                return fallbackAlone(model: nil)
            }
            return CandidateList(candidates: [candidate(index, [])], rule: fleet.rule)
        case .server(let name):
            guard let index = backends.firstIndex(where: { $0.server.name == name && !$0.isRemoved }) else { return nil }
            return CandidateList(candidates: [candidate(index, [])], rule: fleet.rule)
        }
    }

    private func resolve(_ model: String, _ match: RouteMatch?) -> CandidateList? {
        guard let routes = fleet.routes else { return discover(model) ?? fallbackAlone(model: model) }
        let route: Fleet.Route? =
            if let match, match.fleetNumber == fleetNumber {
                match.route.flatMap { routes.indices.contains($0) ? routes[$0] : nil }
            } else {
                routes.first { $0.pattern.matches(model) }
            }
        guard let route else { return fallbackAlone(model: model) }
        let indices = route.servers.compactMap { indexOfBackend[$0] }.filter { !backends[$0].isRemoved }
        guard !indices.isEmpty else { return fallbackAlone(model: model) }
        let listing = indices.compactMap { index -> CandidateList.Candidate? in
            if backends[index].models == nil { return candidate(index, [model]) }
            return backends[index].instances(of: model).map { candidate(index, $0) }
        }
        // No server lists the model. Some engines serve one model under any name, so the route's servers are used anyway.
        return CandidateList(candidates: listing.isEmpty ? indices.map { candidate($0, [model]) } : listing, rule: route.rule)
    }

    /// Without routes: the servers that list the model. If no server lists it, the servers that are not down and have not
    /// sent a list yet.
    private func discover(_ model: String) -> CandidateList? {
        let present = backends.indices.filter { !backends[$0].isRemoved }
        let listing = present.compactMap { index in
            backends[index].instances(of: model).map { candidate(index, $0) }
        }
        if !listing.isEmpty { return CandidateList(candidates: listing, rule: fleet.rule) }
        let silent = present.filter { backends[$0].models == nil && !backends[$0].health.isDown }
        return silent.isEmpty ? nil : CandidateList(candidates: silent.map { candidate($0, [model]) }, rule: fleet.rule)
    }

    private func fallbackAlone(model: String?) -> CandidateList? {
        guard let fallback = fleet.fallback, let index = indexOfBackend[fallback], !backends[index].isRemoved else {
            return nil
        }
        return CandidateList(candidates: [candidate(index, model.map { [$0] } ?? [])], isFallback: true, rule: fleet.rule)
    }
}
