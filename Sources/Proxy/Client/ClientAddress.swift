import Routing

/// Which peers are trusted to state the client's address (`trusted-proxies`).
package enum ForwardingTrust: Equatable, Sendable {
    /// Used when nothing is configured, as in the original: the first entry of `X-Forwarded-For` is used, whoever sent it.
    case everyone
    /// Only these proxies are trusted, and only about the hop in front of each.
    case proxies([AddressRange])

    /// The most entries that are examined.
    private static let searchedEntries = 64
    private static let longestAddress = 100

    /// Whether forwarding fields of a request from that peer are used and forwarded.
    package func believes(_ peer: String) -> Bool {
        switch self {
        case .everyone: true
        // Who may use a socket in the file system may say for whom.
        case .proxies(let ranges): peer == Peer.unixAddress || ranges.contains { $0.contains(peer) }
        }
    }

    /// The client's address: the peer's address, or the address that a trusted peer states.
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

    /// Searches from the right: each entry was added by the proxy to its right, so the first entry that is not a trusted
    /// proxy is the client.
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

    /// `[2001:db8::1]:443` and `192.0.2.1:443` contain a port.
    private static func withoutPort(_ entry: String) -> String {
        if entry.hasPrefix("[") { return String(entry.dropFirst().prefix { $0 != "]" }) }
        guard entry.contains("."), let colon = entry.firstIndex(of: ":") else { return entry }
        return String(entry[..<colon])
    }
}
