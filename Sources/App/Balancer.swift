import Control
import Foundation
import Logging
import NIOCore
import NIOPosix
import Proxy
import Routing
import NIOConcurrencyHelpers

/// The whole running program: the proxy, the monitors and the balancer's own endpoints around one router.
final class Balancer: Sendable {
    private let proxy: ProxyServer
    private let monitor: HealthMonitor
    private let router: SharedRouter
    private let configuration: ConfigurationBoard
    private let accessLog: AccessLogWriter?
    private let loadTask: Task<Void, Never>
    private let memory: LearnedMemory?
    private let usage: UsageFile?
    private let recording: RecordingFile?
    private let logger: Logger
    private let known: NIOLockedValueBox<Assembly.Known>
    private let grace: NIOLockedValueBox<Duration>
    private let descriptors: DescriptorBudget
    private let loopCount: Int
    private let started: Configuration

    /// The port of the first listener that has one.
    var port: Int { proxy.port }
    /// One for each listener; nil for a socket in the file system.
    var ports: [Int?] { proxy.ports }

    /// Binds the addresses and begins to serve.
    ///
    /// - Parameters:
    ///   - file: the file of the configuration, for display; nil if it came from the command line.
    ///   - stateFile: where what was learned is kept; nil: nowhere.
    ///   - recording: where the router's events are written at the end; nil: they are not recorded.
    ///   - openFiles: how many descriptors this process may have.
    /// - Throws: `ListenFailure` when an address cannot be bound.
    static func start(
        _ settings: Configuration, file: String?, group: any EventLoopGroup, stateFile: StateFile? = nil,
        recording: RecordingFile? = nil, openFiles: Int = OpenFiles.raiseLimit(),
        logger: Logger
    ) async throws -> Balancer {
        var known = Assembly.Known(hostName: ProcessInfo.processInfo.hostName)
        var assembly = try Assembly(settings, file: file, loadedAt: Clock.wallMilliseconds, known: &known)
        let listeners = try known.certificates.listeners(for: settings.listen)
        assembly.board.certificates = known.certificates.shown
        for warning in settings.expiryWarnings(atSeconds: Clock.wallMilliseconds / 1000) { logger.warning("\(warning)") }
        let loops = Array(group.makeIterator())
        let descriptors = DescriptorBudget(
            limit: openFiles, clients: settings.limits.connections, loops: loops.count, servers: settings.servers.count)
        if let warning = descriptors.warning { logger.warning("\(warning)") }
        let router = SharedRouter(eventLoops: loops, recordingLimit: recording == nil ? nil : RecordingFile.mostEvents)
        router.onServerNews(Self.tellServerNews(logger))
        let names = NameResolver()
        let monitor = HealthMonitor(group: group, router: router, names: names)
        let (load, activity, board) = (LocalLoad(), ActivityLog(), ConfigurationBoard())
        board.publish(assembly.board)
        let routes = AdminRoutes(
            .init(router: router, monitor: monitor, load: load, activity: activity, configuration: board),
            eventLoop: group.next())
        let accessLog = try AccessLogWriter(settings.accessLog, logger: logger)
        router.send(.fleetChanged(assembly.fleet))
        let memory = stateFile.map { LearnedMemory($0, router: router, logger: logger) }
        let usage = stateFile.map { UsageFile(beside: $0, activity: activity, logger: logger) }
        let proxy = try await ProxyServer.start(
            on: listeners, maxConnections: descriptors.clients,
            settings: assembly.settings.within(descriptors, loops: loops.count),
            .init(
                group: group, router: router, localEndpoints: routes, observer: activity, accessLog: accessLog,
                names: names, acceptingPaused: Self.tell(logger)))
        routes.attach(proxy)
        monitor.watch(assembly.monitored, timing: assembly.timing)
        return Balancer(
            proxy: proxy, monitor: monitor, router: router, configuration: board, accessLog: accessLog,
            loadTask: Task.detached { await load.run() }, memory: memory, usage: usage, recording: recording, logger: logger,
            known: known,
            grace: settings.shutdownGrace, descriptors: descriptors, loopCount: loops.count, started: settings)
    }

    /// Logs at most once a minute that accepting pauses.
    private static func tell(_ logger: Logger) -> @Sendable (IOError) -> Void {
        let last = NIOLockedValueBox<ContinuousClock.Instant?>(nil)
        return { error in
            let now = ContinuousClock.now
            let isNews = last.withLockedValue { last in
                guard last.map({ $0 + .seconds(60) <= now }) ?? true else { return false }
                last = now
                return true
            }
            guard isNews else { return }
            // Writing may take a while, and this is a loop.
            DispatchQueue.global().async {
                logger.warning(
                    "no client can be accepted for now; raise the limit of open files, or look who takes them all",
                    metadata: ["reason": "\(error)"])
            }
        }
    }

