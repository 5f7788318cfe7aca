package import Routing
package import Wire

extension ErrorReply {
    /// The error reply for a request that is not run.
    package init(_ refusal: Refusal) {
        switch refusal {
        case .modelNotFound(let model):
            self.init(
                status: 404, code: "model_not_found",
                message: model.isEmpty
                    ? "The request names no model and there is no fallback server. Name a model; GET /v1/models lists them."
                    : "No server has the model \"\(model)\" and there is no fallback server. GET /v1/models lists what there is.")
        case .noSuchServer(let name):
            self.init(
                status: 404, code: "server_not_found",
                message: "There is no server named \"\(name)\". GET /llmhealth-snapshot lists the names.")
        case .keyLimit(let excess):
            self.init(
                status: 429, code: "rate_limit_exceeded",
                message: "The key \"\(excess.key)\" may use \(excess.kind.text(excess.limit)) (keys[].\(excess.kind.rawValue)). "
                    + "Try again in \(excess.retryAfterSeconds) s.", retryAfterSeconds: excess.retryAfterSeconds)
        case .queueFull(let waiting, let seconds):
            self.init(
                status: 429, code: "queue_full",
                message: "All servers for this model are at their limit and \(waiting) requests wait already "
                    + "(queue.max-waiting). Try again in \(seconds) s.", retryAfterSeconds: seconds)
        case .waitTooLong(let seconds, let limit):
            self.init(
                status: 429, code: "queue_wait_too_long",
                message: "All servers for this model are at work: the request would wait about \(seconds) s, and at most "
                    + "\(Self.seconds(limit.nanoseconds)) s are allowed (queue.max-predicted-wait). Try again in \(seconds) s.",
                retryAfterSeconds: seconds)
        case .queueTimeout(let waited, let seconds):
            self.init(
                status: 503, code: "queue_timeout",
                message: "Waited \(waited) s for a free server (queue.max-wait). Try again in \(seconds) s.",
                retryAfterSeconds: seconds)
        case .noServerAvailable(let detail, let seconds):
            self.init(
                status: 503, code: "no_server_available",
                message: "No server for this request is up (\(detail)). Start one, or try again in \(seconds) s.",
                retryAfterSeconds: seconds)
        case .upstreamFailed(let detail):
            self.init(
                status: 502, code: "upstream_failed",
                message: "The request failed before its first byte everywhere it was tried; last: \(detail).")
        }
    }

    /// To milliseconds: `30`, `0.5`.
    private static func seconds(_ nanoseconds: Int64) -> String {
        let text = String(Double(nanoseconds / 1_000_000) / 1000)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}

extension KeyLimits.Kind {
    fileprivate func text(_ limit: Int) -> String {
        switch self {
        case .requestMax: "\(limit) requests at once"
        case .requestsPerMinute: "\(limit) requests in a minute"
        case .tokensPerMinute: "\(limit) tokens in a minute"
        case .tokensPerDay: "\(limit) tokens in a day"
        }
    }
}
