/// Keeps retries from making an outage worse: over the last ten seconds no more of them than a share of the requests, and a
/// few that are always free (so that two users with two servers lose nothing).
///
/// What was in flight on a server when it first failed is moved without asking this budget: such work was sent in good
/// faith, and once. The budget is for requests that are sent to servers known to fail.
struct RetryBudget: Sendable {
    /// One element for each second; `newestSecond` says which second the newest one is.
    private var requests = InlineArray<10, Int>(repeating: 0)
    private var retries = InlineArray<10, Int>(repeating: 0)
    private var newestSecond: Int64 = 0

    init() {}

    /// A request that has not been tried before.
    mutating func requestArrived(at now: Moment) {
        requests[slot(at: now)] += 1
    }

    /// Takes one retry out of the budget; false when it is used up.
    mutating func spend(policy: RoutingPolicy, at now: Moment) -> Bool {
        let slot = slot(at: now)
        var (asked, retried) = (0, 0)
        for index in requests.indices {
            asked += requests[index]
            retried += retries[index]
        }
        guard retried < policy.freeRetries + Int(Double(asked) * policy.retryShare) else { return false }
        retries[slot] += 1
        return true
    }

    /// The index for this second, after clearing the seconds that have passed.
    private mutating func slot(at now: Moment) -> Int {
        let second = now.nanoseconds / 1_000_000_000
        if second > newestSecond {
            for passed in max(newestSecond + 1, second - 9)...second {
                requests[Int(passed % 10)] = 0
                retries[Int(passed % 10)] = 0
            }
            newestSecond = second
        }
        return Int(newestSecond % 10)
    }
}
