import FakeBackend
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Routing
import Testing

@testable import Proxy

/// Addresses, sockets in the file system, and TLS, with certificates of the tests' own (`scripts/test-certificates.sh`).
@Suite("Listeners", .timeLimit(.minutes(2)))
struct ListenerTests {
    /// A balancer whose first listener shows that certificate.
    private func setup(_ certificate: String, clientsFrom authority: String? = nil) throws -> Setup {
        let identity = ListenerIdentity(try .server(certificate, clientsFrom: authority))
        return Setup { $0.identity = identity }
    }

    private func ask(_ balancer: TestBalancer, as client: String? = nil) async throws -> HTTPAnswer {
        let connection = try await RawClient.connect(port: balancer.port, tls: .client(trusts: "authority", as: client))
        try await connection.send(chat())
        let answer = try await connection.answer()
        await connection.close()
        return answer
    }

    @Test("with a certificate speak TLS, and tell the server so")
    func encrypted() async throws {
        try await withBalancer(setup("engine")) { balancer in
            let answer = try await ask(balancer)
            #expect(answer.status == 200)
            #expect(try balancer.engine("A").observations.work.first?.field("X-Forwarded-Proto") == "https")
        }
    }

    @Test("show a renewed certificate from the next connection on")
    func renewed() async throws {
        let identity = ListenerIdentity(try .server("engine"))
        try await withBalancer(Setup { $0.identity = identity }) { balancer in
            let known = try await RawClient.connect(port: balancer.port, tls: .client(trusts: "authority", verifies: false))
            try await known.send(chat())
            #expect(try await known.answer().status == 200)
            identity.replace(with: try .server("elsewhere"))
            try await known.send(chat())
            #expect(try await known.answer().status == 200)
            let new = try await RawClient.connect(port: balancer.port, tls: .client(trusts: "authority", verifies: false))
            try await new.send(chat())
            #expect(try await new.answer().status == 200)
            let (before, after) = (try await known.certificate(), try await new.certificate())
            #expect(before == (try NIOSSLCertificate.fromPEMFile(TestCertificates.path("engine")).first))
            #expect(after == (try NIOSSLCertificate.fromPEMFile(TestCertificates.path("elsewhere")).first))
            await known.close()
            await new.close()
        }
    }

    @Test("that ask for a client's certificate let nobody else in")
    func mutual() async throws {
        try await withBalancer(setup("engine", clientsFrom: "authority")) { balancer in
            #expect(try await ask(balancer, as: "client").status == 200)
            let stranger = try await RawClient.connect(port: balancer.port, tls: .client(trusts: "authority"))
            // In TLS 1.3 the client's handshake is over before the server has seen what is missing.
            try? await stranger.send(chat())
            try await stranger.ended()
            #expect(stranger.text.isEmpty)
            try await wait(for: "a failed handshake", { try await balancer.counters().failedHandshakes }, where: { $0 == 1 })
            #expect(try balancer.engine("A").observations.work.count == 1)
        }
    }

    @Test("with TLS end a connection that is not TLS, without an answer in plain text")
    func notTLS() async throws {
        try await withBalancer(setup("engine")) { balancer in
            let plain = try await RawClient.connect(port: balancer.port, tls: nil)
            try await plain.send(chat())
            try await plain.ended()
            #expect(!plain.text.contains("HTTP"))
            try await wait(for: "a failed handshake", { try await balancer.counters().failedHandshakes }, where: { $0 == 1 })
        }
    }

    @Test("with TLS give a client that sends nothing as long as any other one")
    func silent() async throws {
        var setup = try setup("engine")
        setup.settings.timeouts.head = .milliseconds(300)
        try await withBalancer(setup) { balancer in
            let silent = try await RawClient.connect(port: balancer.port, tls: nil)
            try await silent.ended()
            try await wait(for: "its count", { try await balancer.counters().failedHandshakes }, where: { $0 == 1 })
        }
    }

    @Test("close an idle TLS client for another one at once, whether it says goodbye or not")
    func silentIdleClient() async throws {
        var setup = try setup("engine")
        setup.maxConnections = 1
        try await withBalancer(setup) { balancer in
            let context = try NIOSSLContext.client(trusts: "authority")
            let silent = try await RawClient.connect(port: balancer.port, tls: context)
            try await silent.send(chat())
            #expect(try await silent.answer().status == 200)
            try await silent.stopReading()
            // The TLS library would wait five seconds for the other one's goodbye.
            let start = ContinuousClock.now
            #expect(try await ask(balancer).status == 200)
            #expect(ContinuousClock.now - start < .seconds(4))
            // What it sends now is not a request any more.
            try? await silent.send(chat())
            try? await silent.goOnReading()
            try await silent.ended()
            #expect(try balancer.engine("A").observations.work.count == 2)
        }
    }

