import NIOCore
import Wire

/// Method and target of a request as they were received, and what they mean. A connection keeps its last one,
/// as most clients ask for the same again and again.
final class RequestLine: Sendable {
    /// The request's first line up to the target's end.
    let bytes: ByteBuffer
    let method: String
    let target: String
    let kind: RouteKind
    let dialect: APIDialect
    /// The target without its query and slashes at its end.
    let path: String

    init(bytes: ByteBuffer, method: String, target: String) {
        self.bytes = bytes
        self.method = method
        self.target = target
        kind = Routes.kind(method: method, target: target)
        dialect = Routes.dialect(target: target)
        path = Routes.path(of: target)
    }

    /// Before the first request.
    static let none = RequestLine(bytes: ByteBuffer(), method: "", target: "")
}
