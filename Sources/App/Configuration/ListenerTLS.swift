import NIOSSL
import Proxy

/// `listen.tls`: with what a listener proves who it is, and whom it lets in. The files are read with the configuration.
package struct ListenerTLS: Equatable, Sendable {
    /// `certificate` and `private-key`.
    package var identity: TLSSettings.Identity

    /// `client-ca`: clients need a certificate that one of these authorities has signed. Nil: they need none.
    package var clientAuthorities: PEMFile?

    package init(identity: TLSSettings.Identity, clientAuthorities: PEMFile? = nil) {
        self.identity = identity
        self.clientAuthorities = clientAuthorities
    }

    /// The settings as a context of the TLS library: TLS 1.2 and 1.3.
    ///
    /// - Throws: the library's errors. The decoder has checked the files.
    func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try identity.chain(), privateKey: try identity.key())
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        if let clientAuthorities {
            configuration.trustRoots = .certificates(try clientAuthorities.certificates())
            // A client's certificate names no host.
            configuration.certificateVerification = .noHostnameVerification
        }
        return try NIOSSLContext(configuration: configuration)
    }

    /// Until when the certificate is valid, in seconds since 1970; nil when that cannot be read.
    var validUntil: Int? { (try? identity.certificates.certificates())?.first.map { Int($0.notValidAfter) } }
}
