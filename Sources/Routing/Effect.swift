/// Everything the router can ask for. Effects are carried out after the router's lock is free; each
/// owner of requests carries out its own in the order in which they were decided.
package enum Effect: Sendable, Equatable {
    /// Run this request there.
    case grant(Ticket, Grant)
    case refuse(Ticket, Refusal)
    /// No other server can answer: pass on the attempt's own answer (502, 503 or 504).
    case keepAnswer(Ticket)
    /// The request's server was found dead: report `attemptFailed` if nothing has gone to the client yet,
    /// else end the answer visibly.
    case serverLost(Ticket)
    case probeNow(BackendID)
    /// Send `clockAdvanced` at that moment or a little later.
    case wakeMe(at: Moment)

    /// The request that it concerns; nil for effects that concern none.
    package var ticket: Ticket? {
        switch self {
        case .grant(let ticket, _), .refuse(let ticket, _), .keepAnswer(let ticket), .serverLost(let ticket): ticket
        case .probeNow, .wakeMe: nil
        }
    }
}

/// Where a request runs.
package struct Grant: Sendable, Equatable {
    package var backend: BackendID
    package var serverName: String
    /// The instance to ask for, when it is not the model that the client named.
    package var model: String?
    /// 1 for the first.
    package var attempt: Int
    /// Nil when it did not wait.
    package var waitedMilliseconds: Double?
    /// This request finds out whether the server works again: `answerBegan` has to be sent as soon as its answer begins.
    package var isTrial = false
}

/// Why a request is not run.
package enum Refusal: Sendable, Equatable {
    /// No server has the model and there is no fallback.
    case modelNotFound(String)
    case noSuchServer(String)
    case queueFull(waiting: Int, retryAfterSeconds: Int)
    case queueTimeout(waitedSeconds: Int, retryAfterSeconds: Int)
    /// Nobody is up, and the one that was tried all the same failed too.
    case noServerAvailable(detail: String, retryAfterSeconds: Int)
    /// Everything that was tried broke before its first byte.
    case upstreamFailed(detail: String)
}
