import NIOCore
import Routing
import Wire

/// One loop's connections to one backend.
final class UpstreamPool {
    let endpoint: BackendEndpoint
    let lines: BackendLines
    private var state = UpstreamPoolState<UpstreamConnection>()
    /// Shared with the loop's other pools.
    private let room: IdleRoom
    private let loop: any EventLoop
    private let dialer: any UpstreamDialer
    /// The address of the host that worked last.
    private var lastAddress: SocketAddress?
    private var isRetired = false
    /// Connections opened since start, for the metric of connects per request.
    private(set) var dialled = 0

    init(endpoint: BackendEndpoint, room: IdleRoom, loop: any EventLoop, dialer: any UpstreamDialer) {
        self.room = room
        self.endpoint = endpoint
        lines = BackendLines(endpoint)
        self.loop = loop
        self.dialer = dialer
    }

    /// A kept connection; nil when none is idle.
    func leaseKept(at now: Moment) -> UpstreamConnection? { change { $0.lease(at: now) } }

    /// Changes the kept connections, and keeps count of them for all pools.
    private func change<Result>(_ body: (inout UpstreamPoolState<UpstreamConnection>) -> Result) -> Result {
        let before = state.idleCount
        defer { room.taken += state.idleCount - before }
        return body(&state)
    }

    /// Opens a new connection; `completion` runs on this loop.
    func dial(timeout: Interval, completion: @escaping (Result<UpstreamConnection, any Error>) -> Void) {
        dialled += 1
        let bound = NIOLoopBound((pool: self, completion: completion), eventLoop: loop)
        dialer.connect(
            to: endpoint.address, within: timeout, on: loop, options: Self.socketOptions, preferred: lastAddress
        ) { channel in
            try channel.pipeline.syncOperations.addHandler(UpstreamConnection(pool: bound.value.pool))
        }.whenComplete { result in
            let (pool, completion) = bound.value
            completion(
                result.flatMap { channel in
                    pool.lastAddress = channel.remoteAddress
                    return Result { try channel.pipeline.syncOperations.handler(type: UpstreamConnection.self) }
                })
        }
    }

    private static let socketOptions =
        SocketOptions.watchful + [(.init(level: .socket, name: .so_rcvbuf), SocketOptions.upstreamReceiveBuffer)]

    /// Takes a connection back after a complete answer.
    func giveBack(_ connection: UpstreamConnection, at now: Moment) {
        if isRetired || room.isFull || !change({ $0.giveBack(connection, at: now) }) { connection.close() }
    }

    func forget(_ connection: UpstreamConnection) { change { $0.remove(connection) } }

    func closeExpired(at now: Moment) {
        for connection in change({ $0.expired(at: now) }) { connection.close() }
    }

    /// The server's configuration has changed or was removed: connections are no longer kept.
    func retire() {
        isRetired = true
        for connection in change({ $0.removeAll() }) { connection.close() }
    }
}

/// How many idle connections one loop keeps, to all its servers together. A share for each server would be too small for the busy
/// one among many: a loop with 512 servers kept six connections to each, and dialled for every request beyond them.
final class IdleRoom {
    var limit = Int.max
    fileprivate(set) var taken = 0

    var isFull: Bool { taken >= limit }
}

/// The parts of heads that are the same for every request to one backend or answer from it, built once.
struct BackendLines {
    /// For requests, after the target.
    let host: [UInt8]
    /// The configured request fields; often empty.
    let added: [UInt8]
    /// The client's fields that are replaced by the configured fields.
    let replaced: FieldFilter
    /// For answers.
    let server: [UInt8]

    /// Credential fields of clients, in lower case: those of OpenAI, Anthropic, Azure and Google, and a web page's cookies.
    private static let credentials = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"]

    init(_ endpoint: BackendEndpoint) {
        host = Array(" HTTP/1.1\r\nHost: \(endpoint.address.authority)\r\n".utf8)
        var added = endpoint.authorization.map { "Authorization: \($0)\r\n" } ?? ""
        var replaced = FieldFilter()
        for header in endpoint.extraHeaders {
            added += "\(header.name): \(header.value.exposed)\r\n"
            replaced.insert(header.name)
        }
        // A server with its own credential receives none of the client's credentials, in any field.
        if endpoint.authorization != nil
            || endpoint.extraHeaders.contains(where: { Self.credentials.contains($0.name.lowercased()) })
        {
            for name in Self.credentials { replaced.insert(name) }
        }
        self.added = Array(added.utf8)
        self.replaced = replaced
        server = Array("X-Balancer-Server: \(HeaderText.safe(endpoint.name))\r\n".utf8)
    }
}
