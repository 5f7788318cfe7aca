import Proxy
import Testing

@Suite("Who may administrate")
struct LocalAccessTests {
    private let access = LocalAccess(names: ["localhost", "pc1"])

    private func denial(
        loopback: Bool = true, forwarded: Bool = false, host: String? = "127.0.0.1:18000", origin: String? = nil,
        site: String? = nil
    ) -> LocalAccess.Denial? {
        access.denial(
            of: .init(peerIsLoopback: loopback, isForwarded: forwarded, host: host, origin: origin, fetchSite: site))
    }

    @Test(
        "a program on this machine, under an address or a known name",
        arguments: [
            "127.0.0.1", "127.0.0.1:18000", "[::1]", "[::1]:18000", "localhost", "LocalHost:18000", "pc1:80", "PC1",
            "192.168.1.20:18000",
        ])
    func allowed(host: String) {
        #expect(denial(host: host) == nil)
        #expect(denial(host: host, origin: "http://\(host)", site: "same-origin") == nil)
        #expect(denial(host: host, site: "none") == nil)
    }

    @Test("no other machine, whatever it says")
    func otherMachine() {
        #expect(denial(loopback: false) == .otherMachine)
        #expect(denial(loopback: false, host: "localhost", site: "same-origin") == .otherMachine)
    }

    @Test("no request that a proxy has forwarded")
    func forwarded() { #expect(denial(forwarded: true) == .forwarded) }

    @Test(
        "no name that is not known: it may have been rebound to this machine",
        arguments: [
            "evil.example", "evil.example:18000", "127.0.0.1.evil.example", "localhost.evil.example", "", "pc11", "[::1",
            "[evil]", "0x7f.1", "127.1", "::1", "[::1]evil.example", "[::1].evil.example:80", "127.0.0.1:80:evil",
            "127.0.0.1:evil", "localhost:80.evil.example",
        ])
    func reboundName(host: String) {
        #expect(denial(host: host) == .foreignHost(host))
        #expect(denial(host: host, origin: "http://\(host)", site: "same-origin") == .foreignHost(host))
    }

    @Test("not without a name")
    func noHost() { #expect(denial(host: nil) == .foreignHost("")) }

    @Test(
        "no page of another site", arguments: ["null", "http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1", ""])
    func otherOrigin(origin: String) { #expect(denial(origin: origin) == .otherSite) }

    @Test("no request of which the browser says that another site made it", arguments: ["cross-site", "same-site", "", "x"])
    func otherSite(site: String) { #expect(denial(site: site) == .otherSite) }

    @Test("every denial says what to do")
    func messages() {
        for denial in [LocalAccess.Denial.otherMachine, .forwarded, .foreignHost("x"), .otherSite] {
            #expect(denial.message(path: "/admin/requests").contains("/admin/requests"))
        }
        #expect(LocalAccess.Denial.foreignHost("x.lan").message(path: "/admin").contains("listen.names"))
    }
}
