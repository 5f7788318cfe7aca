import NIOSSL

/// What `scripts/test-certificates.sh` has made.
enum TestCertificates {
    /// The path of `Tests/Certificates/NAME.pem`.
    static func path(_ name: String) -> String {
        let folder = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        return "/\(folder)/Certificates/\(name).pem"
    }
}

extension NIOSSLContext {
    /// Trusts that authority alone.
    static func client(trusts authority: String, as name: String? = nil, verifies: Bool = true) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(TestCertificates.path(authority))
        if let name { try configuration.show(name) }
        if !verifies { configuration.certificateVerification = .none }
        return try NIOSSLContext(configuration: configuration)
    }

    /// - Parameter authority: clients have to show a certificate from it.
    static func server(_ name: String, clientsFrom authority: String? = nil) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [], privateKey: .privateKey(try .init(file: TestCertificates.path("\(name)-key"), format: .pem)))
        try configuration.show(name)
        if let authority {
            configuration.trustRoots = .file(TestCertificates.path(authority))
            configuration.certificateVerification = .noHostnameVerification
        }
        return try NIOSSLContext(configuration: configuration)
    }
}

extension TLSConfiguration {
    fileprivate mutating func show(_ name: String) throws {
        certificateChain = try NIOSSLCertificate.fromPEMFile(TestCertificates.path(name)).map { .certificate($0) }
        privateKey = .privateKey(try .init(file: TestCertificates.path("\(name)-key"), format: .pem))
    }
}
