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

        package init(id: BackendID, name: String, requestMax: Int? = nil) {
            self.id = id
            self.name = name
            self.requestMax = requestMax
        }
    }

    /// The models that match a pattern may run on these servers.
    package struct Route: Sendable, Equatable, Codable {
        package var pattern: ModelPattern
        package var servers: [BackendID]
        package var rule: PickingRule

        package init(pattern: ModelPattern, servers: [BackendID], rule: PickingRule = .sticky) {
            self.pattern = pattern
            self.servers = servers
            self.rule = rule
        }
    }

    package var servers: [Server]
    /// In order. Nil: every server is eligible for the models that it lists.
    package var routes: [Route]?
    package var fallback: BackendID?
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
