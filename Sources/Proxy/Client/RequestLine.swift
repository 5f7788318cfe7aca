import NIOCore
import Routing
import Wire

/// Method and target of a request as received, and their meaning. A connection keeps the last one, because most clients
/// request the same target repeatedly.
final class RequestLine: Sendable {
    /// The bytes of the request's first line, up to the end of the target.
    let bytes: ByteBuffer
    let method: String
    let target: String
    let kind: RouteKind
    let dialect: APIDialect
    /// The target without its query and without trailing slashes.
    let path: String
    /// The model that the target names. On unknown paths it counts more than a model in the body, on the others less.
    let namedModel: String?
    /// What the target asks for, if it was made by one server.
    let followed: RequestTraits.Followed?
    /// Engines keep the prompt in a cache.
    let keepsPrompt: Bool
    /// A successful answer has the id of something that its server keeps.
    let creates: Bool

    init(bytes: ByteBuffer, method: String, target: String) {
        self.bytes = bytes
        self.method = method
        self.target = target
        kind = Routes.kind(method: method, target: target)
        dialect = Routes.dialect(target: target)
        path = Routes.path(of: target)
        followed = kind == .passed ? Routes.followed(target: target) : nil
        keepsPrompt = Routes.keepsPrompt(path: path)
        creates = Routes.creates(method: method, path: path)
        namedModel = kind.isRoutedByModel ? Routes.namedModel(method: method, target: target) : nil
    }

    var isRead: Bool { method == "GET" || method == "HEAD" }

    /// What a client without a key should send (RFC 9110 section 11.6.1). For pages, a browser asks its user.
    var challenge: String {
        switch KeyNeed(self) {
        case .nothing, .anyKey: "Bearer realm=\"llama-balancer\""
        case .admin: "Basic realm=\"llama-balancer\", charset=\"UTF-8\""
        }
    }

    /// Before the first request.
    static let none = RequestLine(bytes: ByteBuffer(), method: "", target: "")
}
