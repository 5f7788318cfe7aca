import NIOSSL
import Proxy

// `servers.NAME.tls` and `listen.tls`: files are read here, so that whatever is wrong with them is reported like every other problem.

extension ConfigurationDecoder {
    mutating func tls(_ field: Field?, for url: BaseURL?, at urlField: Field?) -> TLSSettings {
        let fields = object(field, .tls)
        var result = TLSSettings()
        if let field, let url, url.scheme == .http {
            report(atKeyOf: field, "the address is http://, which knows no TLS", hint: "write https://, or remove tls")
        }
        result.verifies = boolean(fields["verify"]) ?? true
        if let ca = fields["ca"], !result.verifies {
            report(atKeyOf: ca, "given together with verify: false, which asks no authority", hint: "keep one of the two")
        }
        result.authorities = authorities(fields["ca"])
        result.serverName = serverName(fields["server-name"])
        result.identity = identity(fields)
        if fields["ca"] == nil, let url, let urlField, url.scheme == .https {
            do {
                result.authorities = try TLSSettings.systemAuthorities(environment)
                if let file = result.authorities { files.append(file.path) }
            } catch {
                report(urlField, error.message, hint: error.hint)
            }
        }
        return result
    }

    mutating func listenerTLS(_ field: Field?) -> ListenerTLS? {
        guard let field else { return nil }
        let fields = object(field, .listenTLS)
        let clients = authorities(fields["client-ca"])
        if fields["certificate"] == nil, fields["private-key"] == nil, !fields.hasUnknown {
            report(field, "has no certificate", hint: "tls: { certificate: fullchain.pem, private-key: key.pem }")
        }
        return identity(fields).map { ListenerTLS(identity: $0, clientAuthorities: clients) }
    }

    private mutating func authorities(_ field: Field?) -> PEMFile? {
        guard let field, let file = file(field) else { return nil }
        return certificates(file, field) ? file : nil
    }

    private mutating func identity(_ fields: Fields) -> TLSSettings.Identity? {
        guard let certificateField = fields["certificate"], let keyField = fields["private-key"] else {
            let hint = "a file with both may be named twice"
            if let alone = fields["certificate"] { report(atKeyOf: alone, "given without private-key", hint: hint) }
            if let alone = fields["private-key"] { report(atKeyOf: alone, "given without certificate", hint: hint) }
            return nil
        }
        let certificateFile = file(certificateField)
        let keyFile = file(keyField)
        guard let certificateFile, certificates(certificateFile, certificateField), let keyFile else { return nil }
        let identity = TLSSettings.Identity(
            certificates: certificateFile, privateKey: Secret(keyFile.text))
        guard (try? NIOSSLPrivateKey(bytes: Array(keyFile.text.utf8), format: .pem)) != nil else {
            report(
                keyField, "\(keyFile.path) has no private key that can be read",
                hint: "it has to be PEM, without a passphrase")
            return nil
        }
        var trial = TLSSettings()
        trial.identity = identity
        trial.verifies = false
        do { _ = try trial.context() } catch {
            report(
                keyField, "\(keyFile.path) is not the key of \(certificateFile.path)", hint: "name the two that belong together")
        }
        return identity
    }

    private mutating func serverName(_ field: Field?) -> String? {
        guard let field, let name = text(field) else { return nil }
        let isName =
            !name.isEmpty && name.utf8.count <= 253
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } && !name.contains { "/:@*".contains($0) }
        guard isName, IPAddress(name) == nil else {
            report(field, "not a host name", hint: "for example llm.example.com; an address in the url is checked by itself")
            return nil
        }
        return name
    }

    private mutating func file(_ field: Field) -> PEMFile? {
        guard let path = text(field) else { return nil }
        guard !path.isEmpty, !path.utf8.contains(0) else {
            report(field, "not a file's path")
            return nil
        }
        files.append(path)
        do {
            return try PEMFile.read(path)
        } catch {
            report(field, "\(path): \(error.reason)", hint: error.hint)
            return nil
        }
    }

    private mutating func certificates(_ file: PEMFile, _ field: Field) -> Bool {
        do {
            try file.checkCertificates()
            return true
        } catch {
            report(field, "\(file.path): \(error.reason)", hint: error.hint)
            return false
        }
    }
}
