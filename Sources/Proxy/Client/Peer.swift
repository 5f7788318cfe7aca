import NIOCore

/// The other end of a client's connection.
struct Peer {
    /// Without its port.
    let address: String
    let isLoopback: Bool
    let entrance: Entrance

    /// How a client has come in.
    enum Entrance {
        case plain, tls
        /// A socket in the file system. Its clients have no address.
        case unix
    }

    init(_ socket: SocketAddress? = nil, through entrance: Entrance = .plain) {
        address =
            switch socket {
            case _ where entrance == .unix: Self.unixAddress
            case .v4(let address): address.host
            case .v6(let address): Self.unmapped(address.host)
            case .unixDomainSocket, nil: ""
            }
        // Behind a socket in the file system is a proxy, as a rule, and it may not say for whom it asks.
        isLoopback = Self.isLoopback(address)
        self.entrance = entrance
    }

    var isEncrypted: Bool { entrance == .tls }

    /// Stands for the address of every client of a socket in the file system.
    static let unixAddress = "unix"

    static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address == "::1" }

    /// A socket for both families shows the address of an IPv4 client as `::ffff:192.0.2.1`. It is the same client on every listener.
    private static func unmapped(_ address: String) -> String {
        let prefix = "::ffff:"
        return address.hasPrefix(prefix) && address.contains(".") ? String(address.dropFirst(prefix.count)) : address
    }
}
