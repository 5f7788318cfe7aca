import Routing
import Wire

/// What a request needs a key for.
enum KeyNeed: Equatable {
    /// Health checks of load balancers and orchestrators have no keys.
    case nothing
    case anyKey
    /// It shows who uses the balancer or its engines, or changes them. `steers`: it can change something.
    case admin(steers: Bool)

    init(_ line: RequestLine) {
        switch line.kind {
        case .upstream: self = .admin(steers: true)
        case .model, .multipart: self = .anyKey
        case .passed: self = Routes.isAPI(method: line.method, path: line.path) ? .anyKey : .admin(steers: true)
        case .own:
            switch line.path {
            case "/health", "/llmhealth", "/favicon.ico": self = .nothing
            case _ where Routes.isMerged(line.path): self = .anyKey
            case let path: self = .admin(steers: path.hasPrefix("/admin") || path.hasPrefix("/upstream"))
            }
        }
    }
}

/// Why a request is refused because of its key.
enum KeyDenial: Equatable {
    case credentials(Credentials.Problem)
    case unknown
    case expired(name: String)
    case notAdmin(name: String, path: String)
    /// A page of another site uses the key that the browser knows.
    case otherSite(path: String)
    case model(name: String, model: String)
    case noModel(name: String)
    case severalModels(name: String)

    var reply: ErrorReply {
        switch self {
        case .credentials(.missing):
            refused("This balancer needs a key. Send it as Authorization: Bearer KEY, x-api-key or api-key.")
        case .credentials(.unreadable):
            refused("The request's key cannot be read. Send it as Authorization: Bearer KEY, x-api-key or api-key.")
        case .credentials(.several): refused("The request has several different keys. Send one.")
        case .unknown: refused("There is no such key.")
        case .expired(let name): refused("The key \"\(name)\" has expired. Ask the operator of this balancer for a new one.")
        case .notAdmin(let name, let path):
            forbidden("The key \"\(name)\" may not use \(path). It needs admin: true in the balancer's configuration.")
        case .otherSite(let path): forbidden("A page of another site may not use \(path).")
        case .model(let name, let model):
            forbidden("The key \"\(name)\" may not use the model \"\(model)\". GET /v1/models lists those that it may use.")
        case .noModel(let name):
            forbidden(
                "The key \"\(name)\" may use some models only, and this request names none. Name one; GET /v1/models lists them.")
        case .severalModels(let name):
            forbidden(
                "The key \"\(name)\" may use some models only, and this request names its model in several fields. Name it once.")
        }
    }

    private func refused(_ message: String) -> ErrorReply { .init(status: 401, code: ErrorReply.invalidKey, message: message) }
    private func forbidden(_ message: String) -> ErrorReply { .init(status: 403, code: ErrorReply.forbidden, message: message) }
}

extension ErrorReply {
    static let invalidKey = "invalid_api_key"
    static let forbidden = "forbidden"
}

/// The result of looking at a request's key.
enum KeyCheck: Equatable {
    /// Nil: the request needs none.
    case passed(ClientKey?)
    case denied(KeyDenial)

    /// - Parameters:
    ///   - now: milliseconds since 1970.
    ///   - isOtherSite: a browser says that a page of another site sends the request.
    init(_ line: RequestLine, _ credentials: Credentials, _ ring: KeyRing, now: Int, isOtherSite: @autoclosure () -> Bool) {
        let need = KeyNeed(line)
        guard need != .nothing else {
            self = .passed(nil)
            return
        }
        if let problem = credentials.problem {
            self = .denied(.credentials(problem))
            return
        }
        guard let key = ring.key(credentials.key) else {
            self = .denied(.unknown)
            return
        }
        if let expiresAt = key.expiresAt, expiresAt <= now {
            self = .denied(.expired(name: key.name))
            return
        }
        switch need {
        case .admin where !key.isAdmin: self = .denied(.notAdmin(name: key.name, path: line.path))
        // The page itself may be opened from anywhere, and its data can be read by no other site.
        case .admin(steers: true) where credentials.isBasic && isOtherSite(): self = .denied(.otherSite(path: line.path))
        // Else a page of another site could spend the tokens of whoever has the balancer's page open.
        case .anyKey where credentials.isBasic && !(line.kind == .own && line.isRead): self = .denied(.credentials(.unreadable))
        case .nothing, .anyKey, .admin: self = .passed(key)
        }
    }
}
