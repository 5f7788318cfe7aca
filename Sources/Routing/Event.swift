/// Everything that can happen to the router.
package enum Event: Sendable, Codable {
    case requestArrived(Ticket, RequestTraits)
    /// The client has disconnected, or an administrator cancelled the request. The request may wait or run.
    case requestCancelled(Ticket)
    case finished(Ticket, Outcome)
    /// The attempt sent nothing to the client: the router decides whether to retry on another server.
    case attemptFailed(Ticket, AttemptFailure)
    /// The answer has begun: its first piece has come. Sent for streams (`RequestTraits.isStream`), and for trials
    /// (`Grant.isTrial`).
    case answerBegan(Ticket)
    /// A stream has been silent for much longer than is usual for it.
    case stalled(Ticket)

    case probed(BackendID, BackendReport)
    /// `engineListens`: only the program on the server's `health-port` failed, while the engine accepts connections.
    case probeFailed(BackendID, reason: String, engineListens: Bool = false)
    /// The server's model list, in its order.
    case modelsListed(BackendID, [ListedModel])

    case fleetChanged(Fleet)
    /// What an earlier run of the program has learned.
    case figuresRestored([SavedFigures])
    /// The server gets no new requests; requests in flight continue to their end.
    case drain(BackendID)
    case undrain(BackendID)
    /// Requested by `Effect.wakeMe`.
    case clockAdvanced
}

/// How a granted request ended.
package struct Outcome: Sendable, Codable {
    package enum Ending: Sendable, Equatable, Codable {
        /// The server sent a complete answer, with any status.
        case complete
        /// The server broke off its answer, or did not begin one within the configured time.
        case broken(String)
        /// The request ended early for a reason that says nothing about the server: the client disconnected, or the balancer
        /// refused the request.
        case abandoned
    }

    package var ending: Ending
    package var timings: Timings?
    /// The id of what the server made and keeps.
    package var created: String?

    package init(_ ending: Ending, timings: Timings? = nil, created: String? = nil) {
        self.ending = ending
        self.timings = timings
        self.created = created
    }
}

/// What an engine reported about the work for one answer.
package struct Timings: Sendable, Equatable, Codable {
    /// Prompt tokens that came from the cache; nil when the engine does not say.
    package var cachedTokens: Int?
    /// Prompt tokens that were not cached.
    package var promptTokens: Int
    package var promptMilliseconds: Double
    package var predictedTokens: Int
    package var predictedMilliseconds: Double
    /// For loading the model, or waiting until it was loaded; nil when the engine does not say.
    package var loadMilliseconds: Double?
    /// The engine does not say how long the prompt took: it is the time from the request to the first byte.
    package var isTimedHere: Bool

    package init(
        cachedTokens: Int? = nil, promptTokens: Int, promptMilliseconds: Double, predictedTokens: Int,
        predictedMilliseconds: Double, loadMilliseconds: Double? = nil, isTimedHere: Bool = false
    ) {
        self.cachedTokens = cachedTokens
        self.promptTokens = promptTokens
        self.promptMilliseconds = promptMilliseconds
        self.predictedTokens = predictedTokens
        self.predictedMilliseconds = predictedMilliseconds
        self.loadMilliseconds = loadMilliseconds
        self.isTimedHere = isTimedHere
    }
}

/// Why an attempt failed.
package enum AttemptFailure: Sendable, Equatable, Codable {
    /// No connection: refused, unreachable, timed out, TLS.
    case connect(String)
    /// The connection broke, or the server sent something that is not HTTP, before anything was sent to the client.
    case beforeAnswer(String)
    /// The server answered with a status that may be worth another attempt (`RetryableStatus`). The answer is held until the
    /// router has decided. `retryAfter`: `Retry-After` in seconds.
    case answered(status: Int, retryAfter: Int? = nil)
    /// The server answered 400, because the prompt does not fit in its context. The answer is held as above.
    case promptTooLong
    /// Any of the above, but the request's body is no longer stored, so the request cannot be sent again.
    case notRepeatable(String)
    /// The server's probes found it down.
    case serverLost

    var isRepeatable: Bool {
        if case .notRepeatable = self { false } else { true }
    }

    /// The attempt's own answer is at hand, and may be forwarded.
    var holdsAnswer: Bool {
        switch self {
        case .answered, .promptTooLong: true
        case .connect, .beforeAnswer, .notRepeatable, .serverLost: false
        }
    }

    package var message: String {
        switch self {
        case .connect(let text): "could not connect: \(text)"
        case .beforeAnswer(let text): "broke before its answer: \(text)"
        case .answered(let status, _): "answered \(status)"
        case .promptTooLong: "answered that the prompt is longer than its context"
        case .notRepeatable(let text): "\(text); its body was too long to be kept for another try (limits.retry-body)"
        case .serverLost: "stopped answering its health probes"
        }
    }
}

/// The statuses of an answer after which another attempt may be made.
package enum RetryableStatus: Sendable {
    /// 502, 503, 504: the server cannot do its work.
    case unavailable
    /// 500, 507, 529: the server failed, perhaps because of the request.
    case failed
    /// 429: the server takes no more requests now.
    case full
    /// 404 to a request for something that another server may have made.
    case missing

    /// Nil for every other status. `isSearch`: `RequestTraits.isSearch`.
    package init?(_ status: Int, isSearch: Bool) {
        switch status {
        case 502, 503, 504: self = .unavailable
        case 500, 507, 529: self = .failed
        case 429: self = .full
        case 404 where isSearch: self = .missing
        default: return nil
        }
    }
}

/// The result of one successful probe.
package struct BackendReport: Sendable, Equatable, Codable {
    /// The server's machine is busy (by its own report), or every slot is in use by work that this balancer did not send.
    package var isBusy: Bool
    /// 0…100; nil when the server does not report it.
    package var gpuUtilisation: Double?
    /// The engine's slots; nil when the server does not report them.
    package var slots: Slots?
    /// What is wrong with a server that works otherwise, for display.
    package var warning: String?
    /// The engine goes on with a stream whose client has left, and the client can resume it (llama-server's
    /// `X-Conversation-Id`).
    package var resumesStreams: Bool
    /// The longest prompt with its answer, in tokens; nil when the server does not report it for the whole engine.
    package var contextTokens: Int?
    /// The engine takes images; nil when it does not say.
    package var sees: Bool?
    /// How many models the engine holds at most; nil when it does not say, `Int.max` without a limit.
    package var mostLoadedModels: Int? = nil
    /// False: a model that is not loaded is answered with an error (`--no-models-autoload`).
    package var loadsModelsItself: Bool = true

    package struct Slots: Sendable, Equatable, Codable {
        package var total: Int
        package var busy: Int
        /// When the engine was asked which ones are busy; nil when `busy` is only what this balancer knows to run there.
        package var countedAt: Moment?

        package init(total: Int, busy: Int, countedAt: Moment? = nil) {
            self.total = total
            self.busy = busy
            self.countedAt = countedAt
        }
    }

    package init(
        isBusy: Bool, gpuUtilisation: Double? = nil, slots: Slots? = nil, warning: String? = nil, resumesStreams: Bool = false,
        contextTokens: Int? = nil, sees: Bool? = nil
    ) {
        self.contextTokens = contextTokens
        self.sees = sees
        self.isBusy = isBusy
        self.gpuUtilisation = gpuUtilisation
        self.slots = slots
        self.warning = warning
        self.resumesStreams = resumesStreams
    }
}