    /// Logs when a server goes down, comes back, or needs attention.
    private static func tellServerNews(_ logger: Logger) -> @Sendable (String, ServerNews) -> Void {
        // Writing may take a while, and the caller is a loop. One queue keeps the order.
        let queue = DispatchQueue(label: "server-news")
        return { server, news in
            queue.async {
                switch news {
                case .up: logger.notice("server \(server) is up")
                case .down(let reason): logger.warning("server \(server) is down: \(reason)")
                case .warning(let text): logger.warning("server \(server) needs attention: it \(text)")
                }
            }
        }
    }

    private init(
        proxy: ProxyServer, monitor: HealthMonitor, router: SharedRouter, configuration: ConfigurationBoard,
        accessLog: AccessLogWriter?, loadTask: Task<Void, Never>, memory: LearnedMemory?, usage: UsageFile?,
        recording: RecordingFile?, logger: Logger, known: Assembly.Known, grace: Duration, descriptors: DescriptorBudget,
        loopCount: Int, started: Configuration
    ) {
        self.proxy = proxy
        self.monitor = monitor
        self.router = router
        self.configuration = configuration
        self.accessLog = accessLog
        self.loadTask = loadTask
        self.memory = memory
        self.usage = usage
        self.recording = recording
        self.logger = logger
        self.known = NIOLockedValueBox(known)
        self.grace = NIOLockedValueBox(grace)
        self.descriptors = descriptors
        self.loopCount = loopCount
        self.started = started
    }

    /// Applies a new configuration while requests go on. `listen`, `limits.connections`, `access-log` and `state-file` need a restart.
    func apply(_ settings: Configuration, file: String?) async throws {
        let assembly = try known.withLockedValue { known in
            var assembly = try Assembly(settings, file: file, loadedAt: Clock.wallMilliseconds, known: &known)
            try known.certificates.renew(settings.listen)
            assembly.board.certificates = known.certificates.shown
            return assembly
        }
        try await proxy.reload(assembly.settings.within(descriptors, loops: loopCount), fleet: assembly.fleet)
        monitor.watch(assembly.monitored, timing: assembly.timing)
        grace.withLockedValue { $0 = settings.shutdownGrace }
        configuration.publish(assembly.board)
        for warning in settings.expiryWarnings(atSeconds: Clock.wallMilliseconds / 1000) { logger.warning("\(warning)") }
        accessLog?.reopen()
    }

    /// The keys that differ from those that the program was started with, and that only a restart changes.
    func keysThatNeedRestart(_ settings: Configuration) -> [String] {
        var keys: [String] = []
        // Certificates are replaced while connections go on.
        let (now, then) = (settings.listen.listeners, started.listen.listeners)
        if now.map(\.address) != then.map(\.address) { keys.append("listen") }
        if now.count == then.count, zip(now, then).contains(where: { ($0.tls == nil) != ($1.tls == nil) }) {
            keys.append("listen.tls")
        }
        if settings.limits.connections != started.limits.connections { keys.append("limits.connections") }
        if settings.accessLog != started.accessLog { keys.append("access-log") }
        if settings.stateFile != started.stateFile { keys.append("state-file") }
        return keys
    }

    /// The configuration could not be read again; the old one stays.
    func note(problems: String) { configuration.note(problems: problems) }

    func onReload(_ action: @escaping @Sendable () async -> String?) { configuration.onReload(action) }

    /// Stops accepting, lets streams end, then goes. The last lines of the access log are written in what is left of the
    /// streams' time.
    func shutDown() async {
        let grace = grace.withLockedValue { $0 }
        let deadline = ContinuousClock.now + grace
        await proxy.shutDown(grace: grace)
        monitor.stop()
        loadTask.cancel()
        memory?.close()
        usage?.close()
        writeRecording()
        await accessLog?.close(by: deadline)
    }

    private func writeRecording() {
        guard let recording, let events = router.recording() else { return }
        do {
            try recording.write(events)
            guard !events.isComplete else { return }
            logger.warning("\(recording.path) has the first \(events.steps.count) events only; there were more")
        } catch {
            logger.error("the recording is lost: \(error)")
        }
    }
}

extension ProxySettings {
    /// Limited by the available descriptors.
    fileprivate func within(_ budget: DescriptorBudget, loops: Int) -> ProxySettings {
        var settings = self
        settings.limits.idleUpstream = min(limits.idleUpstream, budget.idleUpstream / max(1, loops))
        settings.limits.detachedStreams = min(limits.detachedStreams, budget.detached / max(1, loops))
        return settings
    }
}
