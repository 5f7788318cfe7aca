/// One backend's circuits, one for each model: a server that swaps models may fail with one of them and be fine with the others.
/// Only models that have failed lately are in here.
package struct CircuitTable: Sendable, Equatable {
    /// Further models share the circuit of requests that name none: names come from outside, memory is bounded.
    private static let limit = 32

    private var circuits: [String: Circuit] = [:]

    package init() {}

    /// Nothing has failed lately: there is nothing to look up.
    package var areClosed: Bool { circuits.isEmpty }

    /// The circuit that a request for that model meets.
    package subscript(model: String?) -> Circuit {
        get { circuits.isEmpty ? Circuit() : circuits[key(model)] ?? Circuit() }
        set {
            let key = key(model)
            circuits[key] = newValue == Circuit() ? nil : newValue
        }
    }

    /// The models (empty: none named) whose circuit is not closed, by name.
    package var notClosed: [(model: String, circuit: Circuit)] {
        circuits.filter { !$0.value.isClosed }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// When the next pause ends; those that are over already, with nobody asking, do not count.
    package func nextTrial(after now: Moment) -> Moment? {
        circuits.values.lazy.compactMap(\.opensForTrialAt).filter { $0 > now }.min()
    }

    package mutating func removeAll() { circuits.removeAll() }

    private func key(_ model: String?) -> String {
        let model = model ?? ""
        return circuits[model] != nil || circuits.count < Self.limit ? model : ""
    }
}
