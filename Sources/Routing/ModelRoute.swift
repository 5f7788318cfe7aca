/// The servers that may run a model, in the order in which they are considered. Remembered for each model.
struct ModelRoute: Sendable {
    struct Candidate: Sendable {
        /// Index into the router's backends.
        var index: Int
        /// The server's name.
        var server: String
        /// Names to ask for: the model itself first. Empty when no model is named.
        var instances: [String]
    }

    var candidates: [Candidate]
    /// Nobody knows the model: it goes to the fallback server under its own name.
    var isFallback = false
}

extension Router {
    private func candidate(_ index: Int, _ instances: [String]) -> ModelRoute.Candidate {
        .init(index: index, server: backends[index].server.name, instances: instances)
    }

    /// Finds the servers for a destination; nil when there is none.
    mutating func route(to destination: RequestTraits.Destination) -> ModelRoute? {
        switch destination {
        case .model(let model):
            if let known = routesByModel[model] { return known }
            let route = resolve(model)
            if routesByModel.count >= Self.rememberedRoutes { routesByModel.removeAll() }
            routesByModel[model] = route
            return route
        case .fallback: return fallbackRoute(model: nil)
        case .conversation(let name):
            guard let index = conversations.backend(of: name).flatMap({ indexOfBackend[$0] }), !backends[index].isRemoved else {
                return fallbackRoute(model: nil)
            }
            return ModelRoute(candidates: [candidate(index, [])])
        case .server(let name):
            guard let index = backends.firstIndex(where: { $0.server.name == name && !$0.isRemoved }) else { return nil }
            return ModelRoute(candidates: [candidate(index, [])])
        }
    }

    private func resolve(_ model: String) -> ModelRoute? {
        guard let routes = fleet.routes else { return discover(model) ?? fallbackRoute(model: model) }
        guard let matched = routes.first(where: { $0.pattern.matches(model) }) else { return fallbackRoute(model: model) }
        let indices = matched.servers.compactMap { indexOfBackend[$0] }.filter { !backends[$0].isRemoved }
        guard !indices.isEmpty else { return fallbackRoute(model: model) }
        let listing = indices.compactMap { index -> ModelRoute.Candidate? in
            if backends[index].models == nil { return candidate(index, [model]) }
            return backends[index].instances(of: model).map { candidate(index, $0) }
        }
        // Nobody lists it, as with engines that serve one model under any name: the pattern's word is enough.
        return ModelRoute(candidates: listing.isEmpty ? indices.map { candidate($0, [model]) } : listing)
    }

    /// Without patterns: the servers that list the model; failing that, those alive that have not told yet.
    private func discover(_ model: String) -> ModelRoute? {
        let present = backends.indices.filter { !backends[$0].isRemoved }
        let listing = present.compactMap { index in
            backends[index].instances(of: model).map { candidate(index, $0) }
        }
        if !listing.isEmpty { return ModelRoute(candidates: listing) }
        let silent = present.filter { backends[$0].models == nil && !backends[$0].health.isDown }
        return silent.isEmpty ? nil : ModelRoute(candidates: silent.map { candidate($0, [model]) })
    }

    private func fallbackRoute(model: String?) -> ModelRoute? {
        guard let fallback = fleet.fallback, let index = indexOfBackend[fallback], !backends[index].isRemoved else {
            return nil
        }
        return ModelRoute(candidates: [candidate(index, model.map { [$0] } ?? [])], isFallback: true)
    }
}
