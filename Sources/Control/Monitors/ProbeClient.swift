package import NIOCore
import NIOHTTP1
package import Proxy
import Routing

/// The address of a server, and the path prefix and headers to use for probes.
package struct ProbeTarget: Sendable, Equatable {
    package var address: ServerAddress
    /// Prepended to every path; empty, or `/…` without a trailing slash.
    package var pathPrefix: String
    package var headers: [HeaderField]

    package init(
        host: String, port: Int, transport: Transport = .plain, pathPrefix: String = "", headers: [HeaderField] = []
    ) {
        address = ServerAddress(host: host, port: port, transport: transport)
        self.pathPrefix = pathPrefix
        self.headers = headers
    }
}

/// A small HTTP client for probes and the program's own commands, with one time limit for everything. Client requests never
/// use it.
package struct ProbeClient: Sendable {
    /// A longer answer is a failure.
    package static let maximumBody = 8 << 20

    package struct Response: Sendable {
        package var status: Int
        package var server: String?
        package var body: [UInt8]
    }

    /// Why a probe failed, as readable text.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
        /// This machine is out of descriptors or memory, so the failure does not count against the server.
        let isShortage: Bool
        /// The server accepted the connection, but did not answer in time.
        let isSilence: Bool

        init(description: String, isSilence: Bool = false) {
            self.description = description
            self.isSilence = isSilence
            isShortage = false
        }

        init(_ error: any Error) {
            if let failure = error as? Failure {
                self = failure
            } else {
                description = ConnectProblem.text(error)
                isShortage = ConnectProblem.isShortage(error)
                isSilence = false
            }
        }
    }

    /// Opens a connection within a time.
    typealias Connect = @Sendable (ServerAddress, Interval, any EventLoop) -> EventLoopFuture<any Channel>

    private let connect: Connect

    package init(names: NameResolver = NameResolver()) {
        let dialer = Dialer(names: names)
        // A handler belongs to one channel, so the handlers are added after one of the connection attempts has succeeded.
        self.init { address, limit, loop in dialer.connect(to: address, within: limit, on: loop) { _ in } }
    }

    init(connect: @escaping Connect) {
        self.connect = connect
        // The first probes of all servers begin at the same moment, on several loops. Swift's runtime (6.3.1) has crashed when two
        // threads were the first to need this generic type together, so the type is made here, before any loop needs it.
        _ = ByteToMessageHandler(HTTPResponseDecoder())
    }

    /// Requests one path on a separate connection. The future completes on `loop` within `timeout`.
    package func get(
        _ path: String, from target: ProbeTarget, timeout: Duration, on loop: any EventLoop
    ) -> EventLoopFuture<Response> {
        send(path, json: nil, to: target, timeout: timeout, on: loop)
    }

    /// `GET`, or `POST` when there is a body.
    package func send(
        _ path: String, json: [UInt8]?, to target: ProbeTarget, timeout: Duration, maximumBody: Int = ProbeClient.maximumBody,
        on loop: any EventLoop
    ) -> EventLoopFuture<Response> {
        let limit = Interval(timeout)
        let deadline = (Clock.now + limit).deadline
        let promise = loop.makePromise(of: Response.self)
        connect(target.address, limit, loop).flatMapThrowing { channel in
            let timer = loop.scheduleTask(deadline: deadline) {
                promise.fail(Failure(description: "no answer to \(path) within \(timeout)", isSilence: true))
            }
            promise.futureResult.whenComplete { _ in
                timer.cancel()
                channel.close(promise: nil)
            }
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(HTTPRequestEncoder())
            try pipeline.addHandler(ByteToMessageHandler(HTTPResponseDecoder()))
            try pipeline.addHandler(ProbeHandler(promise: promise, maximumBody: maximumBody))
            let method = json == nil ? HTTPMethod.GET : .POST
            var head = HTTPRequestHead(version: .http1_1, method: method, uri: target.pathPrefix + path)
            head.headers.add(name: "Host", value: target.address.authority)
            head.headers.add(name: "Connection", value: "close")
            head.headers.add(name: "Accept", value: "*/*")
            head.headers.add(name: "User-Agent", value: "llama-balancer")
            for header in target.headers { head.headers.replaceOrAdd(name: header.name, value: header.value.exposed) }
            if let json {
                head.headers.add(name: "Content-Type", value: "application/json")
                head.headers.add(name: "Content-Length", value: String(json.count))
            }
            channel.write(HTTPClientRequestPart.head(head), promise: nil)
            if let json { channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: json))), promise: nil) }
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        }.whenFailure { promise.fail(Failure($0)) }
        return promise.futureResult
    }

    /// Opens and closes a connection, to check whether the server is listening.
    func connect(to target: ProbeTarget, timeout: Duration, on loop: any EventLoop) -> EventLoopFuture<Void> {
        connect(target.address, Interval(timeout), loop)
            .flatMapErrorThrowing { throw Failure($0) }
            .map { $0.close(promise: nil) }
    }
}

/// Collects one answer.
private final class ProbeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<ProbeClient.Response>
    private let maximumBody: Int
    private var response = ProbeClient.Response(status: 0, body: [])

    init(promise: EventLoopPromise<ProbeClient.Response>, maximumBody: Int) {
        self.promise = promise
        self.maximumBody = maximumBody
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            response.status = Int(head.status.code)
            response.server = head.headers.first(name: "Server")
        case .body(let buffer):
            response.body.append(contentsOf: buffer.readableBytesView)
            if response.body.count > maximumBody {
                promise.fail(ProbeClient.Failure(description: "its answer has more than \(maximumBody) bytes"))
            }
        case .end: promise.succeed(response)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ProbeClient.Failure(description: "closed the connection without an answer"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(ProbeClient.Failure(error))
        context.close(promise: nil)
    }
}
