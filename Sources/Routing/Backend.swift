/// The router's state of one backend.
struct Backend: Sendable {
    var server: Fleet.Server
    var health = HealthState()
    var circuits = CircuitTable()
    /// The server's own model list; nil until the server has sent it.
    var models: [String]?
    /// Requests in flight that count towards the limit, for all models.
    private(set) var inFlight = 0
    /// The same number for each requested model name. Names without requests are absent.
    private(set) var inFlightByInstance: [String: Int] = [:]
    /// Requests in flight that are forwarded at once and do not count towards the limit (model lists, tokenize, …).
    private(set) var passing = 0
    var isDraining = false
    /// No longer in the configuration. The backend is kept until its last request has ended.
    var isRemoved = false
    /// In tokens per second. The half-lives are in tokens, so that long prompts have more weight than short ones.
    var prefillSpeed = DecayingAverage(halfLife: 20_000)
    var decodeSpeed = DecayingAverage(halfLife: 2_000)

    init(server: Fleet.Server) { self.server = server }

    var id: BackendID { server.id }

    /// The most requests in flight: the configured number, but never more than the engine has slots.
    var limit: Int? {
        let slots = health.lastReport?.slots.map(\.total).flatMap { $0 > 0 ? $0 : nil }
        guard let requestMax = server.requestMax else { return slots }
        return min(requestMax, slots ?? requestMax)
    }

    var isFull: Bool {
        guard let limit else { return false }
        return inFlight >= limit
    }

    var isIdleOfRequests: Bool { inFlight == 0 && passing == 0 }

    func inFlight(on instance: String) -> Int { inFlightByInstance[instance] ?? 0 }

    /// How many sessions each instance of a model can hold on this server: the server's slots divided by the number of
    /// instances, but at least 1. 1 when the server does not report its slots.
    func sessionsPerInstance(of instances: Int) -> Int {
        guard let slots = health.lastReport?.slots?.total else { return 1 }
        return max(1, min(slots, Self.mostSharedSlots) / max(1, instances))
    }

    /// Choosing the session to evict examines every session of an instance. This limits that work, whatever a server reports.
    private static let mostSharedSlots = 1024

    mutating func started(instance: String?, counts: Bool) {
        guard counts else {
            passing += 1
            return
        }
        inFlight += 1
        if let instance { inFlightByInstance[instance, default: 0] += 1 }
    }

    mutating func ended(instance: String?, counts: Bool) {
        guard counts else {
            passing -= 1
            return
        }
        inFlight -= 1
        guard let index = instance.flatMap({ inFlightByInstance.index(forKey: $0) }) else { return }
        if inFlightByInstance.values[index] > 1 {
            inFlightByInstance.values[index] -= 1
        } else {
            inFlightByInstance.remove(at: index)
        }
    }

    mutating func learn(from timings: Timings) {
        if timings.promptTokens > 0, timings.promptMilliseconds > 0 {
            prefillSpeed.add(
                Double(timings.promptTokens) * 1000 / timings.promptMilliseconds, weight: Double(timings.promptTokens))
        }
        if timings.predictedTokens > 1, timings.predictedMilliseconds > 0 {
            decodeSpeed.add(
                Double(timings.predictedTokens) * 1000 / timings.predictedMilliseconds,
                weight: Double(timings.predictedTokens))
        }
    }

    /// The instances of a model on this server: the model itself, then `-2`, `-3` … without gaps. Nil when the model is not
    /// listed.
    ///
    /// `name:latest` is the same as `name` (Ollama). A reasoning suffix is removed when the name with the suffix is not
    /// listed.
    func instances(of model: String) -> [String]? {
        guard let models else { return nil }
        func isListed(_ name: String) -> Bool {
            models.contains(name) || models.contains(name + ":latest")
                || name.hasSuffix(":latest") && models.contains(String(name.dropLast(":latest".count)))
        }
        guard let base = isListed(model) ? model : ModelName.withoutReasoningSuffix(model), isListed(base) else {
            return nil
        }
        var instances = [base]
        while isListed("\(base)-\(instances.count + 1)") { instances.append("\(base)-\(instances.count + 1)") }
        return instances
    }
}

/// Conventions for model names.
package enum ModelName {
    /// The name without a trailing `-low`, `-medium` or `-high`; nil when it has none.
    static func withoutReasoningSuffix(_ model: String) -> String? {
        for suffix in ["-low", "-medium", "-high"] where model.hasSuffix(suffix) && model.utf8.count > suffix.utf8.count {
            return String(model.dropLast(suffix.count))
        }
        return nil
    }

    /// `model-2`, `model-3` …: an instance, left out of merged model lists.
    package static func isNumberedInstance(_ model: String) -> Bool {
        guard let dash = model.utf8.lastIndex(of: UInt8(ascii: "-")), dash != model.utf8.startIndex else { return false }
        let digits = model.utf8[model.utf8.index(after: dash)...]
        return !digits.isEmpty && digits.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }
}
