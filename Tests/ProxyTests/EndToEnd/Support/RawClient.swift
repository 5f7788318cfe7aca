import NIOCore
import NIOPosix
import NIOSSL
import NIOConcurrencyHelpers

@testable import Proxy

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A client with one connection: sends the bytes that it is given and keeps every byte that comes back.
final class RawClient: Sendable {
    enum Ending: Sendable {
        /// FIN.
        case closed
        /// RST.
        case reset
    }

    private struct State {
        var received: [UInt8] = []
        var ending: Ending?
    }

    private static let patience = Duration.seconds(20)

    private let channel: any Channel
    private let state: Inbox

    private init(channel: any Channel, state: Inbox) {
        self.channel = channel
        self.state = state
    }

    /// With `ENCRYPTED=1` in the environment, all tests of this folder run over TLS.
    static let areAllEncrypted = getenv("ENCRYPTED").map { String(cString: $0) } == "1"

    /// - Parameters:
    ///   - receiveBuffer: bytes that the kernel keeps for a client that does not read; nil: its default.
    ///   - tls: nil: the connection is not encrypted.
    static func connect(
        port: Int, receiveBuffer: Int? = nil,
        tls: NIOSSLContext? = RawClient.areAllEncrypted ? try? .client(trusts: "authority") : nil
    ) async throws -> RawClient {
        let state = Inbox()
        var bootstrap = bootstrap(state, tls)
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(
                .socketOption(.so_rcvbuf), value: SocketOptionValue(receiveBuffer))
        }
        let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        return RawClient(channel: channel, state: state)
    }

    /// - Parameter socket: a path.
    static func connect(socket: String) async throws -> RawClient {
        let state = Inbox()
        return RawClient(channel: try await bootstrap(state, nil).connect(unixDomainSocketPath: socket).get(), state: state)
    }

    private static func bootstrap(_ state: Inbox, _ tls: NIOSSLContext?) -> ClientBootstrap {
        ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandlers([
                            NIOSSLClientHandler(context: tls, serverHostname: nil), HandshakeGate(),
                        ])
                    }
                    try channel.pipeline.syncOperations.addHandler(Recorder(state))
                }
            }
    }

    /// The certificate that the balancer shows.
    func certificate() async throws -> NIOSSLCertificate? {
        try await channel.eventLoop.submit { [channel] in try channel.pipeline.syncOperations.nioSSL_peerCertificate() }.get()
    }

    // MARK: Sending

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// Sends the text in pieces of those sizes, over and over, each in a packet of its own.
    func send(_ text: String, inPiecesOf sizes: [Int]) async throws {
        var rest = Array(text.utf8)[...]
        var index = 0
        while !rest.isEmpty {
            try await send(Array(rest.prefix(sizes[index % sizes.count])))
            rest = rest.dropFirst(sizes[index % sizes.count])
            index += 1
        }
    }

    // MARK: Receiving

    /// The next whole answer. What the connection's end has cut off is an answer that is not whole.
    func answer(toHead: Bool = false) async throws -> HTTPAnswer {
        try await wait(for: "an answer") { state in
            guard let found = AnswerParser.parse(state.received, toHead: toHead, hasEnded: state.ending != nil) else {
                if let ending = state.ending { throw TimedOut("\(ending) without an answer: \(state.received.count) bytes") }
                return nil
            }
            state.received.removeFirst(found.length)
            return found.answer
        }
    }

    /// What has come so far and has not been taken by `answer`.
    var text: String { state.value.withLockedValue { String(decoding: $0.received, as: UTF8.self) } }

    /// Waits until `text` is as wanted.
    @discardableResult
    func receive(_ what: String, where isWanted: (String) -> Bool) async throws -> String {
        try await wait(for: what) { state in
            let text = String(decoding: state.received, as: UTF8.self)
            return isWanted(text) ? text : nil
        }
    }

    /// Waits until the balancer has ended the connection.
    @discardableResult
    func ended() async throws -> Ending {
        try await wait(for: "the connection's end") { $0.ending }
    }

    func stopReading() async throws { try await channel.setOption(.autoRead, value: false).get() }

    func goOnReading() async throws { try await channel.setOption(.autoRead, value: true).get() }

    // MARK: Leaving

    func close() async { try? await channel.close() }

    /// Leaves with RST instead of FIN.
    func reset() async throws {
        let channel = channel
        try await channel.eventLoop.submit {
            (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenFailure { _ in }
            channel.close(promise: nil)
        }.get()
    }

    private func wait<Result>(for what: String, _ look: (inout State) throws -> Result?) async throws -> Result {
        let deadline = ContinuousClock.now + Self.patience
        var seen: (count: Int, ending: Ending?)?
        while true {
            let result: Result? = try state.value.withLockedValue { state in
                // Nothing new to look at.
                if let seen, seen.count == state.received.count, seen.ending == state.ending { return nil }
                seen = (state.received.count, state.ending)
                return try look(&state)
            }
            if let result { return result }
            guard ContinuousClock.now < deadline else {
                let text = state.value.withLockedValue { String(decoding: $0.received.prefix(2000), as: UTF8.self) }
                throw TimedOut("\(what) did not come within \(Self.patience); so far: \(text)")
            }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Shared between the connection's loop and the test.
    private final class Inbox: Sendable {
        let value = NIOLockedValueBox(State())
    }

    private final class Recorder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let state: Inbox

        init(_ state: Inbox) { self.state = state }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            state.value.withLockedValue { $0.received.append(contentsOf: buffer.readableBytesView) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            state.value.withLockedValue { $0.ending = .reset }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            state.value.withLockedValue { $0.ending = $0.ending ?? .closed }
        }
    }
}

/// What was waited for did not happen.
struct TimedOut: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
