package import NIOCore
package import NIOSSL

/// A server's address and transport.
package struct ServerAddress: Sendable, Equatable {
    /// A host name or an address; IPv6 without brackets.
    package let host: String
    package let port: Int
    package let transport: Transport
    /// Set when the host is an address: no lookup is needed then.
    package let literal: SocketAddress?
    /// The value of `Host`. Contains the port only when it is not the scheme's default.
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

/// The layer between TCP and HTTP. `https` never falls back to plain text: without a TLS context there is no transport.
package enum Transport: Sendable, Equatable {
    case plain
    /// - Parameter serverName: the name that the certificate must contain, also sent in the handshake (SNI). Nil: the host.
    case tls(NIOSSLContext, serverName: String? = nil)

    package var defaultPort: Int {
        switch self {
        case .plain: 80
        case .tls: 443
        }
    }

    /// Compares the context objects by identity: a new context may have read different files.
    package static func == (left: Transport, right: Transport) -> Bool {
        switch (left, right) {
        case (.plain, .plain): true
        case (.tls(let left, let leftName), .tls(let right, let rightName)): left === right && leftName == rightName
        case (.plain, .tls), (.tls, .plain): false
        }
    }
}
