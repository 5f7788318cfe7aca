package import Routing
import NIOConcurrencyHelpers

/// What engines have reported about their models and themselves, for display and for the merged lists.
package final class ModelCatalog: Sendable {
    private struct Server {
        var hasInstances: Bool
        var kind: EngineKind?
        var models: [EngineReports.Model] = []
    }

    private struct State {
        var order: [BackendID] = []
        var servers: [BackendID: Server] = [:]
    }

    private let state = NIOLockedValueBox(State())

    package func kind(of id: BackendID) -> EngineKind? { state.withLockedValue { $0.servers[id]?.kind } }

    func learned(_ id: BackendID, kind: EngineKind?, models: [EngineReports.Model]?) {
        state.withLockedValue {
            $0.servers[id]?.kind = kind
            if let models { $0.servers[id]?.models = models }
        }
    }

    /// From now on, these are the servers, in this order. What is known about servers that stay is kept.
    func keepOnly(_ servers: [MonitoredServer]) {
        state.withLockedValue { state in
            state.order = servers.map(\.id)
            let old = state.servers
            let current = servers.map { server in
                (
                    server.id,
                    Server(hasInstances: server.hasInstances, kind: old[server.id]?.kind, models: old[server.id]?.models ?? [])
                )
            }
            state.servers = Dictionary(current, uniquingKeysWith: { first, _ in first })
        }
    }

    /// The models of all servers except those in `absent`. A model that several servers list appears once.
    ///
    /// Further instances (`model-2`) are left out on servers where they are instances.
    package func models(leavingOut absent: Set<BackendID>) -> MergedModels {
        let servers = state.withLockedValue { state in
            state.order.filter { !absent.contains($0) }.compactMap { state.servers[$0] }
        }
        var merged = MergedModels()
        for server in servers {
            var shown = server.models
            if server.hasInstances {
                let names = Set(ModelList(shown.map(\.listed)).withoutInstances.map(\.name))
                shown.removeAll { !names.contains($0.id) }
            }
            for model in shown { merged.add(model) }
        }
        return merged
    }
}
