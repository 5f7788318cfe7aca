package import Routing
package import Wire

/// The kind of a request, according to its method and path.
package enum RouteKind: Equatable, Sendable {
    /// Answered by the balancer itself.
    case own
    /// Sent to one server: `/upstream/NAME/rest`. `restStart`: where the part to send begins in the target.
    case upstream(name: String, restStart: Int)
    /// Routed by the model that the JSON body names. `counts`: makes an engine compute. `isChat`: model rules apply.
    case model(counts: Bool, isChat: Bool)
    /// Routed by the model in a multipart form.
    case multipart
    /// All other requests: routed by the model that their target or their JSON body names, by what they ask for, or like a
    /// request without a model.
    case passed

    var isRoutedByModel: Bool {
        switch self {
        case .model, .multipart, .passed: true
        case .own, .upstream: false
        }
    }
}

/// The paths that the balancer knows.
package enum Routes {
    package static func kind(method: String, target: String) -> RouteKind {
        let path = path(of: target)
        if path == "/upstream" { return .own }
        if path.hasPrefix("/upstream/") { return upstream(target) }
        if isOwn(method: method, path: path) { return .own }
        guard method == "POST" else { return .passed }
        return modelPath(path)
    }

    /// The API family of a path, which decides the format of errors.
    package static func dialect(target: String) -> APIDialect {
        if target.hasPrefix("/v1/messages") || target.hasPrefix("/messages") { return .anthropic }
        return target.hasPrefix("/api/") ? .ollama : .openAI
    }

    /// The target without its query and without trailing slashes.
    package static func path(of target: String) -> String {
        var path = target.utf8.firstIndex(of: UInt8(ascii: "?")).map { target.utf8[..<$0] } ?? target.utf8[...]
        while path.count > 1, path.last == UInt8(ascii: "/") { path = path.dropLast() }
        return String(Substring(path))
    }

    /// Whether a segment of the path is `.` or `..`, however it is written. A server that resolves such a segment, or an encoded slash or a
    /// backslash before it, arrives at another path: it may leave the folder, or be one that a key is not good for.
    package static func hasDotSegments(_ path: String) -> Bool {
        // Nearly all paths have none of these, and this is asked for each request.
        guard path.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "\\") }) else {
            return false
        }
        let decoded = percentDecoded(path[...]).replacing("\\", with: "/")
        return decoded.split(separator: "/").contains { $0 == "." || $0 == ".." }
    }

    /// Paths of the engines' APIs that the balancer answers itself, for all servers together.
    private static let mergedLists: Set = ["/v1/models", "/models", "/api/tags", "/api/ps", "/api/version"]
    private static let mergedQuestions: Set = ["/v1/streams/lookup", "/v1/chat/completions/control"]

    /// Whether the path belongs to the engines' APIs, although the balancer answers it.
    static func isMerged(_ path: String) -> Bool { mergedLists.contains(path) || mergedQuestions.contains(path) }

    private static func isOwn(method: String, path: String) -> Bool {
        if path == "/admin" || path.hasPrefix("/admin/") { return true }
        if mergedQuestions.contains(path) { return method == "POST" }
        guard method == "GET" || method == "HEAD" else { return false }
        switch path {
        case "/llmhealth", "/llmhealth-snapshot", "/llmhealth-monitor", "/access-log-stats", "/health", "/metrics",
            "/favicon.ico":
            return true
        default: return mergedLists.contains(path) || path.hasPrefix("/llmhealth-monitor/")
        }
    }

    /// The model that the target of a request names, if any: `?model=…`, or `GET /v1/models/ID`.
    package static func namedModel(method: String, target: String) -> String? {
        let path = path(of: target)
        if asksForModel(method: method, path: path) { return percentDecoded(path.dropFirst("/v1/models/".count)) }
        let model = queryValue("model", of: target) ?? ""
        return model.isEmpty ? nil : model
    }

    private static func asksForModel(method: String, path: String) -> Bool {
        ["GET", "HEAD", "DELETE"].contains(method) && path.hasPrefix("/v1/models/")
    }

    /// The target with another name for the model that it names.
    package static func renaming(method: String, target: String, to model: String) -> String {
        let (path, query) = (target.prefix { $0 != "?" }, target.drop { $0 != "?" })
        let name = percentEncoded(model)
        if asksForModel(method: method, path: String(path)) { return "/v1/models/" + name + query }
        var isRenamed = false
        let parameters = query.dropFirst().split(separator: "&", omittingEmptySubsequences: false).map { parameter in
            guard !isRenamed, parameter.hasPrefix("model=") else { return String(parameter) }
            isRenamed = true
            return "model=" + name
        }
        return path + "?" + parameters.joined(separator: "&")
    }

    /// Whether a request that is none of the known ones makes an engine compute if it names a model.
    package static func computes(method: String, path: String) -> Bool {
        guard method == "POST" else { return path.hasSuffix("/realtime") }
        return !lightRequests.contains(path.split(separator: "/").last.map(String.init) ?? "")
    }

    /// The last part of paths below which engines answer at once.
    private static let lightRequests: Set<String> = [
        "tokenize", "detokenize", "apply-template", "count_tokens", "input_tokens", "render", "show", "props", "load", "unload",
        "pull", "push", "copy", "create", "lookup",
    ]

    /// Whether engines keep the prompt of such a request in a cache. They do not keep what has no answer to be continued.
    static func keepsPrompt(path: String) -> Bool {
        !answersWithoutText.contains(path.split(separator: "/").last.map(String.init) ?? "")
    }

    private static let answersWithoutText: Set<String> = [
        "embeddings", "embedding", "embed", "rerank", "reranking", "score", "classify", "moderations",
    ]

    /// The decoded value of a query's first parameter with that name.
    package static func queryValue(_ name: String, of target: String) -> String? {
        let query = target.drop { $0 != "?" }.dropFirst()
        let parameter = query.split(separator: "&").first { $0.hasPrefix(name + "=") }
        return parameter.map { percentDecoded($0.dropFirst(name.count + 1)) }
    }

    /// The conversation whose stream is resumed: `/v1/stream?conv_id=ID`, `/v1/stream/ID` (llama-server).
    package static func resumedConversation(_ target: String) -> String? {
        let path = path(of: target)
        guard path == "/v1/stream" || path.hasPrefix("/v1/stream/") else { return nil }
        if path.hasPrefix("/v1/stream/") { return percentDecoded(path.dropFirst("/v1/stream/".count)) }
        return queryValue("conv_id", of: target)
    }

    /// What a request asks for, if one server made it: a stored response, conversation, completion, file or batch by its id, or a
    /// conversation's stream.
    package static func followed(target: String) -> RequestTraits.Followed? {
        if let conversation = resumedConversation(target) {
            return .stream(conversation.cut(toBytes: ClientIdentity.longestName))
        }
        let path = path(of: target)
        let short = withoutVersion(path)
        for collection in collections {
            guard short.hasPrefix(collection), short.dropFirst(collection.count).first == "/" else { continue }
            let id = short.dropFirst(collection.count + 1).prefix { $0 != "/" }
            // Ids have digits; words such as `input_tokens` are other requests.
            guard id.utf8.contains(where: { (0x30...0x39).contains($0) }) else { return nil }
            return .made(percentDecoded(id).cut(toBytes: ClientIdentity.longestName))
        }
        return nil
    }

    /// Whether a successful answer has the id of something that its server keeps.
    static func creates(method: String, path: String) -> Bool {
        guard method == "POST" else { return false }
        let short = withoutVersion(path)
        return short != "/chat/completions" && collections.contains(short)
    }

    /// OpenAI's paths are served with and without `/v1`.
    static func withoutVersion(_ path: String) -> String {
        path.hasPrefix("/v1/") ? String(path.dropFirst("/v1".count)) : path
    }

    private static let collections = ["/responses", "/conversations", "/chat/completions", "/files", "/batches"]

    private static func upstream(_ target: String) -> RouteKind {
        let rest = target.dropFirst("/upstream/".count)
        let name = rest.prefix { $0 != "/" && $0 != "?" }
        guard !name.isEmpty else { return .own }
        return .upstream(name: percentDecoded(name), restStart: "/upstream/".utf8.count + name.utf8.count)
    }

    private static func modelPath(_ path: String) -> RouteKind {
        let short = withoutVersion(path)
        switch short {
        case "/chat/completions": return .model(counts: true, isChat: true)
        case "/completions", "/responses", "/embeddings", "/rerank", "/messages":
            return .model(counts: true, isChat: false)
        case "/messages/count_tokens": return .model(counts: false, isChat: false)
        default: break
        }
        if short.hasPrefix("/audio/") || short.hasPrefix("/images/") { return .multipart }
        switch path {
        case "/completion", "/infill", "/embedding", "/reranking", "/v1/reranking", "/api/chat", "/api/generate",
            "/api/embed", "/api/embeddings":
            return .model(counts: true, isChat: false)
        case "/tokenize", "/detokenize", "/apply-template", "/api/show":
            return .model(counts: false, isChat: false)
        default: return .passed
        }
    }

    /// Decodes percent-encoded characters such as `%41`. Returns the text unchanged when the encoding is malformed.
    package static func percentDecoded(_ text: Substring) -> String {
        var output: [UInt8] = []
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            guard byte == UInt8(ascii: "%") else {
                output.append(byte)
                continue
            }
            guard let high = iterator.next().flatMap(JSONString.hexadecimalValue),
                let low = iterator.next().flatMap(JSONString.hexadecimalValue)
            else { return String(text) }
            output.append(high << 4 | low)
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Encodes everything but the unreserved characters of RFC 3986 section 2.3, and the `/` and `:` of model names.
    static func percentEncoded(_ text: String) -> String {
        var output = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "/"), UInt8(ascii: ":"):
                output.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                output += byte < 16 ? "%0" + digits : "%" + digits
            }
        }
        return output
    }
}
