/// Everything that can happen to the router.
package enum Event: Sendable, Codable {
    case requestArrived(Ticket, RequestTraits)
    /// The client has gone, or the request was cancelled by an administrator; waiting or running.
    case requestCancelled(Ticket)
    case finished(Ticket, Outcome)
    /// The attempt produced nothing for the client: may it run elsewhere?
    case attemptFailed(Ticket, AttemptFailure)
    /// The answer of a trial (`Grant.isTrial`) has begun.
    case answerBegan(Ticket)
    /// A stream has been silent for much longer than is usual for it.
    case stalled(Ticket)

    case probed(BackendID, BackendReport)
    case probeFailed(BackendID, reason: String)
    /// The server's model list, in its order.
    case modelsListed(BackendID, [String])

    case fleetChanged(Fleet)
    /// No new work there; running work ends by itself.
    case drain(BackendID)
    case undrain(BackendID)
    /// Asked for by `Effect.wakeMe`.
    case clockAdvanced
}

/// How a granted request ended.
package struct Outcome: Sendable, Codable {
    package enum Ending: Sendable, Equatable, Codable {
        /// The server gave a whole answer, whatever its status.
        case complete
        /// The server broke in the middle of its answer, or did not begin one in the configured time.
        case broken(String)
        /// It was cut short and says nothing about the server: the client left, or the request was refused here.
        case abandoned
    }

    package var ending: Ending
    package var timings: Timings?

    package init(_ ending: Ending, timings: Timings? = nil) {
        self.ending = ending
        self.timings = timings
    }
}

/// What an engine reported about the work for one answer.
package struct Timings: Sendable, Equatable, Codable {
    /// Prompt tokens that were not cached.
    package var promptTokens: Int
    package var promptMilliseconds: Double
    package var predictedTokens: Int
    package var predictedMilliseconds: Double

    package init(promptTokens: Int, promptMilliseconds: Double, predictedTokens: Int, predictedMilliseconds: Double) {
        self.promptTokens = promptTokens
        self.promptMilliseconds = promptMilliseconds
        self.predictedTokens = predictedTokens
        self.predictedMilliseconds = predictedMilliseconds
    }
}

/// Why an attempt came to nothing.
package enum AttemptFailure: Sendable, Equatable, Codable {
    /// No connection: refused, unreachable, timed out, TLS.
    case connect(String)
    /// The connection broke, or said something that is not HTTP, before anything went to the client.
    case beforeAnswer(String)
    /// The server answered 502, 503 or 504. The answer is kept until the router has decided.
    case answered(status: Int)
    /// Any of the above, but the request's body is gone, so it cannot be sent again.
    case notRepeatable(String)
    /// The server was found dead by its probes.
    case serverLost

    var isRepeatable: Bool {
        if case .notRepeatable = self { false } else { true }
    }

    package var message: String {
        switch self {
        case .connect(let text): "could not connect: \(text)"
        case .beforeAnswer(let text): "broke before its answer: \(text)"
        case .answered(let status): "answered \(status)"
        case .notRepeatable(let text): "\(text); its body was too long to be kept for another try (limits.retry-body)"
        case .serverLost: "stopped answering its health probes"
        }
    }
}

/// What one successful probe saw.
package struct BackendReport: Sendable, Equatable, Codable {
    /// The server's machine (or all its slots) is busy with work of its own or of others.
    package var isBusy: Bool
    /// 0…100, when the server told.
    package var gpuUtilisation: Double?
    /// Slots the engine has and those at work; nil when it does not tell.
    package var slots: Slots?

    package struct Slots: Sendable, Equatable, Codable {
        package var total: Int
        package var busy: Int

        package init(total: Int, busy: Int) {
            self.total = total
            self.busy = busy
        }
    }

    package init(isBusy: Bool, gpuUtilisation: Double? = nil, slots: Slots? = nil) {
        self.isBusy = isBusy
        self.gpuUtilisation = gpuUtilisation
        self.slots = slots
    }
}
