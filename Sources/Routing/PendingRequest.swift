/// A request without a server: it has just arrived, or it waits, or its attempt has failed.
struct PendingRequest: Sendable {
    let ticket: Ticket
    let traits: RequestTraits
    let arrivedAt: Moment
    var history = AttemptHistory()
    var client = ClientTable.ID.none
    /// Who is served by turns: the client's key, which may have several sessions; without keys, the client.
    var account = ClientTable.ID.none
    /// Its route's class, or the lower one that its client asked for.
    var priority = PriorityClass.normal
    /// `KeyShare.weight` of its client's key.
    var weight = 1.0
    /// What is expected of it.
    var outlook = Outlook()
    /// When its first token was first predicted, and how much later it should come, in seconds.
    var prediction: (at: Double, seconds: Double)?
    /// Since when the request waits for a server; nil when it does not wait. Later than `arrivedAt` when an attempt failed
    /// before.
    var waitingSince: Moment?
    /// False when the line is full: then it takes what is free, rather than wait for something better.
    var mayHold = true

    /// Only the first prediction counts: later ones know more.
    mutating func predict(_ seconds: Double, at now: Moment) {
        if prediction == nil { prediction = (now.seconds, seconds) }
    }
}

/// The attempts that were made for a request so far.
struct AttemptHistory: Sendable, Equatable {
    var attempts = 0
    /// How many of the attempts met a server that answered 429, or one that cannot answer this request: it does not have what is
    /// searched for, or its context is too short.
    var timesFull = 0
    var timesUnable = 0
    /// Servers whose context is not longer than one that was too short.
    var tooShort: [BackendID] = []
    /// The attempts that failed otherwise. Their servers are not tried again.
    var failures: [Failure] = []

    struct Failure: Sendable, Equatable {
        var backend: BackendID
        /// The server's name, and what happened.
        var text: String
        /// An error that may be the request's own fault. It counts as the server's fault if another server can answer.
        var isSuspicion = false
    }

    /// Servers that are not tried again.
    var excluded: Set<BackendID> { Set(failures.map(\.backend) + tooShort) }

    func hasFailed(on backend: BackendID) -> Bool {
        failures.contains { $0.backend == backend } || tooShort.contains(backend)
    }
}

/// A request that was granted a server.
struct RunningRequest: Sendable {
    /// The request when it was granted; its history includes this attempt.
    var request: PendingRequest
    var backend: BackendID
    var instance: String?
    var grantedAt: Moment
    var isLastResort: Bool
    /// The client's session recorded at the start of the request. `capacity` is the number of sessions that the instance can
    /// hold.
    var session: SessionTable.Handle?
    /// The model of that session.
    var sessionModel: String?
    var capacity: Int
    /// Where the decision stands in the log.
    var decision: DecisionLog.Place
    /// The attempt has already failed (a 503 that is forwarded to the client), so its end does not count as a success.
    var hasFailed = false

    var traits: RequestTraits { request.traits }
}
