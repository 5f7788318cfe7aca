/// One backend's circuits, one for each model: a server that swaps models may fail with one of them and be fine with the others.
/// Only models that have failed lately are in here.
struct CircuitTable: Sendable, Equatable {
    /// Further models share the circuit of requests that name none: model names come from clients, and memory must stay bounded.
    private static let limit = 32

    private var circuits: [String: Circuit] = [:]

    init() {}

    /// The circuit that a request for that model meets.
    subscript(model: String?) -> Circuit {
        get { circuits.isEmpty ? Circuit() : circuits[key(model)] ?? Circuit() }
        set {
            let key = key(model)
            circuits[key] = newValue == Circuit() ? nil : newValue
        }
    }

    // Used by every request. When nothing has failed lately, there is nothing to look up.

    /// Whether a request for that model may go there now.
    func admits(_ model: String?, at now: Moment) -> Bool { circuits.isEmpty || self[model].admits(at: now) }

    /// A request for that model goes there. True when it is the trial.
    mutating func began(_ ticket: Ticket, _ model: String?, at now: Moment) -> Bool {
        !circuits.isEmpty && self[model].began(ticket, at: now)
    }

    /// It was answered. True when that closes the circuit.
    mutating func succeeded(_ ticket: Ticket, _ model: String?) -> Bool {
        !circuits.isEmpty && self[model].succeeded(ticket)
    }

    /// It ended without showing whether the server works.
    mutating func abandoned(_ ticket: Ticket, _ model: String?, at now: Moment) {
        if !circuits.isEmpty { self[model].abandoned(ticket, at: now) }
    }

    /// The models (empty: none named) whose circuit is not closed, by name.
    var notClosed: [(model: String, circuit: Circuit)] {
        circuits.filter { !$0.value.isClosed }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// When the next pause ends. Pauses that have ended already do not count.
    func nextTrial(after now: Moment) -> Moment? {
        circuits.values.lazy.compactMap(\.opensForTrialAt).filter { $0 > now }.min()
    }

    mutating func removeAll() { circuits.removeAll() }

    private func key(_ model: String?) -> String {
        let model = model ?? ""
        return circuits[model] != nil || circuits.count < Self.limit ? model : ""
    }
}
