import NIOCore
import Wire

/// Method and target of a request as they were received, and what they mean. Made once for many requests.
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
        path = String(Routes.path(of: target))
    }

    /// Before the first request.
    static let none = RequestLine(bytes: ByteBuffer(), method: "", target: "")
}

/// The lines that a loop's clients send again and again.
struct RequestLines {
    private static let limit = 256
    private static let longest = 128

    /// What the last new one asked for.
    private(set) var last = RequestLine.none
    private var posts: [String: RequestLine] = [:]

    /// - Parameters:
    ///   - bytes: the first line up to the target's end.
    ///   - methodLength: bytes of it that are the method.
    mutating func look(up bytes: ByteBuffer, methodLength: Int) -> RequestLine {
        if bytes == last.bytes { return last }
        let start = bytes.readerIndex
        let method = bytes.getString(at: start, length: methodLength) ?? ""
        let target = bytes.getString(at: start + methodLength + 1, length: bytes.readableBytes - methodLength - 1) ?? ""
        if method == "POST", let known = posts[target] {
            last = known
            return known
        }
        // A copy: the received buffer is not kept alive for it.
        let line = RequestLine(bytes: ByteBuffer(bytes: bytes.readableBytesView), method: method, target: target)
        if method == "POST", target.utf8.count <= Self.longest {
            if posts.count >= Self.limit { posts.removeAll() }
            posts[target] = line
        }
        last = line
        return line
    }
}
