package import NIOSSL
import Synchronization

/// An address, and how connections there are encrypted.
package struct Listener: Sendable {
    package var address: ListenAddress
    /// Nil: connections are not encrypted.
    package var identity: ListenerIdentity?

    package init(_ address: ListenAddress, identity: ListenerIdentity? = nil) {
        self.address = address
        self.identity = identity
    }

    var entrance: Peer.Entrance {
        if case .unix = address { .unix } else { identity == nil ? .plain : .tls }
    }
}

/// With what a listener proves who it is. New connections use the latest one; those that exist keep theirs.
package final class ListenerIdentity: Sendable {
    private let latest: Mutex<NIOSSLContext>

    package init(_ context: NIOSSLContext) { latest = Mutex(context) }

    package func replace(with context: NIOSSLContext) { latest.withLock { $0 = context } }

    package var context: NIOSSLContext { latest.withLock { $0 } }
}

/// An address that cannot be listened on.
package struct ListenFailure: Error {
    package let address: ListenAddress
    package let reason: any Error

    package init(address: ListenAddress, reason: any Error) {
        self.address = address
        self.reason = reason
    }
}
