/// The header fields that this proxy looks at; everything else is `other` and is passed on unread.
package enum FieldName: UInt8, Sendable {
    case other
    // Framing and connection control
    case host, contentLength, transferEncoding, connection, expect, upgrade
    // Other hop-by-hop fields (RFC 9110 section 7.6.1, and those older proxies remove)
    case keepAlive, proxyConnection, te, trailer, proxyAuthenticate, proxyAuthorization
    // Fields that are rewritten or read
    case authorization, apiKey, contentType, contentEncoding, accelBuffering, origin
    case forwardedFor, forwardedProto, forwardedHost, via, requestID
    // Names of a client's session (CONTRACT section 8)
    case sessionID, conversationID, claudeCodeSessionID, codexSessionID, codexThreadID
    // Our own answer fields: an engine cannot set them
    case balancerServer, balancerModel, balancerQueued, balancerAttempts

    /// True for fields that end at this hop whatever `Connection` says.
    package var isHopByHop: Bool {
        switch self {
        case .connection, .keepAlive, .proxyConnection, .te, .trailer, .transferEncoding, .upgrade,
            .proxyAuthenticate, .proxyAuthorization:
            true
        case .other, .host, .contentLength, .expect, .authorization, .apiKey, .contentType, .contentEncoding,
            .accelBuffering, .origin, .forwardedFor, .forwardedProto, .forwardedHost, .via, .requestID, .sessionID,
            .conversationID, .claudeCodeSessionID, .codexSessionID, .codexThreadID, .balancerServer, .balancerModel,
            .balancerQueued, .balancerAttempts:
            false
        }
    }

    /// Finds the name, whatever its case.
    static func lookUp(_ bytes: UnsafeRawBufferPointer) -> FieldName {
        guard bytes.count < byLength.count else { return .other }
        for candidate in byLength[bytes.count] where equalIgnoringCase(bytes, candidate.name) {
            return candidate.field
        }
        return .other
    }

    /// Compares with an already lower-cased text.
    static func equalIgnoringCase(_ bytes: UnsafeRawBufferPointer, _ lowercased: [UInt8]) -> Bool {
        guard bytes.count == lowercased.count else { return false }
        for index in 0..<bytes.count where lowercase(bytes[index]) != lowercased[index] { return false }
        return true
    }

    /// Compares with an already lower-cased literal.
    static func equalIgnoringCase(_ bytes: UnsafeRawBufferPointer, _ lowercased: StaticString) -> Bool {
        guard bytes.count == lowercased.utf8CodeUnitCount else { return false }
        for index in 0..<bytes.count where lowercase(bytes[index]) != lowercased.utf8Start[index] { return false }
        return true
    }

    @inline(__always)
    static func lowercase(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    private struct Candidate {
        let name: [UInt8]
        let field: FieldName
    }

    /// The known names, indexed by their length.
    private static let byLength: [[Candidate]] = {
        let names: [(String, FieldName)] = [
            ("host", .host), ("content-length", .contentLength), ("transfer-encoding", .transferEncoding),
            ("connection", .connection), ("expect", .expect), ("upgrade", .upgrade), ("keep-alive", .keepAlive),
            ("proxy-connection", .proxyConnection), ("te", .te), ("trailer", .trailer), ("trailers", .trailer),
            ("proxy-authenticate", .proxyAuthenticate), ("proxy-authorization", .proxyAuthorization),
            ("authorization", .authorization), ("x-api-key", .apiKey), ("content-type", .contentType),
            ("content-encoding", .contentEncoding), ("x-accel-buffering", .accelBuffering), ("origin", .origin),
            ("x-forwarded-for", .forwardedFor), ("x-forwarded-proto", .forwardedProto),
            ("x-forwarded-host", .forwardedHost), ("via", .via), ("x-request-id", .requestID),
            ("x-session-id", .sessionID), ("x-conversation-id", .conversationID),
            ("x-claude-code-session-id", .claudeCodeSessionID), ("session_id", .codexSessionID),
            ("session-id", .codexSessionID), ("thread-id", .codexThreadID), ("thread_id", .codexThreadID),
            ("x-balancer-server", .balancerServer), ("x-balancer-model", .balancerModel),
            ("x-balancer-queued-ms", .balancerQueued), ("x-balancer-attempts", .balancerAttempts),
        ]
        let longest = names.map(\.0.utf8.count).max() ?? 0
        var table = [[Candidate]](repeating: [], count: longest + 1)
        for (name, field) in names { table[name.utf8.count].append(Candidate(name: Array(name.utf8), field: field)) }
        return table
    }()
}

extension RawSpan {
    /// Whether these bytes begin with one of the texts, which are in lower case.
    package func hasPrefixIgnoringCase(anyOf prefixes: [StaticString]) -> Bool {
        withUnsafeBytes { bytes in
            prefixes.contains { prefix in
                bytes.count >= prefix.utf8CodeUnitCount
                    && FieldName.equalIgnoringCase(
                        UnsafeRawBufferPointer(rebasing: bytes[..<prefix.utf8CodeUnitCount]), prefix)
            }
        }
    }
}
