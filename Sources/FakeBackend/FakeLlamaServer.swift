package import NIOCore
import NIOHTTP1
import NIOPosix

/// An engine of our own on a real socket: it imitates llama-server (or Ollama, or another OpenAI-compatible server), computes
/// nothing, and misbehaves on request. For tests, demonstrations and scripts.
///
///     let engine = try await FakeLlamaServer.start(Behaviour { $0.slots = 1 }, group: group)
///     … requests to engine.baseURL …
///     let seen = try await engine.observations { $0.cancelled == 1 }
///     try await engine.stop()
///
/// One event loop carries a whole engine; nothing blocks and no thread is started.
package final class FakeLlamaServer: Sendable {
    package let host: String
    package let port: Int
    package var baseURL: String { "http://\(host):\(port)" }

    private let loop: any EventLoop
    private let engine: NIOLoopBound<Engine>
    private let listener: any Channel
    private let log: ObservationLog

    private init(
        host: String, port: Int, engine: NIOLoopBound<Engine>, loop: any EventLoop, listener: any Channel, log: ObservationLog
    ) {
        self.host = host
        self.port = port
        self.engine = engine
        self.loop = loop
        self.listener = listener
        self.log = log
    }

    /// Listens and answers on the next loop of `group`; port 0 takes a free one. Throws what binding the port throws.
    package static func start(
        _ behaviour: Behaviour = Behaviour(), host: String = "127.0.0.1", port: Int = 0, group: any EventLoopGroup
    ) async throws -> FakeLlamaServer {
        let loop = group.next()
        let log = ObservationLog()
        let engine = try await loop.submit {
            NIOLoopBound(Engine(behaviour, loop: loop, log: log), eventLoop: loop)
        }.get()
        let listener = try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.autoRead, value: behaviour.fault != .acceptNever)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)), engine.value.connection())
                }
            }
            .bind(host: host, port: port).get()
        try await loop.submit { engine.value.listener = listener }.get()
        return FakeLlamaServer(
            host: host, port: listener.localAddress?.port ?? port, engine: engine, loop: loop, listener: listener, log: log)
    }

    /// Closes the port and every connection at once, as if the engine's process were killed. May be called twice.
    package func stop() async throws {
        try await loop.submit { [listener, engine] in
            listener.close(promise: nil)
            engine.value.cutOffAll()
        }.get()
        try? await listener.closeFuture.get()
    }

    /// Returns when the port has been closed.
    package func waitUntilStopped() async throws {
        try await listener.closeFuture.get()
    }

    /// Changes the behaviour. When this returns, the change applies to all requests that arrive from then on.
    package func setBehaviour(_ behaviour: Behaviour) async throws {
        try await loop.submit { [engine] in engine.value.change(behaviour) }.get()
    }

    /// Changes a part of the behaviour.
    package func update(_ change: @escaping @Sendable (inout Behaviour) -> Void) async throws {
        try await loop.submit { [engine] in
            var behaviour = engine.value.behaviour
            change(&behaviour)
            engine.value.change(behaviour)
        }.get()
    }

    /// What it has seen so far. Callable from anywhere.
    package var observations: Observations { log.snapshot }

    /// Forgets the observations; requests in progress stay counted.
    package func clearObservations() { log.clear() }

    /// Waits until the observations are as wanted and returns them.
    ///
    /// Throws `ObservationTimeout` when they are not within `limit`.
    @discardableResult
    package func observations(
        within limit: Duration = .seconds(5), where isWanted: (Observations) -> Bool
    ) async throws -> Observations {
        let deadline = ContinuousClock.now + limit
        while true {
            let seen = observations
            if isWanted(seen) { return seen }
            guard ContinuousClock.now < deadline else { throw ObservationTimeout(limit: limit, last: seen) }
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}

/// The expected observations did not occur in time; the message has the last observations.
package struct ObservationTimeout: Error, CustomStringConvertible {
    let limit: Duration
    let last: Observations

    package var description: String {
        "not seen within \(limit): received \(last.received), completed \(last.completed), cancelled \(last.cancelled), "
            + "broken \(last.broken), concurrency \(last.concurrency), connections open \(last.connectionsOpen)"
    }
}
