import NIOCore

/// A loop's clients, and what goes on for those that have left.
struct LoopClients {
    var connected: [ObjectIdentifier: ClientHandler] = [:]
    /// Those of them that have nothing to do.
    var idle = IdleConnections<ClientHandler>()
    /// Exchanges that go on although their clients left.
    var detached: [ObjectIdentifier: ExchangeRunner] = [:]
    /// Stands in for every client that has left.
    let gone: GoneClient
    /// Kept connections take no new requests; those idle are closed.
    var isDraining = false

    init(eventLoop: any EventLoop) { gone = GoneClient(eventLoop: eventLoop) }
}
