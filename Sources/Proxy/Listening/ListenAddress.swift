/// Where clients connect.
package enum ListenAddress: Hashable, Sendable {
    /// Every address of this machine, IPv4 and IPv6, as far as it has both. Port 0: any free one.
    case everywhere(port: Int)
    /// An address or a name of this machine.
    case tcp(host: String, port: Int)
    case unix(UnixSocket)

    package var port: Int? {
        switch self {
        case .everywhere(let port), .tcp(_, let port): port
        case .unix: nil
        }
    }

    /// The host, where one was given.
    package var host: String? { if case .tcp(let host, _) = self { host } else { nil } }

    /// Whether other machines can connect, as far as the address tells.
    package var isReachableFromOthers: Bool {
        switch self {
        case .everywhere: true
        case .unix: false
        case .tcp("localhost", _): false
        // A name such as 127.example.com may lead anywhere.
        case .tcp(let host, _): IPAddress(host) == nil || !Peer.isLoopback(host)
        }
    }

    /// Whether both cannot be listened on at once.
    package func collides(with other: ListenAddress) -> Bool {
        switch (self, other) {
        case (.unix(let one), .unix(let other)): one.path == other.path
        case (.unix, _), (_, .unix): false
        default: port == other.port && port != 0 && (host == other.host || takesAllAddresses || other.takesAllAddresses)
        }
    }

    /// It names no address of its own.
    package var takesAllAddresses: Bool { host == nil || host == "0.0.0.0" || host == "::" }
}

extension ListenAddress: CustomStringConvertible {
    package var description: String {
        switch self {
        case .everywhere(let port): "all addresses, \(Self.text(port: port))"
        case .tcp(let host, let port): "\(host), \(Self.text(port: port))"
        case .unix(let socket): "socket \(socket.path)"
        }
    }

    private static func text(port: Int) -> String { port == 0 ? "any free port" : "port \(port)" }
}

/// A socket in the file system. Who may connect is decided by the file's permissions.
package struct UnixSocket: Hashable, Sendable {
    package var path: String
    /// Permission bits.
    package var mode: UInt16
    /// Nil: the user and the group that the program runs as.
    package var user: UInt32?
    package var group: UInt32?

    /// Connecting needs the permission to write: this user and this group.
    package static let defaultMode: UInt16 = 0o660

    package init(path: String, mode: UInt16 = UnixSocket.defaultMode, user: UInt32? = nil, group: UInt32? = nil) {
        self.path = path
        self.mode = mode
        self.user = user
        self.group = group
    }
}
