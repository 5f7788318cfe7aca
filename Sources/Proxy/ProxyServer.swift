package import NIOCore
import NIOPosix
package import Routing

/// Starts the loops' contexts and the listeners, and shuts them down gracefully.
package final class ProxyServer: Sendable {
    private let contexts: [NIOLoopBound<LoopContext>]
    private let loops: [any EventLoop]
    private let router: SharedRouter
    private let listeners: [any Channel]
    private let ticks: [RepeatedTask]
    private let accessLog: (any AccessLogSink)?

    /// What the server needs to start, besides the settings.
    package struct Environment: Sendable {
        package var group: any EventLoopGroup
        package var router: SharedRouter
        package var localEndpoints: any LocalEndpoints
        package var observer: (any RequestObserver)?
        package var accessLog: (any AccessLogSink)?
        /// Shared with the probes, so that both use the same addresses.
        package var names: NameResolver
        /// Called on a loop when accepting pauses because the system has no descriptor or memory left.
        package var acceptingPaused: (@Sendable (IOError) -> Void)?

        package init(
            group: any EventLoopGroup, router: SharedRouter, localEndpoints: any LocalEndpoints,
            observer: (any RequestObserver)? = nil, accessLog: (any AccessLogSink)? = nil,
            names: NameResolver = NameResolver(), acceptingPaused: (@Sendable (IOError) -> Void)? = nil
        ) {
            self.group = group
            self.router = router
            self.localEndpoints = localEndpoints
            self.observer = observer
            self.accessLog = accessLog
            self.names = names
            self.acceptingPaused = acceptingPaused
        }
    }

    /// Binds the addresses and begins to serve.
    ///
    /// - Throws: `ListenFailure` when an address cannot be bound; then none is.
    package static func start(
        on addresses: [Listener], maxConnections: Int, settings: ProxySettings, _ environment: Environment
    ) async throws -> ProxyServer {
        let loops = Array(environment.group.makeIterator())
        let dialer = Dialer(names: environment.names)
        var names = RequestIDs(seed: .random(in: .min ... .max))
        let viaName = "llama-balancer-\(names.next())"
        var contexts: [NIOLoopBound<LoopContext>] = []
        for loop in loops {
            let index = environment.router.addOwner()
            let context = try await loop.submit {
                let context = LoopContext(
                    index: index, eventLoop: loop, router: environment.router,
                    localEndpoints: environment.localEndpoints, observer: environment.observer,
                    accessLog: environment.accessLog, dialer: dialer, viaName: viaName)
                context.apply(settings)
                return NIOLoopBound(context, eventLoop: loop)
            }.get()
            environment.router.attach(LoopClient(eventLoop: loop, context: context), as: index)
            contexts.append(context)
        }
        let acceptor = Acceptor(
            loops: loops, contexts: contexts, limit: ConnectionLimit(maxConnections),
            eviction: IdleEviction(loops, contexts), paused: environment.acceptingPaused)
        var listeners: [any Channel] = []
        do {
            for listener in addresses { listeners.append(try await acceptor.listen(on: listener, group: environment.group)) }
        } catch {
            for listener in listeners { try? await listener.close() }
            throw error
        }
        let ticks = zip(loops, contexts).map { loop, context in
            loop.scheduleRepeatedTask(initialDelay: .milliseconds(250), delay: .milliseconds(250)) { _ in
                context.value.tick()
            }
        }
        return ProxyServer(
            contexts: contexts, loops: loops, router: environment.router, listeners: listeners, ticks: ticks,
            accessLog: environment.accessLog)
    }

    private init(
        contexts: [NIOLoopBound<LoopContext>], loops: [any EventLoop], router: SharedRouter, listeners: [any Channel],
        ticks: [RepeatedTask], accessLog: (any AccessLogSink)?
    ) {
        self.contexts = contexts
        self.loops = loops
        self.router = router
        self.listeners = listeners
        self.ticks = ticks
        self.accessLog = accessLog
    }

    /// The ports of the listeners, in their order; nil for a socket in the file system.
    package var ports: [Int?] { listeners.map { $0.localAddress?.port } }

    /// The port of the first listener that has one.
    package var port: Int { ports.lazy.compactMap { $0 }.first ?? 0 }

    /// The sum of all loops' counters.
    package func counters() -> EventLoopFuture<Counters> {
        let each = zip(loops, contexts).map { loop, context in loop.submit { context.value.currentCounters() } }
        return EventLoopFuture.whenAllSucceed(each, on: loops[0]).map { [accessLog] all in
            var sum = Counters()
            for one in all { sum += one }
            sum.logLinesDropped = accessLog?.droppedLines ?? 0
            return sum
        }
    }

    /// Applies new settings and a new fleet, in an order that ensures that every grant finds its pool.
    package func reload(_ settings: ProxySettings, fleet: Fleet) async throws {
        for (loop, context) in zip(loops, contexts) {
            try await loop.submit { context.value.apply(settings) }.get()
        }
        router.send(.fleetChanged(fleet))
    }

    /// Stops accepting, waits up to `grace` for running and waiting requests, then closes everything.
    package func shutDown(grace: Duration) async {
        for listener in listeners { try? await listener.close() }
        for (loop, context) in zip(loops, contexts) { try? await loop.submit { context.value.drain() }.get() }
        let deadline = Clock.now + Interval(grace)
        while Clock.now < deadline {
            let open = try? await counters().get()
            if open?.clientConnections == 0, open?.detachedStreams == 0 { break }
            try? await Task.sleep(for: .milliseconds(25))
        }
        for tick in ticks { tick.cancel() }
        for (loop, context) in zip(loops, contexts) { try? await loop.submit { context.value.closeAll() }.get() }
    }
}
