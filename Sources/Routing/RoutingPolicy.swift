/// Every tunable number of the router, with unit, default and reason.
package struct RoutingPolicy: Sendable, Equatable {
    /// How long a (client, model) stays with its server after its last use. As the original.
    package var stickyTTL = Interval.seconds(180)
    /// More sticky entries than this push the oldest out: memory is bounded.
    package var stickyLimit = 100_000
    /// More waiting requests are refused with 429.
    package var maxWaiting = 256
    /// Waited longer: 503.
    package var maxWait = Interval.seconds(600)
    /// First try and retries together.
    package var maxAttempts = 3
    /// Retries of the last ten seconds, as a share of that time's requests: more would turn a fault into an outage.
    package var retryShare = 0.2
    /// Retries within ten seconds that are allowed however few the requests were.
    package var freeRetries = 10
    /// Failed requests in a row that open a server's circuit, whatever its probes say.
    package var failuresUntilOpen = 5
    /// From a circuit's opening to its first trial; doubled by every trial that fails.
    package var circuitPause = Interval.seconds(1)
    package var longestCircuitPause = Interval.seconds(30)
    /// Probe samples of which one busy one makes a server busy.
    package var busyWindow = 5
    /// Consecutive failed probes until a server is down: one alone is not an outage.
    package var failuresUntilDown = 2
    /// Decisions kept for `GET /admin/requests/ID`.
    package var keptDecisions = 1000

    package init() {}
}

/// Names a server for as long as the process lives; never used again for another.
package struct BackendID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }

    package var description: String { "backend-\(rawValue)" }
}

/// The servers and the patterns, as the configuration says.
package struct Fleet: Sendable {
    package struct Server: Sendable, Equatable {
        package var id: BackendID
        package var name: String
        /// Most requests in flight, all models together; nil: as many as the engine has slots, else no limit.
        package var requestMax: Int?

        package init(id: BackendID, name: String, requestMax: Int? = nil) {
            self.id = id
            self.name = name
            self.requestMax = requestMax
        }
    }

    package struct Route: Sendable, Equatable {
        package var pattern: ModelPattern
        package var servers: [BackendID]

        package init(pattern: ModelPattern, servers: [BackendID]) {
            self.pattern = pattern
            self.servers = servers
        }
    }

    package var servers: [Server]
    /// In order; nil: every server is eligible for the models it lists.
    package var routes: [Route]?
    package var fallback: BackendID?
    package var policy: RoutingPolicy

    package init(servers: [Server], routes: [Route]?, fallback: BackendID?, policy: RoutingPolicy = RoutingPolicy()) {
        self.servers = servers
        self.routes = routes
        self.fallback = fallback
        self.policy = policy
    }
}

/// A regular expression that has to match a whole model name.
package struct ModelPattern: Sendable, Equatable {
    package let source: String
    /// Without special characters the pattern is the name.
    private let isLiteral: Bool

    package init(_ source: String) {
        self.source = source
        isLiteral = !source.contains { #".*+?()[]{}|\^$"#.contains($0) }
    }

    /// False also when the pattern does not compile; the configuration has been checked for that.
    ///
    /// The expression is compiled here, not kept: `Regex` is not `Sendable`, and the router remembers the answer
    /// for every model, so this runs once a model and configuration.
    package func matches(_ model: String) -> Bool {
        if isLiteral { return model == source }
        guard let expression = try? Regex(source).matchingSemantics(.unicodeScalar) else { return false }
        return (try? expression.wholeMatch(in: model)) != nil
    }
}
