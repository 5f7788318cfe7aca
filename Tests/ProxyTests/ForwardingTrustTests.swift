import Testing

@testable import Proxy

@Suite("Whose word about the client's address is taken")
struct ForwardingTrustTests {
    @Test("the proxy at a socket in the file system is always trusted about the hop in front of it")
    func unixSocket() {
        let trust = ForwardingTrust.proxies([])
        #expect(trust.client(peer: Peer.unixAddress, forwardedFor: ["198.51.100.9, 203.0.113.7"]) == "203.0.113.7")
        #expect(trust.client(peer: "10.0.0.1", forwardedFor: ["203.0.113.7"]) == "10.0.0.1")
    }

    private static let peer = "10.0.0.9"

    private func client(_ trust: ForwardingTrust, _ values: String...) -> String {
        trust.client(peer: Self.peer, forwardedFor: values)
    }

    private var proxies: ForwardingTrust {
        .proxies(["10.0.0.0/24", "fd00::/8"].compactMap { AddressRange($0) })
    }

    @Test("without trusted proxies the first entry counts, as in the original")
    func everyone() {
        #expect(client(.everyone, "1.1.1.1, 2.2.2.2") == "1.1.1.1")
        #expect(client(.everyone, " any name ,2.2.2.2") == "anyname")
        #expect(client(.everyone, ", 2.2.2.2") == Self.peer)
        #expect(client(.everyone) == Self.peer)
    }

    @Test("with trusted proxies the last entry that is none of them counts, whatever the client has written in front")
    func fromTheRight() {
        #expect(client(proxies, "1.1.1.1") == "1.1.1.1")
        #expect(client(proxies, "6.6.6.6, 1.1.1.1") == "1.1.1.1")
        #expect(client(proxies, "6.6.6.6, 1.1.1.1, 10.0.0.7") == "1.1.1.1")
        #expect(client(proxies, "6.6.6.6", "1.1.1.1", "10.0.0.7,10.0.0.8") == "1.1.1.1")
        #expect(client(proxies, "6.6.6.6, not an address, 10.0.0.7") == "notanaddress")
        #expect(client(proxies, "2001:db8::1, fd00::5") == "2001:db8::1")
    }

    @Test("where all are proxies the first one is the client")
    func onlyProxies() {
        #expect(client(proxies, "10.0.0.1, 10.0.0.2") == "10.0.0.1")
        #expect(client(proxies, " , ") == Self.peer)
    }

    @Test("a port behind the address does not matter")
    func ports() {
        #expect(client(proxies, "1.1.1.1:4711, 10.0.0.7:80") == "1.1.1.1")
        #expect(client(proxies, "[2001:db8::1]:443") == "2001:db8::1")
    }

    @Test("nobody else is believed")
    func untrustedPeer() {
        #expect(ForwardingTrust.proxies([]).client(peer: "10.0.0.9", forwardedFor: ["1.1.1.1"]) == "10.0.0.9")
        #expect(proxies.client(peer: "10.1.0.9", forwardedFor: ["1.1.1.1"]) == "10.1.0.9")
        #expect(!proxies.believes("10.1.0.9"))
        #expect(proxies.believes("::ffff:10.0.0.1"))
    }

    @Test("a long list is not searched to its end, and no entry is kept longer than an address is")
    func bounded() {
        let many = "1.1.1.1, " + Array(repeating: "10.0.0.1", count: 64).joined(separator: ", ")
        #expect(client(proxies, many) == "10.0.0.1")
        #expect(client(proxies, String(repeating: "x", count: 5000)).utf8.count == 100)
        #expect(client(.everyone, String(repeating: "x", count: 5000)).utf8.count == 100)
    }
}
