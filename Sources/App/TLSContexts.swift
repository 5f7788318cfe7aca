import NIOSSL
import Proxy

/// The TLS library's contexts. Servers with the same settings share one context, and contexts are kept when the configuration
/// is reloaded: a connection pool and a monitor go on undisturbed as long as their context is the same.
struct TLSContexts: Sendable {
    private var known: [(settings: TLSSettings, context: NIOSSLContext)] = []

    /// The transport for each server, in the order of `servers`.
    ///
    /// - Throws: `CommandFailure` when the system's own certificates cannot be used; everything else was checked before.
    mutating func transports(of servers: [ServerSettings]) throws -> [Transport] {
        var used: [(settings: TLSSettings, context: NIOSSLContext)] = []
        let transports = try servers.map { server -> Transport in
            guard server.baseURL.scheme == .https else { return .plain }
            var settings = server.tls
            let serverName = settings.serverName
            settings.serverName = nil
            let found = (used + known).first { $0.settings == settings }?.context
            let context = try found ?? Self.context(settings, for: server.name)
            if !used.contains(where: { $0.context === context }) { used.append((settings, context)) }
            return .tls(context, serverName: serverName)
        }
        known = used
        return transports
    }

    private static func context(_ settings: TLSSettings, for server: String) throws -> NIOSSLContext {
        do { return try settings.context() } catch {
            throw CommandFailure.failed(
                """
                servers.\(server): this system has no certificates of authorities that can be read. Install them (Debian's \
                ca-certificates), or name the server's authority in tls.ca.
                """)
        }
    }
}
