import NIOSSL
import Wire

/// Why the TLS connection to a server failed, in text that says what to do. The TLS library's own text is a list of error
/// codes with positions in its source code.
package struct TLSFailure: Error, Equatable, CustomStringConvertible {
    package var reason: String

    package var description: String { reason }

    init(reason: String) { self.reason = reason }

    /// - Parameters:
    ///   - certificate: the server's certificate, if the handshake got that far.
    ///   - now: seconds since 1970. Needed because the library does not distinguish an expired certificate from an untrusted
    ///     one.
    init(_ error: any Error, certificate: NIOSSLCertificate?, now: Int) {
        if let error = error as? NIOSSLExtraError, error == .failedToValidateHostname {
            let names = certificate.map(Self.names) ?? []
            let known = names.isEmpty ? "" : ", only for \(names.joined(separator: ", "))"
            reason = "its certificate is not for this name\(known); see tls.server-name"
            return
        }
        let codes = Self.codes(error)
        if codes.contains("CERTIFICATE_VERIFY_FAILED") {
            reason = Self.distrust(certificate, now: now)
            return
        }
        for (code, text) in Self.knownCodes where codes.contains(where: { $0.hasSuffix(code) }) {
            reason = text
            return
        }
        reason = codes.isEmpty ? "the TLS handshake failed" : "the TLS handshake failed (\(codes.joined(separator: ", ")))"
    }

    /// Nil for errors that are not TLS errors.
    static func text(_ error: any Error) -> String? {
        if let failure = error as? TLSFailure { return failure.reason }
        guard error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError else { return nil }
        return TLSFailure(error, certificate: nil, now: 0).reason
    }

    private static func distrust(_ certificate: NIOSSLCertificate?, now: Int) -> String {
        guard let certificate else { return "its certificate is not trusted; see tls.ca" }
        let (begin, end) = (Int(certificate.notValidBefore), Int(certificate.notValidAfter))
        if end < now { return "its certificate expired on \(day(end))" }
        if begin > now { return "its certificate is not valid before \(day(begin))" }
        return "its certificate is not from an authority that is trusted here; name the authority's certificate in tls.ca"
    }

    private static func day(_ seconds: Int) -> Substring { UTCTimestamp.text(seconds: seconds).prefix(10) }

    /// The first few names and addresses.
    private static func names(_ certificate: NIOSSLCertificate) -> [String] {
        certificate._subjectAlternativeNames().prefix(5).compactMap { name in
            switch name.nameType {
            case .dnsName: String(decoding: name.contents, as: UTF8.self)
            default: nil
            }
        }
    }

    /// The library's names of the errors, instead of its messages, which end with paths of its build machine.
    private static func codes(_ error: any Error) -> [String] {
        let stack: NIOBoringSSLErrorStack =
            switch error {
            case NIOSSLError.handshakeFailed(.sslError(let stack)), BoringSSLError.sslError(let stack): stack
            default: []
            }
        return stack.compactMap { entry in
            if entry == .eofDuringHandshake { return "EOF" }
            // "Error: 268435581 error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at handshake.cc:298"
            let text = entry.description.split(separator: " at ").first ?? ""
            return text.split(separator: ":").last.map(String.init)
        }
    }

    private static let knownCodes = [
        ("EOF", "it closed the connection during the TLS handshake"),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS on this port; write http:// if that is meant"),
        ("HTTP_REQUEST", "it does not speak TLS on this port; write http:// if that is meant"),
        ("CERTIFICATE_REQUIRED", "it wants a certificate of ours; see tls.certificate"),
        ("ALERT_UNKNOWN_CA", "it does not trust the authority of our certificate; see tls.certificate"),
        ("ALERT_BAD_CERTIFICATE", "it does not accept our certificate; see tls.certificate"),
        ("ALERT_CERTIFICATE_EXPIRED", "our certificate has expired; see tls.certificate"),
        ("ALERT_UNRECOGNIZED_NAME", "it does not know this name; see tls.server-name"),
        ("ALERT_PROTOCOL_VERSION", "it does not speak TLS 1.2 or 1.3"),
        ("UNSUPPORTED_PROTOCOL", "it does not speak TLS 1.2 or 1.3"),
    ]
}
