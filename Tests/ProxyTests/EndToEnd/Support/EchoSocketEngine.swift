import NIOCore
import NIOPosix
import NIOConcurrencyHelpers

/// A server that agrees to any upgrade and then sends every byte back.
final class EchoSocketEngine: Sendable {
    private let listener: any Channel
    private let log: Log

    private final class Log: Sendable {
        let state = NIOLockedValueBox<(heads: [String], open: [any Channel])>(([], []))
    }

    private init(listener: any Channel, log: Log) {
        self.listener = listener
        self.log = log
    }

    var port: Int { listener.localAddress?.port ?? 0 }
    var heads: [String] { log.state.withLockedValue { $0.heads } }
    var openConnections: Int { log.state.withLockedValue { $0.open.count { $0.isActive } } }

    func closeConnections() async {
        for channel in log.state.withLockedValue({ $0.open }) { try? await channel.close() }
    }

    func stop() async { try? await listener.close() }

    /// - Parameter greeting: what is sent in one piece with the head of the answer.
    static func start(greeting: String = "") async throws -> EchoSocketEngine {
        let log = Log()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(log, greeting))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return EchoSocketEngine(listener: listener, log: log)
    }

    private final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let log: Log
        private let greeting: String
        private var head: String? = ""

        init(_ log: Log, _ greeting: String) {
            self.log = log
            self.greeting = greeting
        }

        func channelActive(context: ChannelHandlerContext) {
            let channel = context.channel
            log.state.withLockedValue { $0.open.append(channel) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            guard var head else { return context.writeAndFlush(NIOAny(buffer), promise: nil) }
            head += String(buffer: buffer)
            self.head = head
            guard let end = head.firstRange(of: "\r\n\r\n")?.upperBound else { return }
            let rest = String(head[end...])
            log.state.withLockedValue { $0.heads.append(String(head[..<end])) }
            self.head = nil
            let answer =
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" + greeting + rest
            context.writeAndFlush(NIOAny(ByteBuffer(string: answer)), promise: nil)
        }
    }
}
