package import NIOCore
package import Proxy
package import Routing
import NIOConcurrencyHelpers

/// Probes all servers concurrently, once per interval. Reports the results to the router and keeps the engines' model lists.
package final class HealthMonitor: Sendable {
    package struct Timing: Sendable, Equatable {
        package var interval: Duration
        package var timeout: Duration
        /// How long an engine may be silent while it computes, if it has never answered a probe while it computed.
        package var busyTimeout: Duration

        package init(interval: Duration, timeout: Duration, busyTimeout: Duration = .seconds(600)) {
            self.interval = interval
            self.timeout = timeout
            self.busyTimeout = busyTimeout
        }
    }

    private struct Running: Sendable {
        var server: MonitoredServer
        var loop: any EventLoop
        var monitor: NIOLoopBoundBox<ServerMonitor>
    }

    private struct State: Sendable {
        /// Nil before the first `watch`.
        var timing: Timing?
        var running: [BackendID: Running] = [:]
    }

    private let group: any EventLoopGroup
    private let router: SharedRouter
    private let client: ProbeClient
    private let state = NIOLockedValueBox(State())
    package let catalog = ModelCatalog()

    /// - Parameter names: shared with the proxy, so that both use the same addresses.
    package init(group: any EventLoopGroup, router: SharedRouter, names: NameResolver = NameResolver()) {
        self.group = group
        self.router = router
        client = ProbeClient(names: names)
        router.onProbeNow { [weak self] id in self?.probeNow(id) }
    }

    /// From now on, watches exactly these servers. The monitors of unchanged servers continue.
    package func watch(_ servers: [MonitoredServer], timing: Timing) {
        let (stopped, started) = state.withLockedValue { state in
            let same = state.timing == timing
            let kept = state.running.filter { id, running in same && servers.contains(running.server) && id == running.server.id }
            let stopped = state.running.filter { kept[$0.key] == nil }.map(\.value)
            let started = servers.filter { kept[$0.id] == nil }.map { start($0, timing) }
            state.timing = timing
            state.running = kept
            for running in started { state.running[running.server.id] = running }
            return (stopped, started)
        }
        for running in stopped { running.loop.execute { running.monitor.value.stop() } }
        catalog.keepOnly(servers)
        for running in started { running.loop.execute { running.monitor.value.probeNow() } }
    }

    package func probeNow(_ id: BackendID) {
        guard let running = state.withLockedValue({ $0.running[id] }) else { return }
        running.loop.execute { running.monitor.value.probeNow() }
    }

    /// The servers that are not known to be down, in order, with their kinds as far as they are known.
    func reachable() -> [(server: MonitoredServer, kind: EngineKind?)] {
        let running = state.withLockedValue { $0.running.values.map(\.server) }
        let down = router.snapshot(sessionLimit: 0).servers.filter { server in
            if case .down = server.phase { true } else { false }
        }
        let absent = Set(down.map(\.id))
        return running.filter { !absent.contains($0.id) }.sorted { $0.id.rawValue < $1.id.rawValue }
            .map { ($0, $0.kind ?? catalog.kind(of: $0.id)) }
    }

    /// Sends one request, `POST` when there is a body. The future completes on `loop`, within the time limit of a probe.
    func send(
        _ path: String, json: [UInt8]?, via: String, to server: MonitoredServer, on loop: any EventLoop
    ) -> EventLoopFuture<ProbeClient.Response> {
        let timeout = state.withLockedValue { $0.timing?.timeout } ?? .seconds(2)
        var target = server.engine
        target.headers.append(HeaderField(name: "Via", value: via))
        return client.send(path, json: json, to: target, timeout: timeout, maximumBody: Self.longestAnswer, on: loop)
    }

    /// In bytes. Answers to such requests are read on an event loop.
    private static let longestAnswer = 256 << 10

    package func stop() {
        guard let timing = state.withLockedValue({ $0.timing }) else { return }
        watch([], timing: timing)
    }

    private func start(_ server: MonitoredServer, _ timing: Timing) -> Running {
        let loop = group.next()
        let (client, router, catalog) = (client, router, catalog)
        let monitor = ServerMonitor(
            server: server, client: client, loop: loop, timing: timing, report: { router.send($0) },
            learned: { id, kind, models in catalog.learned(id, kind: kind, models: models) },
            inFlight: { router.inFlight(of: $0) })
        return Running(server: server, loop: loop, monitor: .makeBoxSendingValue(monitor, eventLoop: loop))
    }
}
