package import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The system's own host lookup: its files and name servers, in the order of RFC 6724.
package enum SystemLookUp {
    /// Blocks until the system has an answer, which may take half a minute.
    package static func addresses(of host: String) throws(LookUpFailure) -> [SocketAddress] {
        var hints = addrinfo()
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else { throw LookUpFailure(reason(code)) }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            let raw = UnsafeRawPointer(entry.ai_addr)
            switch (entry.ai_family, raw) {
            case (AF_INET, .some(let raw)): addresses.append(SocketAddress(raw.load(as: sockaddr_in.self)))
            case (AF_INET6, .some(let raw)): addresses.append(SocketAddress(raw.load(as: sockaddr_in6.self)))
            default: break
            }
            next = entry.ai_next
        }
        guard !addresses.isEmpty else { throw LookUpFailure("it has no IPv4 or IPv6 address") }
        return addresses
    }

    private static func reason(_ code: Int32) -> String {
        switch code {
        case EAI_NONAME: "no such host"
        case EAI_AGAIN: "the name server does not answer"
        default: gai_strerror(code).map { String(cString: $0) } ?? "error \(code)"
        }
    }
}
