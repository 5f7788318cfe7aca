/// Which pages of other origins may use the API (`cors.origins`).
package enum AllowedOrigins: Equatable, Sendable {
    /// All of them, as with llama-server. What engines say about it is forwarded.
    case any
    /// These, in lower case. What engines say about it is replaced.
    case only(Set<String>)

    func contains(_ origin: String) -> Bool {
        switch self {
        case .any: true
        case .only(let origins): origins.contains(origin.lowercased())
        }
    }
}

/// Answers to pages of other origins (CORS, Fetch standard section 3.3).
///
/// Pages of other origins must not read who uses this balancer, and must not control it. Therefore the snapshot, the statistics, the
/// metrics, the dashboard, `/admin/` and `/upstream/` never name another origin.
package enum CrossOrigin {
    /// Whether pages of other origins may read the balancer's own answers to such a request.
    package static func isAllowed(_ kind: RouteKind, path: String) -> Bool {
        switch kind {
        case .own: Routes.isMerged(path) || path == "/health"
        case .upstream: false
        case .model, .multipart, .passed: true
        }
    }

    /// The fields that allow a page of that origin to read an answer.
    /// What is the same for all origins: an answer to one page is not an answer to another.
    static let varies = [(name: "Vary", value: "Origin")]

    static func fields(for origin: String) -> [(name: String, value: String)] {
        [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
    }

    /// The same for the answer to a preflight request. Everything that the page asks for is allowed. A list would be shorter for some
    /// browsers than for others, because `*` does not include `Authorization`.
    static func fields(for origin: String, method: String, headers: String?) -> [(name: String, value: String)] {
        fields(for: origin) + [
            ("Access-Control-Allow-Methods", method), ("Access-Control-Allow-Headers", headers ?? "*"),
            ("Access-Control-Max-Age", "600"),
        ]
    }
}
