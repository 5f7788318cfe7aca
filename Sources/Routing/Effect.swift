/// Everything that the router can ask for. Effects are carried out after the router's lock is released. Each owner of
/// requests carries out its own effects in the order in which they were decided.
package enum Effect: Sendable, Equatable {
    /// Run this request on the granted server.
    case grant(Ticket, Grant)
    case refuse(Ticket, Refusal)
    /// No other server can answer: forward the attempt's own answer.
    case keepAnswer(Ticket)
    /// The attempt's own answer (429) is dropped, and the request waits for a server.
    case requeued(Ticket)
    /// The probes found the request's server down: report `attemptFailed` if nothing has been sent to the client yet,
    /// otherwise end the answer with a visible error.
    case serverLost(Ticket)
    case probeNow(BackendID)
    /// Something that the operator wants to know about that server.
    case serverNews(server: String, ServerNews)
    /// Send `clockAdvanced` at that moment or a little later.
    case wakeMe(at: Moment)

    /// The request that the effect concerns; nil for effects that concern no request.
    package var ticket: Ticket? {
        switch self {
        case .grant(let ticket, _), .refuse(let ticket, _), .keepAnswer(let ticket), .requeued(let ticket),
            .serverLost(let ticket):
            ticket
        case .probeNow, .serverNews, .wakeMe: nil
        }
    }
}

/// What changes about a server, for the program's log.
package enum ServerNews: Sendable, Equatable {
    /// For the first time, or again.
    case up
    /// It gets no new requests.
    case down(reason: String)
    /// It works, but not as it should (`BackendReport.warning`).
    case warning(String)
}

/// The server on which a request runs.
package struct Grant: Sendable, Equatable {
    package var backend: BackendID
    package var serverName: String
    /// The instance to request, when it differs from the model that the client named.
    package var model: String?
    /// 1 for the first attempt.
    package var attempt: Int
    /// Nil when the request did not wait.
    package var waitedMilliseconds: Double?
    /// This request tests whether the server works again: `answerBegan` must be sent as soon as its answer begins.
    package var isTrial = false
    /// The engine goes on with a stream whose client has left (`BackendReport.resumesStreams`).
    package var resumesStreams = false
    /// Nil when nothing is known of the prompt.
    package var cache: CacheForecast?
    /// The request's class.
    package var priority = PriorityClass.normal
    /// What the client's key has left; nil when it has no limits.
    package var standing: KeyStanding?
}

/// How much of a prompt the server should find in its cache.
package struct CacheForecast: Sendable, Equatable {
    package enum Result: Sendable, Equatable {
        /// More than half of the prompt.
        case hit
        case miss
        /// The conversation's last turn was on another server.
        case moved
    }

    package var result: Result
    /// Of the prompt, as far as they should be found.
    package var tokens: Int
}

/// Why a request is not run.
package enum Refusal: Sendable, Equatable {
    /// No server has the model and there is no fallback.
    case modelNotFound(String)
    case noSuchServer(String)
    case keyLimit(KeyExcess)
    case queueFull(waiting: Int, retryAfterSeconds: Int)
    /// It would wait longer than its class may (`RoutingPolicy.longestPrediction`).
    case waitTooLong(predictedSeconds: Int, limit: Interval)
    case queueTimeout(waitedSeconds: Int, retryAfterSeconds: Int)
    /// No server is up, and the server that was tried as a last resort failed too.
    case noServerAvailable(detail: String, retryAfterSeconds: Int)
    /// All attempts failed before the first byte of an answer.
    case upstreamFailed(detail: String)
}
