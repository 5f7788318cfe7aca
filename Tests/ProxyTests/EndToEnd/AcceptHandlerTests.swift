import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@testable import Proxy

@Suite("Accepting clients")
struct AcceptHandlerTests {
    private let limit = ConnectionLimit(1)

    /// Listens on one loop, with clients on that or another one, and gives `body` the listener.
    private func whileListening(
        clientsElsewhere: Bool = false, _ body: (any Channel) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let others = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let listener = try await ServerBootstrap(group: group, childGroup: clientsElsewhere ? others : group)
            .serverChannelInitializer { [limit] channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = AcceptHandler(limit: limit, .init(makeRoom: { $0(false) }, paused: { _ in }))
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Greeter()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        try await body(listener)
        try await listener.close()
        try await group.shutdownGracefully()
        try await others.shutdownGracefully()
    }

    private func port(_ listener: any Channel) throws -> Int { try #require(listener.localAddress?.port) }

    private func expectGreeting(_ listener: any Channel) async throws {
        let client = try await RawClient.connect(port: try port(listener), tls: nil)
        try await client.receive("the greeting") { $0 == "welcome" }
        await client.close()
    }

    @Test("a client is served on the listener's loop and on another one", arguments: [false, true])
    func served(elsewhere: Bool) async throws {
        try await whileListening(clientsElsewhere: elsewhere) { try await expectGreeting($0) }
        #expect(!limit.hasRoom(), "it has taken the only place")
    }
}

extension AcceptHandlerTests {
    /// Counts what reaches the socket.
    private final class Reads: ChannelOutboundHandler {
        typealias OutboundIn = Never
        var count = 0

        func read(context: ChannelHandlerContext) {
            count += 1
            context.read()
        }
    }

    @Test("without descriptors accepting pauses, and goes on later")
    func pauses() throws {
        let channel = EmbeddedChannel()
        let reads = Reads()
        var (paused, askedForRoom) = ([CInt](), 0)
        let handler = AcceptHandler(
            limit: limit,
            .init(
                makeRoom: { completion in
                    askedForRoom += 1
                    completion(false)
                }, paused: { paused.append($0.errnoCode) }))
        try channel.pipeline.syncOperations.addHandlers(reads, handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        channel.read()
        let before = reads.count
        for _ in 0..<3 { channel.pipeline.fireErrorCaught(IOError(errnoCode: EMFILE, reason: "accept")) }
        #expect(paused == [EMFILE], "told once")
        #expect(askedForRoom == 1)
        channel.read()
        #expect(reads.count == before, "nothing is read meanwhile")
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        channel.read()
        #expect(reads.count > before)
        #expect(throws: IOError.self, "any other error is somebody else's") {
            channel.pipeline.fireErrorCaught(IOError(errnoCode: EBADF, reason: "accept"))
            try channel.throwIfErrorCaught()
        }
        _ = try? channel.finish()
    }

    /// SwiftNIO's channel stays registered for reading after an error, and would be told of the same client again and again.
    @Test("during the pause the socket is not polled")
    func notPolled() async throws {
        try await whileListening { listener in
            let isReading = try await listener.eventLoop.submit {
                listener.pipeline.syncOperations.fireErrorCaught(IOError(errnoCode: EMFILE, reason: "accept"))
                return try listener.syncOptions?.getOption(.autoRead)
            }.get()
            #expect(isReading == false)
            try await expectGreeting(listener)
            #expect(try await listener.getOption(.autoRead).get())
        }
    }

    @Test("a full balancer does not ask for room while nobody waits")
    func nobodyWaits() throws {
        limit.opened()
        let channel = EmbeddedChannel()
        let reads = Reads()
        var askedForRoom = 0
        let handler = AcceptHandler(
            limit: limit, .init(makeRoom: { _ in askedForRoom += 1 }, paused: { _ in }))
        try channel.pipeline.syncOperations.addHandlers(reads, handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let before = reads.count
        channel.read()
        channel.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(askedForRoom == 0)
        #expect(reads.count == before)
        limit.closed()
        channel.embeddedEventLoop.run()
        #expect(reads.count > before, "there is room again")
        _ = try channel.finish()
    }

    @Test("a full balancer asks for room when somebody waits")
    func somebodyWaits() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let asked = NIOLockedValueBox(0)
        let listener = try await ServerBootstrap(group: group)
            .serverChannelInitializer { [limit] channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = AcceptHandler(
                        limit: limit,
                        .init(
                            makeRoom: { completion in
                                asked.withLockedValue { $0 += 1 }
                                completion(false)
                            }, paused: { _ in }))
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Greeter()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        let client = try await RawClient.connect(port: port, tls: nil)
        try await client.receive("the greeting") { $0 == "welcome" }
        let other = try await RawClient.connect(port: port, tls: nil)
        try await wait(for: "being asked", { asked.withLockedValue { $0 } }, where: { $0 > 0 })
        await client.close()
        await other.close()
        try await listener.close()
        try await group.shutdownGracefully()
    }
}

private final class Greeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "welcome")), promise: nil)
    }
}
