import FakeBackend
import NIOCore
import NIOPosix
import NIOSSL
import Proxy
import Routing
import Testing

/// Engines that speak TLS, with certificates of the tests' own (`scripts/test-certificates.sh`).
@Suite("TLS to a server", .timeLimit(.minutes(2)))
struct TLSTests {
    /// Asks an engine that shows that certificate, and returns the status and the text.
    private func ask(
        host: String = "engine.test", shows certificate: String, trusts authority: String = "authority",
        asClient client: String? = nil, wants: String? = nil, serverName: String? = nil, verifies: Bool = true
    ) async throws -> HTTPAnswer {
        let engine = try await ScriptedEngine.start(tls: .server(certificate, clientsFrom: wants)) { _ in
            .send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
        }
        let context = try NIOSSLContext.client(trusts: authority, as: client, verifies: verifies)
        let setup = Setup {
            $0.servers = [.init("A", port: engine.port)]
            $0.servers[0].host = host
            $0.servers[0].transport = .tls(context, serverName: serverName)
            $0.names.set("engine.test", ["127.0.0.1"])
        }
        var answer: HTTPAnswer?
        try await withBalancer(setup) { balancer in answer = try await balancer.ask(chat()) }
        await engine.stop()
        return try #require(answer)
    }

    @Test(
        "a certificate for the name or the address, from an authority that is trusted, will do",
        arguments: ["engine.test", "127.0.0.1"])
    func right(host: String) async throws {
        let answer = try await ask(host: host, shows: "engine")
        #expect(answer.status == 200 && answer.text == "secret")
    }

    @Test(
        "a certificate that will not do is a failed connection, with its reason in plain words",
        arguments: [
            ("engine.test", "elsewhere", "authority", "its certificate is not for this name, only for elsewhere.test"),
            ("127.0.0.1", "elsewhere", "authority", "its certificate is not for this name, only for elsewhere.test"),
            ("engine.test", "engine", "other-authority", "its certificate is not from an authority that is trusted here"),
            ("engine.test", "expired", "authority", "its certificate expired on 2021-01-31"),
        ])
    func wrong(host: String, certificate: String, authority: String, reason: String) async throws {
        let answer = try await ask(host: host, shows: certificate, trusts: authority)
        #expect(answer.status == 502)
        #expect(answer.text.contains(reason))
        #expect(!answer.text.contains("SSL") && !answer.text.contains(".cc:"), "the library's own words")
    }

    @Test("a server name of the user's stands for the host")
    func serverName() async throws {
        #expect(try await ask(host: "127.0.0.1", shows: "elsewhere", serverName: "elsewhere.test").status == 200)
        let refused = try await ask(shows: "elsewhere", serverName: "engine.test").text
        #expect(refused.contains("not for this name, only for elsewhere.test"), "\(refused)")
    }

    @Test("without verification any certificate will do", arguments: ["elsewhere", "expired"])
    func unverified(certificate: String) async throws {
        #expect(try await ask(shows: certificate, trusts: "other-authority", verifies: false).status == 200)
    }

    @Test("a server that wants a certificate of ours gets it, or says so")
    func clientCertificate() async throws {
        #expect(try await ask(shows: "engine", asClient: "client", wants: "authority").status == 200)
        let refused = try await ask(shows: "engine", wants: "authority")
        #expect(refused.status == 502 && refused.text.contains("it wants a certificate of ours"), "\(refused.text)")
    }

    @Test("a server without TLS is told apart, and never sent the request")
    func plainServer() async throws {
        let raw = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AnswersAnything())
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        let setup = Setup {
            $0.servers = [.init("A", port: raw.localAddress?.port ?? 0)]
            $0.servers[0].authorization = "Bearer k3y"
        }
        var secured = setup
        secured.servers[0].transport = .tls(try NIOSSLContext.client(trusts: "authority"))
        try await withBalancer(secured) { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 502 && answer.text.contains("it does not speak TLS on this port"))
        }
        try await raw.close()
    }

    @Test("the limit for connecting covers the handshake")
    func silentHandshake() async throws {
        let engine = try await ScriptedEngine.start { _ in .nothing }
        let setup = Setup {
            $0.servers = [.init("A", port: engine.port)]
            $0.settings.timeouts.connect = .milliseconds(200)
        }
        var secured = setup
        secured.servers[0].transport = .tls(try NIOSSLContext.client(trusts: "authority"))
        try await withBalancer(secured) { balancer in
            let answer = try await balancer.ask(chat())
            #expect(answer.status == 502 && answer.text.contains("no connection within 0.2 seconds"))
        }
        await engine.stop()
    }

    /// Says something that is not TLS to whatever comes.
    private final class AnswersAnything: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(NIOAny(ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n")), promise: nil)
        }
    }
}
