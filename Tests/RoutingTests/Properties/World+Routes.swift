@testable import Routing

// Which servers may take a request.
extension World {
    /// The servers that may take a request, whatever their state.
    struct Candidates {
        var servers: [BackendID] = []
        /// Only the first of them that is usable may take it.
        var areInOrder = false
    }

    func candidates(for request: Request) -> Candidates {
        if let owner = owner(for: request), servers[owner]?.isRemoved == false {
            guard case .model(let model) = request.traits.destination else { return Candidates(servers: [owner]) }
            let all = servers(of: model) ?? withoutKnownModel
            return all.servers.contains(owner) ? Candidates(servers: [owner]) : all
        }
        if request.traits.isSearch { return everyServer }
        return switch request.traits.destination {
        case .server(let name): Candidates(servers: fleet.servers.filter { $0.name == name }.map(\.id))
        case .fallback: withoutModel
        case .model(let model):
            servers(of: model) ?? withoutKnownModel
        }
    }

    func servers(of model: String) -> Candidates? {
        if let routes = fleet.routes {
            guard let route = routes.first(where: { $0.pattern.source == model || $0.pattern.source == ".*" }) else { return nil }
            let listing = route.servers.filter { servers[$0]?.models?.contains(model) ?? true }
            return Candidates(servers: listing.isEmpty ? route.servers : listing)
        }
        let listing = present.filter { servers[$0]?.models?.contains(model) == true }
        if !listing.isEmpty { return Candidates(servers: listing) }
        let silent = present.filter { servers[$0].map { $0.models == nil && !$0.isDown } ?? false }
        return silent.isEmpty ? nil : Candidates(servers: silent)
    }

    /// The server that made what the request follows.
    func owner(for request: Request) -> BackendID? {
        if case .made(let id)? = request.traits.follows { owners[id] } else { nil }
    }

    private var withoutKnownModel: Candidates {
        fleet.routes == nil && fleet.fallback != nil ? withoutModel : fallbackOrder
    }

    /// The servers of the only model, if there is one.
    var withoutModel: Candidates {
        if let only, let found = servers(of: only) { return found }
        return fallbackOrder
    }

    var fallbackOrder: Candidates {
        fleet.fallback == nil ? Candidates() : everyServer
    }

    private var everyServer: Candidates {
        Candidates(servers: present.filter { $0 == fleet.fallback } + present.filter { $0 != fleet.fallback }, areInOrder: true)
    }

    /// The model that is the only one wherever there is one. `m-2` beside `m` is no model of its own.
    var only: String? {
        let lists = present.compactMap { servers[$0]?.models }
        let models = Set(lists.flatMap { list in list.filter { $0 != "m-2" || !list.contains("m") } })
        return models.count == 1 ? models.first : nil
    }

    /// The candidates whose turn it is.
    func inTurn(for request: Request, at now: Moment) -> [BackendID] {
        let candidates = candidates(for: request)
        guard candidates.areInOrder, let first = candidates.servers.first(where: { isUsable($0, for: request, at: now) }) else {
            return candidates.servers
        }
        return [first]
    }

    /// The rule that chooses the server of a request.
    func rule(for request: Request) -> PickingRule {
        guard let routes = fleet.routes else { return fleet.rule }
        let model: String?
        switch request.traits.destination {
        case .model(let name): model = name
        case .fallback: model = only
        case .server: model = nil
        }
        guard let model else { return fleet.rule }
        return routes.first { $0.pattern.source == model || $0.pattern.source == ".*" }?.rule ?? fleet.rule
    }

    /// Whether a request may wait for a busy server while another one, or another slot, is free: it is worth waiting for, computes with
    /// another model, its last slot is left to other clients, or its model keeps its place for a while.
    func mayHold(_ request: Request, at now: Moment) -> Bool {
        guard rule(for: request) == .expectedCost, request.traits.counts, request.attempts == 0 else { return false }
        return inTurn(for: request, at: now).contains { id in
            guard let server = servers[id] else { return false }
            return isUsable(id, for: request, at: now)
                && (server.isFull(at: now) || server.inFlight > 0 || server.mayRest(at: now))
        }
    }

    /// Neither down, draining nor failing, and has not failed this request. It may be full, or its trial may be under way, which
    /// is soon over; but a light request does not wait for that.
    func isUsable(_ id: BackendID, for request: Request, at now: Moment) -> Bool {
        guard let server = servers[id], !request.failed.contains(id) else { return false }
        let circuit = server.circuits[request.traits.model] ?? Circuit()
        let answersSoon = circuit.admits(at: now) || circuit.trial != nil && request.traits.counts
        let isDraining = server.isDraining && owner(for: request) != id
        return !server.isDown && !isDraining && !server.isRemoved && answersSoon
    }
}
