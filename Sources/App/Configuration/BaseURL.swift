import Proxy

/// The address of a server: scheme, host, port and an optional path prefix. No user, query or fragment.
package struct BaseURL: Equatable, Hashable, Sendable {
    package enum Scheme: String, Sendable {
        case http
        case https

        package var defaultPort: Int {
            switch self {
            case .http: 80
            case .https: 443
            }
        }
    }

    package var scheme: Scheme

    /// A host name or an address; IPv6 without its brackets.
    package var host: String

    /// 1 to 65535; the scheme's default port if the text has none.
    package var port: Int

    /// Empty, or begins with a slash and does not end in one: `/engines/a`.
    package var pathPrefix: String

    package init(scheme: Scheme, host: String, port: Int, pathPrefix: String = "") {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.pathPrefix = pathPrefix
    }

    /// `host:port`, IPv6 in brackets.
    package var hostAndPort: String { "\(bracketedHost):\(port)" }

    /// For the `Host` header: with the port only if it is not the scheme's default.
    package var hostHeader: String { port == scheme.defaultPort ? bracketedHost : hostAndPort }

    /// `http://host:port`, always with the port.
    package var origin: String { "\(scheme.rawValue)://\(hostAndPort)" }

    private var bracketedHost: String { host.contains(":") ? "[\(host)]" : host }
}

extension BaseURL: CustomStringConvertible {
    package var description: String { origin + pathPrefix }
}

extension BaseURL {
    /// What is wrong with an address, and the remedy. Never repeats the part before an `@`, which may be a password.
    struct ParseError: Error, Equatable {
        let message: String
        let hint: String?

        init(_ message: String, hint: String? = nil) {
            self.message = message
            self.hint = hint
        }
    }

    /// An address as read, before its default port is filled in.
    struct Parsed {
        var url: BaseURL
        /// Whether the text names a port.
        var namesPort: Bool
    }

    /// Reads `scheme://host[:port][/prefix]`; `assumingHTTP` allows the scheme to be left out.
    static func parse(_ text: String, assumingHTTP: Bool = false) throws(ParseError) -> Parsed {
        guard !text.isEmpty else { throw ParseError("the address is empty", hint: example) }
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ParseError(
                "an address is made of visible ASCII characters, without spaces or line breaks",
                hint: "write other host names in their xn-- form")
        }
        let (scheme, rest) = try splitScheme(text, assumingHTTP: assumingHTTP)
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains("@") else {
            throw ParseError("a user name or password in the address is not allowed", hint: "use api-key or headers")
        }
        guard !rest.contains(where: { "?#".contains($0) }) else {
            throw ParseError("a query (?) or fragment (#) is not part of a base URL", hint: example)
        }
        let (host, port) = try splitAuthority(authority)
        let prefix = try pathPrefix(rest[end...])
        let url = BaseURL(scheme: scheme, host: host, port: port ?? scheme.defaultPort, pathPrefix: prefix)
        return Parsed(url: url, namesPort: port != nil)
    }

    private static let example = #"for example "http://192.168.1.20:8080""#

    private static func splitScheme(
        _ text: String, assumingHTTP: Bool
    ) throws(ParseError) -> (Scheme, Substring) {
        guard let separator = text.firstRange(of: "://") else {
            if assumingHTTP { return (.http, text[...]) }
            throw ParseError("the address has no scheme", hint: "begin it with http:// or https://, \(example)")
        }
        guard let scheme = Scheme(rawValue: text[..<separator.lowerBound].lowercased()) else {
            throw ParseError("the address has a scheme other than http and https", hint: example)
        }
        return (scheme, text[separator.upperBound...])
    }

    private static func splitAuthority(_ authority: Substring) throws(ParseError) -> (host: String, port: Int?) {
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else { throw ParseError(#"the address has "[" without "]""#) }
            let host = String(authority[authority.index(after: authority.startIndex)..<close])
            guard let address = IPAddress(host), address.family == .v6 || host.contains(":") else {
                throw ParseError("[\(host)] is not an IPv6 address")
            }
            let rest = authority[authority.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { throw ParseError(#"expected ":" and a port after "]""#) }
            return (host, try rest.isEmpty ? nil : port(rest.dropFirst()))
        }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2 else {
            throw ParseError("too many colons", hint: "an IPv6 address needs brackets: http://[::1]:8080")
        }
        let host = String(parts[0])
        try checkHost(host)
        return (host, try parts.count == 2 ? port(parts[1]) : nil)
    }

    private static func checkHost(_ host: String) throws(ParseError) {
        guard !host.isEmpty else { throw ParseError("the address has no host", hint: example) }
        guard host.utf8.count <= 253, host.allSatisfy({ $0.isLetter || $0.isNumber || "-._".contains($0) }) else {
            throw ParseError("\"\(host)\" is not a host name", hint: "use letters, digits, hyphens, dots and underscores")
        }
        let looksLikeIPv4 = host.allSatisfy { $0.isNumber || $0 == "." }
        guard !looksLikeIPv4 || IPAddress(host) != nil else {
            throw ParseError("\"\(host)\" is not an IPv4 address", hint: "that has four numbers from 0 to 255")
        }
    }

    private static func port(_ text: Substring) throws(ParseError) -> Int {
        guard text.allSatisfy(\.isNumber), let port = Int(text), (1...65535).contains(port) else {
            throw ParseError("\"\(text)\" is not a port", hint: "ports are numbers from 1 to 65535")
        }
        return port
    }

    private static func pathPrefix(_ path: Substring) throws(ParseError) -> String {
        var prefix = path
        while prefix.last == "/" { prefix.removeLast() }
        guard prefix.allSatisfy({ $0.isLetter || $0.isNumber || "-._~!$&'()*+,;=:@%/".contains($0) }) else {
            throw ParseError("the address has a character that does not belong into a path", hint: "write it as %XX")
        }
        if let part = requestPath(endOf: prefix) {
            throw ParseError(
                "a base URL ends before \(part), because the balancer adds each request's own path",
                hint: "leave \(part) out")
        }
        return String(prefix)
    }

    /// The end of a prefix that belongs to requests: the whole path of one, or the beginning that OpenAI's paths share.
    private static func requestPath(endOf prefix: Substring) -> String? {
        let paths = ["/chat/completions", "/completions", "/responses", "/messages", "/embeddings", "/models"]
        let known = paths.map { "/v1" + $0 } + ["/v1"] + paths + ["/api/chat", "/api/generate", "/api/tags"]
        return known.first { prefix.hasSuffix($0) }
    }
}
