/// A request that has no server: it has just arrived, or it waits, or its attempt has failed.
struct PendingRequest: Sendable {
    let ticket: Ticket
    let traits: RequestTraits
    let arrivedAt: Moment
    var history = AttemptHistory()
    /// Since when it waits for a server, if it does. Later than `arrivedAt` when a failed attempt came first.
    var waitingSince: Moment?
}

/// What has been tried for a request so far.
struct AttemptHistory: Sendable, Equatable {
    var attempts = 0
    /// Servers that failed this request; they are not asked again.
    var failed: [BackendID] = []
    var lastFailure: String?
}

/// A request that has been granted a server.
struct RunningRequest: Sendable {
    /// As it was when it was granted; the history includes this attempt.
    var request: PendingRequest
    var backend: BackendID
    var instance: String?
    var grantedAt: Moment
    var isLastResort: Bool
    /// The client's session that was noted when the request started, and how many the instance can hold.
    var session: SessionTable.Handle?
    var capacity: Int
    /// The attempt has failed already (a 503 that is passed on), so its end does not count as a success.
    var hasFailed = false

    var traits: RequestTraits { request.traits }
}
