/// The circuits of one backend, one for each model. A server that swaps models may fail with one model and work with the
/// others. Only models that failed recently have an entry.
struct CircuitTable: Sendable, Equatable {
    /// Above this number, further models share the circuit of requests without a model. Model names come from clients, so the
    /// number must be bounded.
    private static let limit = 32

    private var circuits: [String: Circuit] = [:]

    init() {}

    /// Some model has failed lately.
    var hasAny: Bool { !circuits.isEmpty }

    /// Seconds that recent failures add to the price of a request for that model.
    func penalty(of model: String?, at now: Moment) -> Double { circuits.isEmpty ? 0 : self[model].penalty(at: now) }

    /// The circuit for requests for that model.
    subscript(model: String?) -> Circuit {
        get { circuits.isEmpty ? Circuit() : circuits[key(model)] ?? Circuit() }
        set {
            let key = key(model)
            circuits[key] = newValue == Circuit() ? nil : newValue
        }
    }

    // The following four functions run for every request. The table is usually empty, and then nothing is looked up.

    /// Whether the server may take a request for that model now.
    func admits(_ model: String?, at now: Moment) -> Bool { circuits.isEmpty || self[model].admits(at: now) }

    /// A request for that model starts on the server. True when it is the trial.
    mutating func began(_ ticket: Ticket, _ model: String?, at now: Moment) -> Bool {
        !circuits.isEmpty && self[model].began(ticket, at: now)
    }

    /// The server answered the request. True when the answer closes the circuit.
    mutating func succeeded(_ ticket: Ticket, _ model: String?) -> Bool {
        guard !circuits.isEmpty else { return false }
        let key = key(model, ticket)
        return self[key].succeeded(ticket)
    }

    /// The request ended without showing whether the server works.
    mutating func abandoned(_ ticket: Ticket, _ model: String?, at now: Moment) {
        guard !circuits.isEmpty else { return }
        let key = key(model, ticket)
        self[key].abandoned(ticket, at: now)
    }

    /// The models whose circuit is not closed, sorted by name. Empty name: requests without a model.
    var notClosed: [(model: String, circuit: Circuit)] {
        circuits.filter { !$0.value.isClosed }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// When the next pause ends. Pauses that have already ended do not count.
    func nextTrial(after now: Moment) -> Moment? {
        circuits.values.lazy.compactMap(\.opensForTrialAt).filter { $0 > now }.min()
    }

    /// Something else than a request shows that requests for that model fail. When the next trial may begin, if the circuit opens.
    mutating func opened(_ model: String, for pause: Interval, reason: String, at now: Moment) -> Moment? {
        // The shared circuit is not for one model's failure.
        guard circuits[model] != nil || circuits.count < Self.limit, self[model].opened(for: pause, reason: reason, at: now)
        else {
            return nil
        }
        return self[model].opensForTrialAt
    }

    /// The same shows that they work again.
    mutating func closed(_ model: String) { circuits[model] = nil }

    mutating func removeAll() { circuits.removeAll() }

    /// The request failed on the server. When the next trial may begin, if the circuit opens.
    mutating func failed(
        _ ticket: Ticket, _ model: String?, reason: String, policy: RoutingPolicy, at now: Moment
    ) -> Moment? {
        let key = key(model, ticket)
        guard self[key].failed(ticket, reason: reason, policy: policy, at: now) else { return nil }
        return self[key].opensForTrialAt
    }

    /// A trial ends in the circuit in which it began, although the model may have got one of its own in the meantime.
    private func key(_ model: String?, _ ticket: Ticket) -> String {
        circuits[""]?.isTrial(ticket) == true ? "" : key(model)
    }

    private func key(_ model: String?) -> String {
        let model = model ?? ""
        return circuits[model] != nil || circuits.count < Self.limit ? model : ""
    }
}
