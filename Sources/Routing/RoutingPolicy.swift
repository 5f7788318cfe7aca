/// Every tunable number of the router, with its unit, default and reason.
package struct RoutingPolicy: Sendable, Equatable, Codable {
    /// How long a (client, model) stays with its server after the last use. The same value as in the original.
    package var stickyTTL = Interval.seconds(180)
    /// Above this number, the oldest sessions are evicted, so that memory is bounded.
    package var stickyLimit = 100_000
    /// The most waiting requests; further ones are refused with 429.
    package var maxWaiting = 256
    /// A request that waits longer is refused with 503.
    package var maxWait = Interval.seconds(600)
    /// A request that is predicted to wait longer for a server is refused with 429 when it comes. Nil: it waits.
    package var longestPrediction = LongestPredictions()
    /// The first attempt and all retries together.
    package var maxAttempts = 3
    /// The most retries in ten seconds, as a share of the requests in that time. More retries would turn a fault into an
    /// outage.
    package var retryShare = 0.2
    /// Retries that are allowed in ten seconds, however few requests there were.
    package var freeRetries = 10
    /// Failed requests in a row that open a server's circuit, even when its probes succeed.
    package var failuresUntilOpen = 5
    /// Time from opening a circuit to its first trial. Each failed trial doubles it, up to `longestCircuitPause`.
    package var circuitPause = Interval.seconds(1)
    package var longestCircuitPause = Interval.seconds(30)
    /// How often a request may meet a server that answers 429, until the client gets that answer.
    package var maxTimesFull = 10
    /// A server that answers 429 gets no request for the time that it names, up to this one.
    package var longestThrottle = Interval.seconds(60)
    /// A server is busy when any of this many newest samples was busy.
    package var busyWindow = 5
    /// Failed probes in a row until a server is down. A single failure is not an outage.
    package var failuresUntilDown = 2
    /// Decisions kept for `GET /admin/requests/ID`.
    package var keptDecisions = 1000

    /// The time for which conversations are expected to go on, in seconds. With `sticky.ttl: 0` clients do not stay, but prompts are
    /// kept all the same.
    var conversationTime: Double { stickyTTL > .seconds(0) ? stickyTTL.seconds : 180 }

    package init() {}
}

/// The longest predicted wait of each class; nil: no limit.
package struct LongestPredictions: Sendable, Equatable, Codable {
    package var interactive: Interval?
    package var normal: Interval?
    package var bulk: Interval?

    package init(interactive: Interval? = nil, normal: Interval? = nil, bulk: Interval? = nil) {
        (self.interactive, self.normal, self.bulk) = (interactive, normal, bulk)
    }

    package subscript(priority: PriorityClass) -> Interval? {
        switch priority {
        case .interactive: interactive
        case .normal: normal
        case .bulk: bulk
        }
    }
}
