import NIOCore
import NIOPosix
import NIOSSL
import Routing

/// One loop's connections to one backend.
final class UpstreamPool {
    let endpoint: BackendEndpoint
    let lines: BackendLines
    private var state: UpstreamPoolState<UpstreamConnection>
    private let loop: any EventLoop
    private let tls: NIOSSLContext?
    /// Known when the host is an address: nothing to look up then.
    private let address: SocketAddress?
    private var isRetired = false
    /// Connections opened since start, for the metric connects per request.
    private(set) var dialled = 0

    init(endpoint: BackendEndpoint, idleLimit: Int, loop: any EventLoop, tls: NIOSSLContext?) {
        state = UpstreamPoolState(idleLimit: idleLimit)
        self.endpoint = endpoint
        lines = BackendLines(endpoint)
        self.loop = loop
        self.tls = tls
        address = endpoint.literalAddress
    }

    /// A kept connection, if one is idle.
    func leaseKept(at now: Moment) -> UpstreamConnection? { state.lease(at: now) }

    /// Opens a new connection; `completion` runs on this loop.
    func dial(timeout: Interval, completion: @escaping (Result<UpstreamConnection, any Error>) -> Void) {
        dialled += 1
        let bound = NIOLoopBound((connection: UpstreamConnection(pool: self), completion: completion), eventLoop: loop)
        let tls = endpoint.usesTLS ? tls : nil
        let serverName = address == nil ? endpoint.host : nil
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(timeout.nanoseconds))
            .channelOption(.socketOption(.so_rcvbuf), value: SocketOptions.upstreamReceiveBuffer)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: serverName))
                    }
                    try pipeline.addHandler(bound.value.connection)
                }
            }
        for (option, value) in SocketOptions.watchful { bootstrap = bootstrap.channelOption(option, value: value) }
        let connected =
            if let address {
                bootstrap.connect(to: address)
            } else {
                bootstrap.connect(host: endpoint.host, port: endpoint.port)
            }
        connected.whenComplete { result in
            let (connection, completion) = bound.value
            completion(result.map { _ in connection })
        }
    }

    /// Takes a connection back after a whole answer.
    func giveBack(_ connection: UpstreamConnection, at now: Moment) {
        if isRetired || !state.giveBack(connection, at: now) { connection.close() }
    }

    func forget(_ connection: UpstreamConnection) { state.remove(connection) }

    func closeExpired(at now: Moment) {
        for connection in state.expired(at: now) { connection.close() }
    }

    /// Its server is no longer configured so: nothing is kept any more.
    func retire() {
        isRetired = true
        for connection in state.removeAll() { connection.close() }
    }
}

/// What every head to or from one backend has in it, written once.
struct BackendLines {
    /// In requests, behind the target.
    let host: [UInt8]
    /// The configured fields of requests; often none.
    let added: [UInt8]
    /// In answers.
    let server: [UInt8]

    init(_ endpoint: BackendEndpoint) {
        host = Array(" HTTP/1.1\r\nHost: \(endpoint.authority)\r\n".utf8)
        var added = endpoint.authorization.map { "Authorization: \($0)\r\n" } ?? ""
        for header in endpoint.extraHeaders { added += "\(header.name): \(header.value)\r\n" }
        self.added = Array(added.utf8)
        server = Array("X-Balancer-Server: \(HeaderText.safe(endpoint.name))\r\n".utf8)
    }
}
