/// Every tunable number of the router, with unit, default and reason.
package struct RoutingPolicy: Sendable, Equatable, Codable {
    /// How long a (client, model) stays with its server after its last use. As the original.
    package var stickyTTL = Interval.seconds(180)
    /// Beyond this number of sessions the oldest are evicted, so that memory is bounded.
    package var stickyLimit = 100_000
    /// Further waiting requests are refused with 429.
    package var maxWaiting = 256
    /// A request that waits longer is refused with 503.
    package var maxWait = Interval.seconds(600)
    /// The first attempt and all retries.
    package var maxAttempts = 3
    /// The most retries in ten seconds, as a share of the requests in that time: more would turn a fault into an outage.
    package var retryShare = 0.2
    /// Retries that are allowed in ten seconds however few requests there were.
    package var freeRetries = 10
    /// Failed requests in a row that open a server's circuit, whatever its probes say.
    package var failuresUntilOpen = 5
    /// From a circuit's opening to its first trial; doubled by every trial that fails.
    package var circuitPause = Interval.seconds(1)
    package var longestCircuitPause = Interval.seconds(30)
    /// A server is busy when any of this many newest samples was.
    package var busyWindow = 5
    /// Consecutive failed probes until a server is down: one alone is not an outage.
    package var failuresUntilDown = 2
    /// Decisions kept for `GET /admin/requests/ID`.
    package var keptDecisions = 1000

    package init() {}
}
