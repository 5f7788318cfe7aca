import Foundation
import NIOSSL
package import Proxy

/// `servers.NAME.tls`: which certificates to trust and which certificate to present. Files are read and checked together with
/// the configuration, and read again when they change. Used only for `https`.
package struct TLSSettings: Equatable, Sendable {
    /// `ca`: the authorities that may have signed the server's certificate, in place of the system's. Nil: the file that the
    /// environment variable `SSL_CERT_FILE` names, else the system's.
    package var authorities: PEMFile?

    /// `server-name`: the name that the certificate must be for, also sent in the handshake. Nil: the host of the address.
    package var serverName: String?

    /// `certificate` and `private-key`: presented to a server that asks for a client certificate. Both or neither.
    package var identity: Identity?

    /// `verify`: false accepts any certificate, also that of an eavesdropper in between.
    package var verifies = true

    package init() {}

    package struct Identity: Equatable, Sendable {
        /// Our own certificate, then those between it and its authority.
        package var certificates: PEMFile
        /// Its text, PEM.
        package var privateKey: Secret

        package init(certificates: PEMFile, privateKey: Secret) {
            self.certificates = certificates
            self.privateKey = privateKey
        }
    }
}

/// A file that was read with the configuration.
package struct PEMFile: Equatable, Sendable {
    /// Relative to the folder the balancer was started in.
    package var path: String
    package var text: String

    static let largestSize = 1 << 20

    package init(path: String, text: String) {
        self.path = path
        self.text = text
    }

    /// - Throws: what is wrong with the file, as text to append to its name.
    static func read(_ path: String) throws(Unreadable) -> PEMFile {
        var information = stat()
        guard stat(path, &information) == 0 else { throw Unreadable(reason: "there is no such file") }
        // Reading from a pipe could block.
        guard information.st_mode & S_IFMT == S_IFREG else { throw Unreadable(reason: "it is not a plain file") }
        guard information.st_size <= largestSize else { throw Unreadable(reason: "it is larger than 1 MB") }
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw Unreadable(reason: "it cannot be read", hint: "check its permissions")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notPEM }
        return PEMFile(path: path, text: text)
    }

    struct Unreadable: Error {
        var reason: String
        var hint: String?

        static let notPEM = Unreadable(
            reason: "it is not PEM", hint: #"a PEM file has lines such as "-----BEGIN CERTIFICATE-----""#)
    }
}

extension PEMFile {
    /// The certificates in it, at least one.
    func certificates() throws -> [NIOSSLCertificate] { try NIOSSLCertificate.fromPEMBytes(Array(text.utf8)) }

    func checkCertificates() throws(Unreadable) {
        guard let found = try? certificates(), !found.isEmpty else {
            throw Unreadable(reason: "there is no certificate in it", hint: Unreadable.notPEM.hint)
        }
    }
}

extension TLSSettings.Identity {
    func chain() throws -> [NIOSSLCertificateSource] { try certificates.certificates().map { .certificate($0) } }

    func key() throws -> NIOSSLPrivateKeySource {
        .privateKey(try NIOSSLPrivateKey(bytes: Array(privateKey.exposed.utf8), format: .pem))
    }
}

extension TLSSettings {
    /// The file that `SSL_CERT_FILE` names; nil if it is not set.
    static func systemAuthorities(_ environment: [String: String]) throws(EnvironmentProblem) -> PEMFile? {
        guard let path = environment["SSL_CERT_FILE"], !path.isEmpty else { return nil }
        do {
            let file = try PEMFile.read(path)
            try file.checkCertificates()
            return file
        } catch {
            throw EnvironmentProblem(
                message: "the environment variable SSL_CERT_FILE names \(path): \(error.reason)",
                hint: error.hint ?? "unset it, or name the server's authority in tls.ca")
        }
    }

    struct EnvironmentProblem: Error {
        var message: String
        var hint: String
    }

    /// The settings as a context of the TLS library.
    ///
    /// - Throws: the library's errors, among them when the system has no certificates.
    func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let authorities { configuration.trustRoots = .certificates(try authorities.certificates()) }
        if let identity {
            configuration.certificateChain = try identity.chain()
            configuration.privateKey = try identity.key()
        }
        if !verifies { configuration.certificateVerification = .none }
        return try NIOSSLContext(configuration: configuration)
    }
}
