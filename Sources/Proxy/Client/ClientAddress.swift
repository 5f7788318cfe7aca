import Routing

/// Whose word about the client's address is taken (`trusted-proxies`).
package enum ForwardingTrust: Equatable, Sendable {
    /// The original's rule, when nothing is configured: the first entry of `X-Forwarded-For`, whoever sent it.
    case everyone
    /// Only these proxies are believed, and only about the hop in front of each.
    case proxies([AddressRange])

    /// So many entries are looked at.
    private static let searchedEntries = 64
    private static let longestAddress = 100

    /// Whether forwarding fields of a request from that peer are used and passed on.
    package func believes(_ peer: String) -> Bool {
        switch self {
        case .everyone: true
        case .proxies(let ranges): ranges.contains { $0.contains(peer) }
        }
    }

    /// The client's address: the peer's, or the one that a believed peer names.
    ///
    /// - Parameter forwardedFor: the values of `X-Forwarded-For`, in order.
    package func client(peer: String, forwardedFor: [String]) -> String {
        guard !forwardedFor.isEmpty, believes(peer) else { return peer }
        switch self {
        case .everyone:
            let first = forwardedFor[0].prefix { $0 != "," }.filter { $0 != " " && $0 != "\t" }
            return first.isEmpty ? peer : first.cut(toBytes: Self.longestAddress)
        case .proxies: return lastUnknown(forwardedFor) ?? peer
        }
    }

    /// From the right: each entry was added by the proxy behind it, so the first one that is no proxy of ours is the client.
    private func lastUnknown(_ forwardedFor: [String]) -> String? {
        var leftmost: String?
        var seen = 0
        for value in forwardedFor.reversed() {
            for entry in value.split(separator: ",").reversed() {
                let address = Self.withoutPort(entry.filter { $0 != " " && $0 != "\t" })
                guard !address.isEmpty else { continue }
                leftmost = address.cut(toBytes: Self.longestAddress)
                seen += 1
                if seen == Self.searchedEntries || !believes(address) { return leftmost }
            }
        }
        return leftmost
    }

    /// `[2001:db8::1]:443` and `192.0.2.1:443` name a port as well.
    private static func withoutPort(_ entry: String) -> String {
        if entry.hasPrefix("[") { return String(entry.dropFirst().prefix { $0 != "]" }) }
        guard entry.contains("."), let colon = entry.firstIndex(of: ":") else { return entry }
        return String(entry[..<colon])
    }
}
