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
        // An engine may resolve the dots and arrive at another path.
        case .model, .multipart: self = Routes.hasDotSegments(line.path) ? .admin(steers: true) : .anyKey
        case .passed: self = Routes.isAPI(path: line.path, isRead: line.isRead) ? .anyKey : .admin(steers: true)
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
    /// A browser would send this for a page of another site, too, and nothing shows that it does not.
    case unprovenSite(path: String)
    case path(name: String, path: String)
    case onlyModels(name: String, path: String)
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
        case .path(let name, let path):
            forbidden("The key \"\(name)\" may not use \(path). Its paths in the balancer's configuration do not have it.")
        case .otherSite(let path): forbidden("A page of another site may not use \(path).")
        case .unprovenSite(let path):
            forbidden("\(path) does not take a password from a browser. Send the key as Authorization: Bearer KEY.")
        case .onlyModels(let name, let path):
            forbidden(
                "The key \"\(name)\" may use some models only, and what \(path) uses cannot be told for certain. It is good for chats, "
                    + "completions, embeddings and the like, with the model in a JSON body.")
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

extension KeyDenial {
    /// Something was sent as a key, and it is none: perhaps a guess.
    var isWrongKey: Bool {
        switch self {
        case .unknown: true
        case .credentials(let problem): problem != .missing
        case .expired, .notAdmin, .path, .otherSite, .unprovenSite, .onlyModels, .model, .noModel, .severalModels: false
        }
    }

    /// The name of the key that was shown; nil when it is none of ours.
    var keyName: String? {
        switch self {
        case .credentials, .unknown, .otherSite, .unprovenSite: nil
        case .expired(let name), .notAdmin(let name, _), .path(let name, _), .onlyModels(let name, _), .model(let name, _),
            .noModel(let name),
            .severalModels(let name):
            name
        }
    }
}

/// The result of looking at a request's key.
enum KeyCheck: Equatable {
    /// Nil: the request needs none.
    case passed(ClientKey?)
    case denied(KeyDenial)

    /// - Parameters:
    ///   - now: milliseconds since 1970.
    ///   - site: which page sends the request, as far as a browser says.
    init(_ line: RequestLine, _ credentials: Credentials, _ ring: KeyRing, now: Int, site: @autoclosure () -> LocalAccess.Site) {
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
        self.init(line, need, key, isBasic: credentials.isBasic, now: now, site)
    }

    /// - Parameter key: the one that was presented.
    init(_ line: RequestLine, _ key: ClientKey, isBasic: Bool, now: Int, site: @autoclosure () -> LocalAccess.Site) {
        let need = KeyNeed(line)
        if need == .nothing { self = .passed(nil) } else { self.init(line, need, key, isBasic: isBasic, now: now, site) }
    }

    private init(
        _ line: RequestLine, _ need: KeyNeed, _ key: ClientKey, isBasic: Bool, now: Int, _ site: () -> LocalAccess.Site
    ) {
        if let expiresAt = key.expiresAt, expiresAt <= now {
            self = .denied(.expired(name: key.name))
            return
        }
        if let denial = Self.denial(line, need, key, isBasic: isBasic, site) {
            self = .denied(denial)
        } else {
            self = .passed(key)
        }
    }

    private static func denial(
        _ line: RequestLine, _ need: KeyNeed, _ key: ClientKey, isBasic: Bool, _ site: () -> LocalAccess.Site
    ) -> KeyDenial? {
        switch need {
        case .nothing: return nil
        case .admin where !key.opens(restricted: line): return .notAdmin(name: key.name, path: line.path)
        case .anyKey where !key.opens(api: line): return .path(name: key.name, path: line.path)
        case .admin(let steers) where isBasic && steers: return denialOfPassword(line, site())
        // Else a page of another site could spend the tokens of whoever has the balancer's page open.
        case .anyKey where isBasic && !(line.kind == .own && line.isRead): return .credentials(.unreadable)
        case .anyKey where key.models != nil && !line.tellsModel: return .onlyModels(name: key.name, path: line.path)
        case .anyKey, .admin: return nil
        }
    }

    /// A browser sends a password that it has kept for pages of other sites, too, and over plain HTTP it does not always say for which.
    private static func denialOfPassword(_ line: RequestLine, _ site: LocalAccess.Site) -> KeyDenial? {
        switch site {
        case .own: nil
        case .other: .otherSite(path: line.path)
        // A question to the balancer itself changes nothing, and its answer can be read by no other site.
        case .unknown: line.kind == .own && line.isRead ? nil : .unprovenSite(path: line.path)
        }
    }
}

extension RequestLine {
    /// Which model such a request uses can be told for certain: its body names it, as JSON and nowhere else, or it asks about one model,
    /// or for the list of those that the key may use.
    fileprivate var tellsModel: Bool {
        guard !Routes.hasDotSegments(path), !Routes.mayNameModel(query: target) else { return false }
        return switch kind {
        case .own: isRead
        case .model: true
        case .multipart: method == "POST"
        case .passed: isRead && path.hasPrefix("/v1/models/")
        case .upstream: false
        }
    }
}
