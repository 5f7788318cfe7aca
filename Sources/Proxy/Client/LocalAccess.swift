/// Who may use `/admin/` and `/upstream/`: programs on this machine, and browsers that show a page of this balancer.
///
/// The decision is based on the request's head, before any part of the body is stored. The peer's address alone is not
/// enough: a proxy on this machine forwards requests from the whole network, and a web page whose host name was rebound to
/// 127.0.0.1 (DNS rebinding) sends the requests of the page's author.
package struct LocalAccess: Sendable {
    /// What a head says about the origin of the request.
    package struct Caller: Sendable {
        package var peerIsLoopback: Bool
        /// A field shows that a proxy forwarded the request: `X-Forwarded-…`, `X-Client-IP` and similar fields, `Forwarded`, `X-Real-IP` or `Via`.
        package var isForwarded: Bool
        package var host: String?
        package var origin: String?
        /// `Sec-Fetch-Site`, which browsers set and pages cannot.
        package var fetchSite: String?

        package init(
            peerIsLoopback: Bool, isForwarded: Bool = false, host: String?, origin: String? = nil, fetchSite: String? = nil
        ) {
            self.peerIsLoopback = peerIsLoopback
            self.isForwarded = isForwarded
            self.host = host
            self.origin = origin
            self.fetchSite = fetchSite
        }
    }

    package enum Denial: Equatable, Sendable {
        case otherMachine
        case forwarded
        case foreignHost(String)
        case otherSite

        /// The error message for a client that requested that path.
        package func message(path: String) -> String {
            switch self {
            case .otherMachine:
                "\(path) answers only over the loopback address of the balancer's own machine. Ask http://127.0.0.1 there."
            case .forwarded:
                "\(path) answers to this machine only, and this request was forwarded by a proxy. Ask the balancer's own port."
            case .foreignHost(let host):
                "\(path) does not answer under the name \"\(host)\". Use http://127.0.0.1, or add the name to listen.names."
            case .otherSite: "A page of another site may not use \(path)."
            }
        }
    }

    /// Names of this machine, in lower case, besides its addresses.
    package var names: Set<String>

    package init(names: Set<String> = ["localhost"]) { self.names = names }

    /// Nil when access is allowed.
    package func denial(of caller: Caller) -> Denial? {
        guard caller.peerIsLoopback else { return .otherMachine }
        guard !caller.isForwarded else { return .forwarded }
        let host = caller.host ?? ""
        guard isOurs(host) else { return .foreignHost(host) }
        return Self.site(of: caller) == .other ? .otherSite : nil
    }

    /// The site of the page that sends a request.
    enum Site {
        /// A page of this balancer, or none: somebody has typed the address.
        case own
        case other
        /// No browser, or one that does not say.
        case unknown
    }

    static func site(of caller: Caller) -> Site {
        let host = caller.host ?? ""
        if let origin = caller.origin, origin != "http://" + host, origin != "https://" + host { return .other }
        if let site = caller.fetchSite, site != "same-origin", site != "none" { return .other }
        return caller.origin == nil && caller.fetchSite == nil ? .unknown : .own
    }

    /// A host that is an address is safe from DNS rebinding. A host name is safe only when it is one of the known names.
    private func isOurs(_ host: String) -> Bool {
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return false }
            return IPAddress(host[host.index(after: host.startIndex)..<end]) != nil && isPort(host[host.index(after: end)...])
        }
        let name = host.prefix { $0 != ":" }
        return isPort(host[name.endIndex...]) && (IPAddress(name) != nil || names.contains(name.lowercased()))
    }

    /// An empty text, or a port such as `:18000`.
    private func isPort(_ text: Substring) -> Bool {
        guard !text.isEmpty else { return true }
        return text.hasPrefix(":") && text.utf8.dropFirst().allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }
}
