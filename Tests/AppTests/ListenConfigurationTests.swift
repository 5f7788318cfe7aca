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
            ("[{ port: 1 }, { port: 1 }]", "all addresses, port 1 is listed twice"),
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
        #expect(try exposures("{ tls: \(tls) }").first?.contains("no key is asked for") == true)
        #expect(try exposures("{ tls: \(tls) }", keys: keys) == [])
        for local in ["{ host: 127.0.0.1 }", "{ host: '::1' }", "{ host: localhost }", "{ socket: /s }"] {
            #expect(try exposures(local) == [])
        }
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
        var known = Assembly.Known()
        let listener = try #require(try known.listeners(for: configuration(text).listen).first)
        let first = try #require(listener.identity?.context)
        try known.renew(configuration(text).listen)
        #expect(listener.identity?.context === first, "nothing has changed")
        try write("elsewhere")
        try known.renew(configuration(text).listen)
        let second = try #require(listener.identity?.context)
        #expect(second !== first)
        // The configuration has no TLS any more, which only a restart can change.
        try known.renew(configuration(servers).listen)
        #expect(listener.identity?.context === second)
        #expect(try configuration(text).pemFiles == ["\(path)/c.pem", "\(path)/k.pem"])
    }
}
