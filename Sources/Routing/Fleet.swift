/// Identifies a server for the lifetime of the process. An ID is never reused for another server.
package struct BackendID: Hashable, Sendable, Codable, CustomStringConvertible {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }

    package var description: String { "backend-\(rawValue)" }
}

/// The servers and routes of the configuration.
package struct Fleet: Sendable, Equatable, Codable {
    package struct Server: Sendable, Equatable, Codable {
        package var id: BackendID
        package var name: String
        /// The most requests in flight, over all models. Nil: as many as the engine has slots, or no limit when the slots are
        /// unknown.
        package var requestMax: Int?
        /// `m-2`, `m-3` … beside `m` are instances of it.
        package var hasInstances = true

        package init(id: BackendID, name: String, requestMax: Int? = nil, hasInstances: Bool = true) {
            self.id = id
            self.name = name
            self.requestMax = requestMax
            self.hasInstances = hasInstances
        }
    }

    /// The models that match a pattern may run on these servers.
    package struct Route: Sendable, Equatable, Codable {
        package var pattern: ModelPattern
        package var servers: [BackendID]
        package var rule: PickingRule
        /// How urgent their requests are, unless the client says that they are less urgent.
        package var priority: PriorityClass

        package init(
            pattern: ModelPattern, servers: [BackendID], rule: PickingRule = .sticky, priority: PriorityClass = .normal
        ) {
            self.pattern = pattern
            self.servers = servers
            self.rule = rule
            self.priority = priority
        }
    }

    package var servers: [Server]
    /// In order. Nil: every server is eligible for the models that it lists.
    package var routes: [Route]?
    /// Takes requests that no other rule can place. When it is down or draining, the other servers follow in order. Nil: such
    /// requests are refused.
    package var fallback: BackendID?
    /// The model of requests that name none.
    package var defaultModel: String?
    /// The configuration's own names for models: each stands for the first of its models that a server can run.
    package var aliases: [String: [String]] = [:]
    /// The limits of clients' keys, by the keys' names.
    package var keyLimits: [String: KeyLimits] = [:]
    /// How clients' keys stand beside others, by the keys' names. Those without an entry are ordinary.
    package var keyShares: [String: KeyShare] = [:]
    package var policy: RoutingPolicy
    /// For requests without a route.
    package var rule = PickingRule.sticky

    package init(servers: [Server], routes: [Route]?, fallback: BackendID?, policy: RoutingPolicy = RoutingPolicy()) {
        self.servers = servers
        self.routes = routes
        self.fallback = fallback
        self.policy = policy
    }
}
