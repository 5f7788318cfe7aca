import Control
import Proxy

/// The certificates of the listeners that were started.
struct ListenerCertificates: Sendable {
    private struct Entry {
        /// Among the listeners of the configuration.
        let position: Int
        let address: ListenAddress
        var tls: ListenerTLS
        let identity: ListenerIdentity
    }

    private var entries: [Entry] = []

    /// The listeners to start with.
    ///
    /// - Throws: the TLS library's errors. The decoder has checked the files.
    mutating func listeners(for listen: Configuration.Listen) throws -> [Listener] {
        try listen.listeners.enumerated().map { position, listener in
            guard let tls = listener.tls else { return Listener(listener.address) }
            let identity = ListenerIdentity(try tls.context())
            entries.append(Entry(position: position, address: listener.address, tls: tls, identity: identity))
            return Listener(listener.address, identity: identity)
        }
    }

    /// Gives each listener the certificate that the configuration names now. Listeners that are new, elsewhere in the list, or without TLS
    /// until now need a restart; those without TLS from now on keep theirs until then.
    mutating func renew(_ listen: Configuration.Listen) throws {
        // All or none: first everything that can fail.
        let new = try entries.map { known in
            var tls = known.tls
            if listen.listeners.indices.contains(known.position), listen.listeners[known.position].address == known.address {
                tls = listen.listeners[known.position].tls ?? tls
            }
            return (tls: tls, context: tls == known.tls ? nil : try tls.context())
        }
        for (index, (tls, context)) in new.enumerated() {
            entries[index].tls = tls
            if let context { entries[index].identity.replace(with: context) }
        }
    }

    /// Those that are in use.
    var shown: [ConfigurationBoard.Certificate] {
        entries.compactMap { entry in
            entry.tls.validUntil.map {
                .init(
                    listener: entry.address.description, path: entry.tls.identity.certificates.path,
                    validUntilMilliseconds: $0 * 1000)
            }
        }
    }
}

extension Configuration {
    /// So long before its end, a certificate should have been renewed.
    private static let daysOfWarning = 14

    /// Certificates of listeners that have ended or will soon. Lines without a line break.
    func expiryWarnings(atSeconds now: Int) -> [String] {
        listen.listeners.compactMap { listener in
            guard let tls = listener.tls, let end = tls.validUntil, end < now + Self.daysOfWarning * 86_400 else { return nil }
            let file = tls.identity.certificates.path
            let days = (end - now) / 86_400
            return end < now
                ? "\(file), the certificate of \(listener.address), has ended: clients refuse to connect. Renew it"
                : "\(file), the certificate of \(listener.address), ends in \(days) \(days == 1 ? "day" : "days"). Renew it"
        }
    }
}
