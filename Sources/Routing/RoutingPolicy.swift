/// Every tunable number of the router, with unit, default and reason.
package struct RoutingPolicy: Sendable, Equatable, Codable {
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
