import Routing
import Wire

/// What a loop has prepared or cached to process requests faster.
struct RequestMemory {
    private(set) var usernames: UsernameFinder?
    var modelRules = ModelRuleSet([])
    private(set) var volatilePrompts = VolatilePrompts()
    var ids = RequestIDs(seed: UInt64.random(in: .min ... .max))
    private var matcher = ModelMatcher(Router().patterns)

    /// Compiles the patterns that have changed.
    mutating func apply(_ new: ProxySettings, insteadOf old: ProxySettings) {
        if old.usernamePattern != new.usernamePattern || usernames == nil {
            usernames = UsernameFinder(pattern: new.usernamePattern)
        }
        if old.volatilePatterns != new.volatilePatterns { volatilePrompts = VolatilePrompts(patterns: new.volatilePatterns) }
        if old.modelRules != new.modelRules { modelRules = ModelRuleSet(new.modelRules) }
    }

    /// The model's route, found before the router's lock is taken.
    mutating func match(_ model: String, for router: SharedRouter) -> RouteMatch {
        router.update(&matcher)
        return matcher.match(model)
    }
}
