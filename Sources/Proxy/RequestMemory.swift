import Routing
import Wire

/// What a loop has prepared or cached to process requests faster.
struct RequestMemory {
    private(set) var usernames: UsernameFinder?
    var modelRules = ModelRuleSet([])
    private(set) var volatilePrompts = VolatilePrompts()
    var ids = RequestIDs(seed: UInt64.random(in: .min ... .max))
    private var matcher = ModelMatcher(Router().patterns)
    /// The models of keys that may not use all, by the objects of the present settings, which keep them alive.
    private var keyModels: [ObjectIdentifier: PatternSet] = [:]

    /// Compiles the patterns that have changed.
    mutating func apply(_ new: ProxySettings, insteadOf old: ProxySettings) {
        if old.usernamePattern != new.usernamePattern || usernames == nil {
            usernames = UsernameFinder(pattern: new.usernamePattern)
        }
        if old.volatilePatterns != new.volatilePatterns { volatilePrompts = VolatilePrompts(patterns: new.volatilePatterns) }
        // Each time: equal keys are other objects, and the addresses of the old ones are used again.
        keyModels = Dictionary(new.keys.keys.compactMap { key in key.models.map { (ObjectIdentifier(key), PatternSet($0)) } }) {
            first, _ in first
        }
        if old.modelRules != new.modelRules { modelRules = ModelRuleSet(new.modelRules) }
    }

    /// Whether the key may be used for that model.
    mutating func isGood(_ key: ClientKey, for model: String) -> Bool {
        guard let models = key.models else { return true }
        // A request that began before the configuration was read again has an older key.
        return keyModels[ObjectIdentifier(key)]?.matches(model) ?? models.contains { $0.matches(model) }
    }

    /// The model's route, found before the router's lock is taken.
    mutating func match(_ model: String, for router: SharedRouter) -> RouteMatch {
        router.update(&matcher)
        return matcher.match(model)
    }
}
