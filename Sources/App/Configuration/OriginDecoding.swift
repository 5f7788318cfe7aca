import Proxy

// `cors`: which pages of other origins may use the API.

extension ConfigurationDecoder {
    /// `["*"]`: all. `[]`: none.
    mutating func origins(_ field: Field?) -> Set<String>? {
        guard let field else { return nil }
        var origins: Set<String> = []
        for item in items(field) {
            guard let origin = text(item) else { continue }
            if origin == "*" || Self.isOrigin(origin) {
                origins.insert(origin.lowercased())
            } else {
                report(item, "not an origin", hint: "scheme, host and port as the browser shows them: https://chat.example.com")
            }
        }
        return origins
    }

    private static func isOrigin(_ text: String) -> Bool {
        guard let end = text.firstRange(of: "://")?.upperBound, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return false
        }
        let scheme = text[..<end].dropLast(3)
        let rest = text[end...]
        return !scheme.isEmpty && scheme.allSatisfy { $0.isLetter || "+-.".contains($0) } && !rest.isEmpty
            && !rest.contains { "/?#@".contains($0) }
    }
}

extension Configuration {
    var allowedOrigins: AllowedOrigins {
        guard let origins else { return keys.isEmpty ? .any : .only([]) }
        return origins.contains("*") ? .any : .only(origins)
    }
}
