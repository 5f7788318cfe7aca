/// Keeps retries from making an outage worse. Over the last ten seconds, retries may be at most a share of the requests, plus
/// a small number that is always allowed (so that two users with two servers lose nothing).
///
/// Requests that were in flight on a server when it first failed are moved without using this budget: the server was not
/// known to fail when they were sent, and they are moved only once. The budget is for requests sent to servers that are known
/// to fail.
struct RetryBudget: Sendable {
    /// One element for each second. `newestSecond` is the second of the newest element.
    private var requests = InlineArray<10, Int>(repeating: 0)
    private var retries = InlineArray<10, Int>(repeating: 0)
    private var newestSecond: Int64 = 0

    init() {}

    /// A request arrives that has not been tried before.
    mutating func requestArrived(at now: Moment) {
        requests[slot(at: now)] += 1
    }

    /// Takes one retry from the budget; false when the budget is used up.
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