    @Test("of several kinds serve at once, with one limit of clients")
    func several() async throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let socket = UnixSocket(path: folder.path + "/lb.sock", mode: 0o600)
        let identity = ListenerIdentity(try .server("engine"))
        let setup = Setup {
            $0.identity = nil
            $0.maxConnections = 3
            $0.moreListeners = [
                Listener(.unix(socket)), Listener(.tcp(host: "127.0.0.1", port: 0), identity: identity),
                Listener(.everywhere(port: 0)),
            ]
        }
        try await withBalancer(setup) { balancer in
            let ports = balancer.proxy.ports
            #expect(ports.count == 4 && ports[1] == nil)
            var clients = [
                try await RawClient.connect(port: balancer.port, tls: nil), try await RawClient.connect(socket: socket.path),
                try await RawClient.connect(port: try #require(ports[2]), tls: .client(trusts: "authority")),
            ]
            for client in clients {
                try await client.send(chat())
                #expect(try await client.answer().status == 200)
            }
            try await wait(for: "its line", { balancer.notes.log }, where: { $0.contains(#""client":"unix""#) })
            // The fourth takes the place of the one that has been idle for longest, on whichever listener that is.
            let fourth = try await RawClient.connect(port: try #require(ports[3]), tls: nil)
            try await fourth.send(chat())
            #expect(try await fourth.answer().status == 200)
            try await clients[0].ended()
            clients.append(fourth)
            for client in clients { await client.close() }
            let mode = try FileManager.default.attributesOfItem(atPath: socket.path)[.posixPermissions] as? NSNumber
            #expect(mode?.intValue == 0o600)
        }
    }

    @Test("for all addresses know an IPv4 client by the address that it has everywhere")
    func bothFamilies() async throws {
        let setup = Setup {
            $0.identity = nil
            $0.moreListeners = [Listener(.everywhere(port: 0))]
        }
        try await withBalancer(setup) { balancer in
            let client = try await RawClient.connect(port: try #require(balancer.proxy.ports[1]), tls: nil)
            try await client.send(chat())
            #expect(try await client.answer().status == 200)
            await client.close()
            #expect(try balancer.engine("A").observations.work.first?.field("X-Forwarded-For") == "127.0.0.1")
        }
    }

    @Test("take over a socket that nobody serves any more, and nothing else")
    func staleSocket() async throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let path = folder.path + "/lb.sock"
        let listener = Listener(.unix(.init(path: path)))
        let setup = Setup { $0.moreListeners = [listener] }
        try await withBalancer(setup) { _ in
            let failure = await #expect(throws: ListenFailure.self) { try await withBalancer(setup) { _ in } }
            #expect((failure?.reason as? IOError)?.errnoCode == EADDRINUSE)
            let client = try await RawClient.connect(socket: path)
            try await client.send(chat())
            #expect(try await client.answer().status == 200)
            await client.close()
        }
        #expect(!FileManager.default.fileExists(atPath: path), "it is removed at the end")
        try leaveSocket(at: path)
        try await withBalancer(setup) { _ in try await RawClient.connect(socket: path).close() }
        // Of another kind, or with a queue that is full: somebody uses it.
        for (kind, clients) in [(SOCK_DGRAM, 0), (SOCK_STREAM, 3)] {
            let used = try leaveSocket(at: path, kind: kind, clients: clients)
            let failure = await #expect(throws: ListenFailure.self) { try await withBalancer(setup) { _ in } }
            #expect((failure?.reason as? IOError)?.errnoCode == EADDRINUSE)
            for descriptor in used { close(descriptor) }
            try FileManager.default.removeItem(atPath: path)
        }
        try "precious".write(toFile: path, atomically: false, encoding: .utf8)
        await #expect(throws: ListenFailure.self) { try await withBalancer(setup) { _ in } }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }
}

/// As a process that was killed does; or with clients in its queue, one that does not accept them. Returns what is still open.
@discardableResult
private func leaveSocket(at path: String, kind: __socket_type = SOCK_STREAM, clients: Int? = nil) throws -> [CInt] {
    let address = try SocketAddress(unixDomainSocketPath: path)
    var open = [socket(AF_UNIX, Int32(kind.rawValue), 0)]
    try #require(address.withSockAddr { bind(open[0], $0, socklen_t($1)) } == 0)
    guard let clients else {
        close(open[0])
        return []
    }
    if clients > 0 { try #require(listen(open[0], 0) == 0) }
    for _ in 0..<clients {
        let client = socket(AF_UNIX, Int32(kind.rawValue), 0)
        _ = fcntl(client, F_SETFL, O_NONBLOCK)
        _ = address.withSockAddr { connect(client, $0, socklen_t($1)) }
        open.append(client)
    }
    return open
}

/// A folder that is removed with the last reference to it. Its path is short, because a socket's path has to be.
private final class TemporaryFolder: Sendable {
    let path = "/tmp/lb-\(UUID().uuidString.prefix(8))"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
