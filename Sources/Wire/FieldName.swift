/// The header fields that this proxy looks at. All others are `other` and are passed on unread.
package enum FieldName: UInt8, Sendable {
    case other
    // Framing and connection control
    case host, contentLength, transferEncoding, connection, expect, upgrade
    // Other hop-by-hop fields (RFC 9110 section 7.6.1, and those that older proxies remove)
    case keepAlive, proxyConnection, te, trailer, proxyAuthenticate, proxyAuthorization
    // Fields that are rewritten or read
    case authorization, apiKey, azureKey, contentType, contentEncoding, accelBuffering, origin
    case forwarded, forwardedFor, forwardedProto, forwardedHost, realIP, via, requestID
    /// Any other field in which a proxy says who its client is: `X-Forwarded-…`, `X-Client-IP`, `CF-Connecting-IP` and the like.
    case forwardedOther
    /// The browser's statement about the page that sends the request (Fetch Metadata).
    case fetchSite
    // Preflight requests of browsers
    case requestedMethod, requestedHeaders, acceptEncoding
    case retryAfter
    /// How urgent the client says that its request is.
    case priority
    // Names of a client's session
    case sessionID, conversationID, claudeCodeSessionID, codexSessionID, codexThreadID
    /// What is left of a client's limits: `x-ratelimit-…`. An engine's are replaced where the client's key has limits.
    case rateLimit
    /// Which pages may read an answer: `Access-Control-…`.
    case crossOrigin
    // Our own answer fields: an engine cannot set them
    case balancerServer, balancerModel, balancerQueued, balancerAttempts, balancerCache

    /// True for fields that are never passed on, whether `Connection` names them or not.
    var isHopByHop: Bool { FieldSet.hopByHop.contains(self) }

    /// Finds the name, in upper or lower case. All its bytes must be token characters.
    static func lookUp(_ bytes: Bytes) -> FieldName {
        switch bytes.count {
        case 2:
            if isName(bytes, "te") { return .te }
        case 3:
            if isName(bytes, "via") { return .via }
        case 4:
            if isName(bytes, "host") { return .host }
        case 6:
            if isName(bytes, "expect") { return .expect }
            if isName(bytes, "origin") { return .origin }
        case 7:
            if isName(bytes, "upgrade") { return .upgrade }
            if isName(bytes, "api-key") { return .azureKey }
            if isName(bytes, "trailer") { return .trailer }
        case 8:
            if isName(bytes, "trailers") { return .trailer }
        case 9:
            if isName(bytes, "x-api-key") { return .apiKey }
            if isName(bytes, "x-real-ip") { return .realIP }
            if isName(bytes, "forwarded") { return .forwarded }
            if isName(bytes, "thread-id") { return .codexThreadID }
            if isName(bytes, "thread_id") { return .codexThreadID }
        case 10:
            if isName(bytes, "x-priority") { return .priority }
            if isName(bytes, "connection") { return .connection }
            if isName(bytes, "keep-alive") { return .keepAlive }
            if isName(bytes, "session_id") { return .codexSessionID }
            if isName(bytes, "session-id") { return .codexSessionID }
        case 11:
            if isName(bytes, "x-client-ip") { return .forwardedOther }
            if isName(bytes, "retry-after") { return .retryAfter }
        case 12:
            if isName(bytes, "content-type") { return .contentType }
            if isName(bytes, "x-request-id") { return .requestID }
            if isName(bytes, "x-session-id") { return .sessionID }
        case 13:
            if isName(bytes, "authorization") { return .authorization }
        case 14:
            if isName(bytes, "content-length") { return .contentLength }
            if isName(bytes, "sec-fetch-site") { return .fetchSite }
            if isName(bytes, "true-client-ip") { return .forwardedOther }
        case 15:
            if isName(bytes, "x-forwarded-for") { return .forwardedFor }
            if isName(bytes, "accept-encoding") { return .acceptEncoding }
        case 16:
            if isName(bytes, "proxy-connection") { return .proxyConnection }
            if isName(bytes, "content-encoding") { return .contentEncoding }
            if isName(bytes, "x-forwarded-host") { return .forwardedHost }
            if isName(bytes, "x-balancer-model") { return .balancerModel }
            if isName(bytes, "x-balancer-cache") { return .balancerCache }
            if isName(bytes, "cf-connecting-ip") { return .forwardedOther }
        case 17:
            if isName(bytes, "transfer-encoding") { return .transferEncoding }
            if isName(bytes, "x-accel-buffering") { return .accelBuffering }
            if isName(bytes, "x-forwarded-proto") { return .forwardedProto }
            if isName(bytes, "x-conversation-id") { return .conversationID }
            if isName(bytes, "x-balancer-server") { return .balancerServer }
        case 18:
            if isName(bytes, "proxy-authenticate") { return .proxyAuthenticate }
        case 19:
            if isName(bytes, "proxy-authorization") { return .proxyAuthorization }
            if isName(bytes, "x-balancer-attempts") { return .balancerAttempts }
            if isName(bytes, "x-cluster-client-ip") { return .forwardedOther }
        case 20:
            if isName(bytes, "x-balancer-queued-ms") { return .balancerQueued }
        case 24:
            if isName(bytes, "x-claude-code-session-id") { return .claudeCodeSessionID }
            if isName(bytes, "x-original-forwarded-for") { return .forwardedOther }
        case 29:
            if isName(bytes, "access-control-request-method") { return .requestedMethod }
        case 30:
            if isName(bytes, "access-control-request-headers") { return .requestedHeaders }
        default: break
        }
        // All prefixes have twelve bytes.
        guard bytes.count > 12 else { return .other }
        let prefix = bytes.extracting(..<12)
        if isName(prefix, "x-forwarded-") { return .forwardedOther }
        if isName(prefix, "x-ratelimit-") { return .rateLimit }
        return isName(prefix, "access-contr") ? .crossOrigin : .other
    }

    /// Compares a name with a lower-case literal of the same length, ignoring case. All bytes of the name must be token
    /// characters: two token characters that differ only in bit 0x20 are the two cases of one letter, or characters that no
    /// known name contains.
    @inline(__always)
    private static func isName(_ bytes: Bytes, _ lowercased: StaticString) -> Bool {
        let name = Bytes(lowercased)
        let count = bytes.count
        if count < 8 {
            for index in 0..<count where bytes[index] | 0x20 != name[index] | 0x20 { return false }
            return true
        }
        let lowercase: UInt64 = 0x2020_2020_2020_2020
        var index = 0
        while index &+ 8 <= count {
            guard bytes.loadEight(index) | lowercase == name.loadEight(index) | lowercase else { return false }
            index &+= 8
        }
        // The last eight bytes overlap with the ones before unless the length is a multiple of eight.
        return bytes.loadEight(count &- 8) | lowercase == name.loadEight(count &- 8) | lowercase
    }

    /// Whether the bytes are the lower-case literal, ignoring their case.
    static func equalIgnoringCase(_ bytes: Bytes, _ lowercased: StaticString) -> Bool {
        let lowercased = Bytes(lowercased)
        guard bytes.count == lowercased.count else { return false }
        for index in 0..<bytes.count where lowercase(bytes[index]) != lowercased[index] { return false }
        return true
    }

    /// Whether the bytes begin with the lower-case literal, ignoring their case.
    static func hasPrefix(_ bytes: Bytes, _ lowercased: StaticString) -> Bool {
        bytes.count >= lowercased.utf8CodeUnitCount
            && equalIgnoringCase(bytes.extracting(..<lowercased.utf8CodeUnitCount), lowercased)
    }

    @inline(__always)
    static func lowercase(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }
}

/// A set of known fields, one bit for each.
package struct FieldSet: Sendable {
    private var bits: UInt64 = 0

    package init(_ names: FieldName...) { for name in names { insert(name) } }

    package mutating func insert(_ name: FieldName) { bits |= 1 &<< UInt64(name.rawValue) }

    package func contains(_ name: FieldName) -> Bool { bits &>> UInt64(name.rawValue) & 1 == 1 }

    package func union(_ other: FieldSet) -> FieldSet {
        var both = self
        both.bits |= other.bits
        return both
    }

    package func isDisjoint(with other: FieldSet) -> Bool { bits & other.bits == 0 }

    /// Fields that are never passed on, whether `Connection` names them or not.
    package static let hopByHop = FieldSet(
        .connection, .keepAlive, .proxyConnection, .te, .trailer, .transferEncoding, .upgrade, .proxyAuthenticate,
        .proxyAuthorization)
}

extension RawSpan {
    /// Whether these bytes begin with one of the lower-case texts, ignoring their own case.
    package func hasPrefixIgnoringCase(anyOf prefixes: [StaticString]) -> Bool {
        withBytes { bytes in
            prefixes.contains { FieldName.hasPrefix(bytes, $0) }
        }
    }
}
