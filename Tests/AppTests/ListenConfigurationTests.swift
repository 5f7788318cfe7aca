import Control
import Foundation
import Proxy
import Testing

@testable import App

@Suite("listen") struct ListenConfigurationTests {
    private let servers = "servers: { a: { url: 'http://h' } }"

    private func listen(_ value: String) throws -> [Configuration.Listener] {
        try configuration("listen: \(value)\n\(servers)").listen.listeners
    }

    private func problem(_ value: String) -> String { problems("listen: \(value)\n\(servers)").joined(separator: "\n") }

    private var tls: String { "{ certificate: '\(certificate("engine"))', private-key: '\(certificate("engine-key"))' }" }

    @Test("left out, is every address, IPv4 and IPv6; a port alone is one on every address")
    func everywhere() throws {
        #expect(try configuration(servers).listen.listeners == [.init(.everywhere(port: 18000))])
        #expect(try listen("{ port: 0 }") == [.init(.everywhere(port: 0))])
        #expect(try listen("{ host: '::1' }") == [.init(.tcp(host: "::1", port: 18000))])
    }

    @Test("may be a list: plain on this machine, TLS outside, a socket for a proxy")
    func list() throws {
        let found = try configuration(
            """
            listen:
              - { host: 127.0.0.1, port: 8000, names: [a.lan] }
              - { port: 8443, names: [b.lan], tls: { certificate: '\(certificate("engine"))', private-key: '\(certificate("engine-key"))', client-ca: '\(certificate("authority"))' } }
              - { socket: /run/lb.sock, mode: "0600", owner: "0:0" }
              - { socket: /run/other.sock, owner: ":root" }
            \(servers)
            """)
        let listeners = found.listen.listeners
        #expect(
            listeners.map(\.address) == [
                .tcp(host: "127.0.0.1", port: 8000), .everywhere(port: 8443),
                .unix(.init(path: "/run/lb.sock", mode: 0o600, user: 0, group: 0)),
                .unix(.init(path: "/run/other.sock", mode: 0o660, group: 0)),
            ])
        #expect(found.listen.names == ["a.lan", "b.lan"])
        #expect(listeners[1].tls?.clientAuthorities?.path == certificate("authority"))
        #expect(
            found.summary.hasPrefix(
                "listens on 127.0.0.1, port 8000; all addresses, port 8443 with TLS (\(certificate("engine")), clients need a certificate "
                    + "from \(certificate("authority"))); socket /run/lb.sock; socket /run/other.sock\n"))
    }

    @Test(
        "tells what is wrong with it",
        arguments: [
            ("[]", "no address, so nobody could connect"),
            ("[{ port: 1 }, { port: 1 }]", "cannot be listened on beside all addresses, port 1"),
            ("[{ port: 1 }, { host: 0.0.0.0, port: 1 }]", "cannot be listened on beside"),
            ("[{ socket: /s }, { socket: /s, mode: '600' }]", "cannot be listened on beside"),
            ("{ host: 'http://h' }", "not an address or host name"),
            ("{ socket: /s, port: 1 }", "listen.port: given together with socket"),
            ("{ socket: /s, tls: {} }", "listen.tls: given together with socket"),
            ("{ mode: '660' }", "listen.mode: given without socket"),
            ("{ socket: '' }", "not a path of 1 to 107 bytes"),
            ("{ socket: /s, mode: '999' }", "not permissions"),
            ("{ socket: /s, mode: '1777' }", "not permissions"),
            ("{ socket: /s, owner: nobody-here }", "this machine has no user nobody-here"),
            ("{ socket: /s, owner: ':nobody-here' }", "this machine has no group nobody-here"),
            ("{ socket: /s, owner: ':' }", "names nobody"),
            ("{ tls: {} }", "has no certificate"),
            ("{ tls: { certificate: /nowhere.pem, private-key: /nowhere.pem } }", "/nowhere.pem: there is no such file"),
            ("{ ssl: {} }", #"did you mean "tls""#),
        ])
    func wrong(_ value: String, _ message: String) { #expect(problem(value).contains(message), "\(problem(value))") }

    @Test("pages of other origins may use the API as long as there are no keys, or if they are named")
    func origins() throws {
        func allowed(_ text: String) throws -> AllowedOrigins { try configuration("\(servers)\n\(text)").allowedOrigins }
        let keys = "keys: [{ name: a, key-sha256: '\(String(repeating: "ab", count: 32))' }]"
        #expect(try allowed("") == .any)
        #expect(try allowed(keys) == .only([]))
        #expect(try allowed("cors: { origins: [] }") == .only([]))
        #expect(try allowed("\(keys)\ncors: { origins: ['*'] }") == .any)
        #expect(try allowed("cors: { origins: ['https://A.example:8443'] }") == .only(["https://a.example:8443"]))
        for wrong in ["a.example", "https://a.example/", "https://u@a.example", "https://"] {
            #expect(problems("\(servers)\ncors: { origins: ['\(wrong)'] }").first?.contains("not an origin") == true)
        }
    }

    @Test("a key that belongs to another certificate is reported")
    func mismatch() {
        let tls = "{ certificate: '\(certificate("engine"))', private-key: '\(certificate("client-key"))' }"
        #expect(problem("{ tls: \(tls) }").contains("is not the key of"))
    }

    @Test("check tells what a stranger on the network could do")
    func exposures() throws {
        func exposures(_ listen: String, keys: String = "") throws -> [String] {
            try configuration("listen: \(listen)\n\(servers)\n\(keys)").exposures
        }
        let keys = "keys: [{ name: a, key-sha256: '\(String(repeating: "ab", count: 32))' }]"
        #expect(try exposures("{}").first?.contains("no key is asked for") == true)
        #expect(try exposures("{}", keys: keys).first?.contains("unencrypted") == true)
        #expect(try exposures("{ host: 192.168.1.2 }").count == 1)
        #expect(try exposures("{ host: 127.example.com }").count == 1)
        #expect(try exposures("{ tls: \(tls) }").first?.contains("no key is asked for") == true)
        #expect(try exposures("{ tls: \(tls) }", keys: keys) == [])
        for local in ["{ host: 127.0.0.1 }", "{ host: '::1' }", "{ host: localhost }", "{ socket: /s }"] {
            #expect(try exposures(local) == [])
        }
    }

    @Test("of two listeners at any free port, each keeps its own certificate at a reload")
    func samePort() throws {
        let two = try configuration(
            """
            listen:
              - { port: 0, tls: \(tls) }
              - { port: 0, tls: { certificate: '\(certificate("engine"))', private-key: '\(certificate("engine-key"))', client-ca: '\(certificate("authority"))' } }
            \(servers)
            """)
        var known = ListenerCertificates()
        let listeners = try known.listeners(for: two.listen)
        let before = listeners.map { $0.identity?.context }
        try known.renew(two.listen)
        #expect(zip(listeners, before).allSatisfy { $0.identity?.context === $1 })
    }

    @Test("check and the log tell of certificates that have ended or will soon")
    func expiry() throws {
        let found = try configuration(
            "listen: { tls: { certificate: '\(certificate("expired"))', private-key: '\(certificate("expired-key"))' } }\n\(servers)"
        )
        let end = try #require(found.listen.listeners.first?.tls?.validUntil)
        #expect(found.expiryWarnings(atSeconds: end + 1).first?.contains("has ended") == true)
        #expect(found.expiryWarnings(atSeconds: end - 86_400).first?.contains("ends in 1 day.") == true)
        #expect(found.expiryWarnings(atSeconds: end - 15 * 86_400) == [])
    }

    @Test("a reload renews certificates, keeps the old ones where the new ones will not do, and forgets nothing")
    func renewal() throws {
        let folder = try Folder()
        func write(_ name: String) throws {
            for (file, from) in [("c.pem", name), ("k.pem", "\(name)-key")] {
                _ = try folder.write(file, String(contentsOfFile: certificate(from), encoding: .utf8))
            }
        }
        try write("engine")
        let path = folder.url.path
        let text = "listen: { port: 0, tls: { certificate: '\(path)/c.pem', private-key: '\(path)/k.pem' } }\n\(servers)"
        var known = ListenerCertificates()
        let listener = try #require(try known.listeners(for: configuration(text).listen).first)
        let first = try #require(listener.identity?.context)
        try known.renew(configuration(text).listen)
        #expect(listener.identity?.context === first, "nothing has changed")
        try write("elsewhere")
        try known.renew(configuration(text).listen)
        let second = try #require(listener.identity?.context)
        #expect(second !== first)
        // The configuration has no TLS any more, or another address, which only a restart can change.
        try known.renew(configuration(servers).listen)
        try known.renew(configuration(text.replacing("port: 0", with: "port: 1")).listen)
        #expect(listener.identity?.context === second)
        #expect(known.shown.map(\.path) == ["\(path)/c.pem"])
        #expect(try configuration(text).otherFiles == ["\(path)/c.pem", "\(path)/k.pem"])
    }
}
