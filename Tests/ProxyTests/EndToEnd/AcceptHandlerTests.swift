import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import Proxy

@Suite("Accepting clients")
struct AcceptHandlerTests {
    /// Which way the clients went.
    private struct Ways: Equatable {
        var passedBy = 0
        var throughTheBootstrap = 0
    }
    private struct NotServed: Error {}

    private let limit = ConnectionLimit(1)
    private let ways = NIOLockedValueBox(Ways())

    /// Listens on one loop, with clients on that or another one, and gives `body` the port.
    private func whileListening(
        clientsElsewhere: Bool = false, serves: Bool = true, _ body: (Int) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let others = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let serve: @Sendable (any Channel) throws -> Void = { client in
            guard serves else { throw NotServed() }
            try client.pipeline.syncOperations.addHandler(Greeter())
        }
        let listener = try await ServerBootstrap(group: group, childGroup: clientsElsewhere ? others : group)
            .serverChannelInitializer { [limit, ways] channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = AcceptHandler(limit: limit) { client in
                        ways.withLockedValue { $0.passedBy += 1 }
                        try serve(client)
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .childChannelInitializer { [ways] channel in
                ways.withLockedValue { $0.throughTheBootstrap += 1 }
                return channel.eventLoop.makeCompletedFuture { try serve(channel) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        try await body(try #require(listener.localAddress?.port))
        try await listener.close()
        try await group.shutdownGracefully()
        try await others.shutdownGracefully()
    }

    private func expectGreeting(_ port: Int) async throws {
        let client = try await RawClient.connect(port: port)
        try await client.receive("the greeting") { $0 == "welcome" }
        await client.close()
    }

    @Test("passes SwiftNIO's own handler by for a client of the listener's loop")
    func ownLoop() async throws {
        try await whileListening { try await expectGreeting($0) }
        #expect(ways.withLockedValue { $0 } == Ways(passedBy: 1))
    }

    @Test("lets that handler bring a client to another loop")
    func otherLoop() async throws {
        try await whileListening(clientsElsewhere: true) { try await expectGreeting($0) }
        #expect(ways.withLockedValue { $0 } == Ways(throughTheBootstrap: 1))
    }

    @Test("closes a client that cannot be served, and gives its place to the next one")
    func notServed() async throws {
        try await whileListening(serves: false) { port in
            for _ in 0..<2 { try await RawClient.connect(port: port).ended() }
        }
        #expect(ways.withLockedValue { $0 } == Ways(passedBy: 2))
        #expect(limit.hasRoom())
    }
}

private final class Greeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "welcome")), promise: nil)
    }
}
