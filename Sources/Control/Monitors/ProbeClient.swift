package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Proxy
import Routing

/// Where and how one server is asked.
package struct ProbeTarget: Sendable, Equatable {
    package var host: String
    package var port: Int
    package var usesTLS: Bool
    package var pathPrefix: String
    package var headers: [Header]

    package struct Header: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(host: String, port: Int, usesTLS: Bool = false, pathPrefix: String = "", headers: [Header] = []) {
        self.host = host
        self.port = port
        self.usesTLS = usesTLS
        self.pathPrefix = pathPrefix
        self.headers = headers
    }
}

/// A small HTTP client for probes and our own commands: few bytes, one time limit for everything, never in a request's path.
package struct ProbeClient: Sendable {
    /// A longer answer is a failure.
    static let maximumBody = 8 << 20

    package struct Response: Sendable {
        package var status: Int
        package var server: String?
        package var body: [UInt8]
    }

    /// Why a probe failed, for people.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private let tls: NIOSSLContext?

    init(tls: NIOSSLContext?) { self.tls = tls }

    /// Without TLS.
    package init() { tls = nil }

    /// Asks for one path on a connection of its own. The future completes on `loop` within `timeout`.
    package func get(
        _ path: String, from target: ProbeTarget, timeout: Duration, on loop: any EventLoop
    ) -> EventLoopFuture<Response> {
        send(path, json: nil, to: target, timeout: timeout, on: loop)
    }

    /// `GET`, or `POST` when there is a body.
    package func send(
        _ path: String, json: [UInt8]?, to target: ProbeTarget, timeout: Duration, on loop: any EventLoop
    ) -> EventLoopFuture<Response> {
        let limit = TimeAmount.nanoseconds(Interval(timeout).nanoseconds)
        let promise = loop.makePromise(of: Response.self)
        let connected = connect(to: target, limit: limit, on: loop) { channel in
            try channel.pipeline.syncOperations.addHandler(HTTPRequestEncoder())
            try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(HTTPResponseDecoder()))
            try channel.pipeline.syncOperations.addHandler(ProbeHandler(promise: promise))
        }
        let timer = loop.scheduleTask(in: limit) {
            promise.fail(Failure(description: "no answer to \(path) within \(timeout)"))
        }
        connected.whenFailure { promise.fail(Failure(description: Self.text($0))) }
        connected.whenSuccess { channel in
            let method = json == nil ? HTTPMethod.GET : .POST
            var head = HTTPRequestHead(version: .http1_1, method: method, uri: target.pathPrefix + path)
            let name = target.host.contains(":") ? "[\(target.host)]" : target.host
            head.headers.add(name: "Host", value: "\(name):\(target.port)")
            head.headers.add(name: "Connection", value: "close")
            head.headers.add(name: "Accept", value: "*/*")
            head.headers.add(name: "User-Agent", value: "llama-balancer")
            for header in target.headers { head.headers.replaceOrAdd(name: header.name, value: header.value) }
            if let json {
                head.headers.add(name: "Content-Type", value: "application/json")
                head.headers.add(name: "Content-Length", value: String(json.count))
            }
            channel.write(HTTPClientRequestPart.head(head), promise: nil)
            if let json { channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: json))), promise: nil) }
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        }
        promise.futureResult.whenComplete { _ in
            timer.cancel()
            connected.whenSuccess { $0.close(promise: nil) }
        }
        return promise.futureResult
    }

    /// Only opens and closes a connection: is somebody listening?
    func connect(to target: ProbeTarget, timeout: Duration, on loop: any EventLoop) -> EventLoopFuture<Void> {
        connect(to: target, limit: .nanoseconds(Interval(timeout).nanoseconds), on: loop) { _ in }
            .flatMapErrorThrowing { throw Failure(description: Self.text($0)) }
            .map { $0.close(promise: nil) }
    }

    private func connect(
        to target: ProbeTarget, limit: TimeAmount, on loop: any EventLoop,
        handlers: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let tls = target.usesTLS ? tls : nil
        let literal = try? SocketAddress(ipAddress: target.host, port: target.port)
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(limit)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let name = literal == nil ? target.host : nil
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: name))
                    }
                    try handlers(channel)
                }
            }
        guard let literal else { return bootstrap.connect(host: target.host, port: target.port) }
        return bootstrap.connect(to: literal)
    }

    private static func text(_ error: any Error) -> String {
        if let failure = error as? Failure { return failure.description }
        return ConnectProblem.text(error)
    }
}

/// Collects one answer.
private final class ProbeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<ProbeClient.Response>
    private var response = ProbeClient.Response(status: 0, body: [])

    init(promise: EventLoopPromise<ProbeClient.Response>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            response.status = Int(head.status.code)
            response.server = head.headers.first(name: "Server")
        case .body(let buffer):
            response.body.append(contentsOf: buffer.readableBytesView)
            if response.body.count > ProbeClient.maximumBody {
                promise.fail(ProbeClient.Failure(description: "its answer has more than \(ProbeClient.maximumBody) bytes"))
            }
        case .end: promise.succeed(response)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ProbeClient.Failure(description: "closed the connection without an answer"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(ProbeClient.Failure(description: "\(error)"))
        context.close(promise: nil)
    }
}
