import NIOCore
import NIOPosix
import NIOSSL

/// What all listeners share: the loops that get their clients, and the limit of clients.
struct Acceptor {
    let loops: [any EventLoop]
    let contexts: [NIOLoopBound<LoopContext>]
    let limit: ConnectionLimit
    let eviction: IdleEviction
    /// Called on a loop when accepting pauses because the system has no descriptor or memory left.
    let paused: (@Sendable (IOError) -> Void)?

    /// - Throws: `ListenFailure`.
    func listen(on listener: Listener, group: any EventLoopGroup) async throws(ListenFailure) -> any Channel {
        var bootstrap = ServerBootstrap(group: group)
        if listener.address.port != nil {
            for (option, value) in SocketOptions.watchful { bootstrap = bootstrap.serverChannelOption(option, value: value) }
            bootstrap = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        }
        return try await bootstrap.serverChannelOption(.backlog, value: 1024)
            .serverChannelInitializer { [limit, eviction, paused] channel in
                channel.eventLoop.makeCompletedFuture {
                    let loop = channel.eventLoop
                    let surroundings = AcceptHandler.Surroundings(
                        makeRoom: { eviction.closeLongestIdle(tellOn: loop, completion: $0) }, paused: { paused?($0) })
                    try channel.pipeline.syncOperations.addHandler(AcceptHandler(limit: limit, surroundings))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try add(client: channel, of: listener) }
            }
            .bind(to: listener.address)
    }

    private func add(client channel: any Channel, of listener: Listener) throws {
        guard let index = loops.firstIndex(where: { $0 === channel.eventLoop }) else {
            limit.closed()
            throw ChannelError.operationUnsupported
        }
        let client = ClientHandler(loop: contexts[index].value, limit: limit, entrance: listener.entrance)
        if let identity = listener.identity {
            let context = contexts[index].value
            let watch = HandshakeWatch { context.counters.failedHandshakes += 1 }
            try channel.pipeline.syncOperations.addHandlers([NIOSSLServerHandler(context: identity.context), watch])
        } else {
            // A client that has closed its sending side may still wait for an answer.
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        }
        try channel.pipeline.syncOperations.addHandler(client)
    }
}
