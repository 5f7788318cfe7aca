package import Routing
import NIOConcurrencyHelpers
package import Wire

/// What engines have reported about their models and themselves, for display and for the merged list.
package final class ModelCatalog: Sendable {
    private struct State {
        var order: [BackendID] = []
        var models: [BackendID: [EngineReports.Model]] = [:]
        var kinds: [BackendID: EngineKind] = [:]
    }

    private let state = NIOLockedValueBox(State())

    package func kind(of id: BackendID) -> EngineKind? { state.withLockedValue { $0.kinds[id] } }

    func learned(_ id: BackendID, kind: EngineKind?, models: [EngineReports.Model]?) {
        state.withLockedValue {
            $0.kinds[id] = kind
            if let models { $0.models[id] = models }
        }
    }

    func keepOnly(_ present: Set<BackendID>, order: [BackendID]) {
        state.withLockedValue {
            $0.order = order
            $0.models = $0.models.filter { present.contains($0.key) }
            $0.kinds = $0.kinds.filter { present.contains($0.key) }
        }
    }

    /// Every listed model once, sorted by name, with the fields from the first server that lists it. The servers in
    /// `leavingOut` and numbered instances (`model-2`) are omitted.
    package func merged(leavingOut absent: Set<BackendID>) -> JSON {
        let lists = state.withLockedValue { state in
            state.order.filter { !absent.contains($0) }.compactMap { state.models[$0] }
        }
        var entries: [String: JSON] = [:]
        for model in lists.joined() where entries[model.id] == nil && !ModelName.isNumberedInstance(model.id) {
            entries[model.id] = complete(model)
        }
        return ["object": "list", "data": .array(entries.sorted { $0.key < $1.key }.map(\.value))]
    }

    /// Adds the fields that OpenAI's clients need and the engine omits.
    private func complete(_ model: EngineReports.Model) -> JSON {
        guard var members = model.entry.objectValue else { return ["id": .string(model.id), "object": "model"] }
        if model.entry["id"] == nil { members.insert(.init(name: "id", value: .string(model.id)), at: 0) }
        if model.entry["object"] == nil { members.append(.init(name: "object", value: "model")) }
        return .object(members)
    }
}
