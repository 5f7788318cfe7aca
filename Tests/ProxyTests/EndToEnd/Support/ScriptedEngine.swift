import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif
import NIOConcurrencyHelpers

/// A server that answers with exactly the bytes that the test gives it.
final class ScriptedEngine: Sendable {
    /// What to do when a whole request has come.
    enum Reply: Sendable {
        case send(String)
        case sendAndClose(String)
        /// FIN without a byte.
        case close
        case nothing
    }

    /// Which request it is: connections and the requests on each are numbered from 1.
    struct Turn: Sendable {
        var connection: Int
        var request: Int
        /// Head and body as they came.
        var text: String
    }

    private struct State {
        var channels: [any Channel] = []
        var turns: [Turn] = []
    }

    private let listener: any Channel
    private let log: Log

    private init(listener: any Channel, log: Log) {
        self.listener = listener
        self.log = log
    }

    var port: Int { listener.localAddress?.port ?? 0 }
    var openConnections: Int { log.state.withLockedValue { $0.channels.count { $0.isActive } } }
    /// Every request so far.
    var turns: [Turn] { log.state.withLockedValue { $0.turns } }

    /// Sends more, when the test finds it is time, on the connection of that number.
    func send(_ text: String, on connection: Int) async throws {
        let channel = log.state.withLockedValue {
            $0.channels.indices.contains(connection - 1) ? $0.channels[connection - 1] : nil
        }
        guard let channel else { throw TimedOut("there is no connection \(connection) yet") }
        try await channel.writeAndFlush(ByteBuffer(string: text))
    }

    /// Ends all connections with RST.
    func resetConnections() async throws {
        for channel in log.state.withLockedValue({ $0.channels }) where channel.isActive {
            (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenFailure { _ in }
            try await channel.close()
        }
    }

    /// Closes all connections, and waits until they are.
    func closeConnections() async {
        for channel in log.state.withLockedValue({ $0.channels }) { try? await channel.close() }
    }

    /// - Parameter atHead: the script is asked as soon as a head has come, and again for nothing that follows it.
    static func start(
        atHead: Bool = false, tls: NIOSSLContext? = nil, _ script: @escaping @Sendable (Turn) -> Reply
    ) async throws -> ScriptedEngine {
        let log = Log()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.addHandler(Connection(log, script, atHead: atHead))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ScriptedEngine(listener: listener, log: log)
    }

    func stop() async { try? await listener.close() }

    private final class Log: Sendable {
        let state = NIOLockedValueBox(State())
    }

    private final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let log: Log
        private let script: @Sendable (Turn) -> Reply
        private var number = 0
        private var requests = 0
        private var received = ""
        private let atHead: Bool

        init(_ log: Log, _ script: @escaping @Sendable (Turn) -> Reply, atHead: Bool) {
            self.atHead = atHead
            self.log = log
            self.script = script
        }

        func channelActive(context: ChannelHandlerContext) {
            let channel = context.channel
            number = log.state.withLockedValue {
                $0.channels.append(channel)
                return $0.channels.count
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += String(buffer: unwrapInboundIn(data))
            guard !atHead || requests == 0, isWhole else { return }
            requests += 1
            let turn = Turn(connection: number, request: requests, text: received)
            received = ""
            log.state.withLockedValue { $0.turns.append(turn) }
            switch script(turn) {
            case .send(let text): context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            case .sendAndClose(let text):
                let channel = context.channel
                channel.writeAndFlush(ByteBuffer(string: text)).whenComplete { _ in channel.close(promise: nil) }
            case .close: context.close(promise: nil)
            case .nothing: break
            }
        }

        private var isWhole: Bool {
            let parts = received.components(separatedBy: "\r\n\r\n")
            guard parts.count > 1 else { return false }
            if atHead { return true }
            let line = parts[0].split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
            let length = line.flatMap { Int($0.dropFirst("content-length:".count).drop { $0 == " " }) } ?? 0
            return received.utf8.count >= parts[0].utf8.count + 4 + length
        }
    }
}

extension String {
    /// The parts between the separators.
    fileprivate func components(separatedBy separator: String) -> [String] {
        split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    }
}
