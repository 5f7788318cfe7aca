import Proxy

extension Assembly.Known {
    /// The listeners to start with.
    ///
    /// - Throws: the TLS library's errors. The decoder has checked the files.
    mutating func listeners(for listen: Configuration.Listen) throws -> [Listener] {
        try listen.listeners.map { listener in
            guard let tls = listener.tls else { return Listener(listener.address) }
            let identity = ListenerIdentity(try tls.context())
            certificates.append((listener.address, tls, identity))
            return Listener(listener.address, identity: identity)
        }
    }

    /// Gives each listener the certificate that the configuration names now. Listeners that are new, or without TLS until now, need a
    /// restart.
    mutating func renew(_ listen: Configuration.Listen) throws {
        // All or none: first everything that can fail.
        let new = try certificates.map { known in
            let tls = listen.listeners.first { $0.address == known.address }?.tls ?? known.tls
            return (tls, context: tls == known.tls ? nil : try tls.context())
        }
        for (index, (tls, context)) in new.enumerated() {
            certificates[index].tls = tls
            if let context { certificates[index].identity.replace(with: context) }
        }
    }
}
