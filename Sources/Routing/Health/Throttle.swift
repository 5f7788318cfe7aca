/// What a server's 429 answers show about how much it takes.
///
/// The limit is found like a congestion window (additive increase): one less than were in flight when the server refused, and
/// one more each time as many requests as the limit were answered.
struct Throttle: Sendable, Equatable {
    /// The server takes no further request before this moment.
    private(set) var until = Moment.zero
    /// The most requests in flight; nil when the server has not refused any.
    private(set) var limit: Int?
    private var answered = 0
    /// The pause that the next refusal causes, when the server does not name one.
    private var nextPause = Self.shortestPause

    private static let shortestPause = Interval.seconds(1)

    init() {}

    /// The server answered 429.
    ///
    /// - Parameters:
    ///   - inFlight: the requests on the server, including the refused one.
    ///   - retryAfter: the pause that the server asks for, if it does.
    mutating func refused(inFlight: Int, retryAfter: Interval?, longestPause: Interval, at now: Moment) {
        // Without a pause, the request would be sent again at once.
        let pause = min(longestPause, max(Self.shortestPause, retryAfter ?? nextPause))
        until = max(until, now + pause)
        nextPause = min(longestPause, Interval(nanoseconds: nextPause.nanoseconds &* 2))
        limit = max(1, min(inFlight, limit ?? inFlight) - 1)
        answered = 0
    }

    /// The server answered a request that counts towards its limit.
    mutating func succeeded() {
        guard let known = limit else { return }
        nextPause = Self.shortestPause
        answered += 1
        guard answered >= known else { return }
        answered = 0
        limit = known + 1
    }
}
