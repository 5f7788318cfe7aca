package import NIOCore
package import NIOSSL

/// Where a server listens, and how it is spoken to.
package struct ServerAddress: Sendable, Equatable {
    /// A host name or an address; IPv6 without brackets.
    package let host: String
    package let port: Int
    package let transport: Transport
    /// Known when the host is an address: nothing to look up then.
    package let literal: SocketAddress?
    /// The value of `Host`: the port only where it is not the scheme's own.
    package let authority: String

    package init(host: String, port: Int, transport: Transport = .plain) {
        self.host = host
        self.port = port
        self.transport = transport
        literal = try? SocketAddress(ipAddress: host, port: port)
        let shownHost = host.contains(":") ? "[\(host)]" : host
        authority = port == transport.defaultPort ? shownHost : "\(shownHost):\(port)"
    }
}

/// What lies between TCP and HTTP. There is no way from `https` to plain text: whoever has no TLS context has no transport.
package enum Transport: Sendable, Equatable {
    case plain
    /// - Parameter serverName: the name that the certificate has to have, also sent in the handshake (SNI). Nil: the host.
    case tls(NIOSSLContext, serverName: String? = nil)

    package var defaultPort: Int {
        switch self {
        case .plain: 80
        case .tls: 443
        }
    }

    /// The same context object: one made anew may have read other files.
    package static func == (left: Transport, right: Transport) -> Bool {
        switch (left, right) {
        case (.plain, .plain): true
        case (.tls(let left, let leftName), .tls(let right, let rightName)): left === right && leftName == rightName
        case (.plain, .tls), (.tls, .plain): false
        }
    }
}
