import ArgumentParser
import Foundation
import Logging
import NIOCore
import NIOPosix
import Proxy
import UnixSignals

/// `llama-balancer [serve]`.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the balancer (the default command).",
        discussion: """
            Servers come from URLs on the command line, or from a file: --config, else the environment variable
            SERVER_LIST_JSON, else server-list.json, server-list.yaml in this folder.

            Examples:
              llama-balancer serve http://192.168.1.20:8080 192.168.1.21:8080
              llama-balancer serve --config server-list.json --port 18000
            """)

    @Argument(help: "Base URLs of servers, when there is no file.")
    var urls: [String] = []

    @Option(help: "The configuration file, JSON or YAML.")
    var config: String?

    @Option(help: "The address to listen on.")
    var host: String?

    @Option(help: "The port to listen on; 0 for any free one.")
    var port: Int?

    @Option(help: "Event loops; the number of cores, but at most 4, when left out.")
    var threads: Int?

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "notice"

    @Option(
        help: ArgumentHelp(
            """
            Records what happens to the router, the first \(RecordingFile.mostEvents) events, for simulate --trace. They are \
            kept in memory and written when the balancer ends; if it is killed, the file stays empty. Names clients, and can tell whether a prompt is one that somebody guesses.
            """, valueName: "file"))
    var record: String?

    init() {}

    func validate() throws {
        if let port, !(0...65535).contains(port) {
            throw ValidationError("--port \(port): a port is a number from 0 to 65535.")
        }
        if let threads, !(1...256).contains(threads) {
            throw ValidationError("--threads \(threads): give a number from 1 to 256.")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--log-level \(logLevel): choose one of \(levels).")
        }
        if config != nil, !urls.isEmpty {
            throw ValidationError("Give either --config or URLs, not both.")
        }
    }

    func run() async throws {
        let logger = Logger.program(level: Logger.Level(rawValue: logLevel) ?? .notice)
        let environment = ProcessInfo.processInfo.environment
        let (settings, file) = try load(environment: environment)
        for warning in settings.warnings { logger.warning("\(warning)") }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads ?? min(System.coreCount, 4))
        let balancer: Balancer
        do {
            let recording = try record.map { path throws in try RecordingFile(path: path) }
            balancer = try await Balancer.start(
                settings, file: file, group: group,
                stateFile: try StateFile.usable(settings, configuration: file, warn: { logger.warning("\($0)") }),
                recording: recording, logger: logger)
        } catch {
            throw CommandFailure.failed(Self.explain(error))
        }
        // Installed before the start is announced: a signal that comes right after the announcement must find its handler.
        let signals = await Self.trapSignals()
        let names = settings.servers.map(\.name).joined(separator: ", ")
        let places = zip(settings.listen.listeners, balancer.ports).map { Self.place($0, port: $1) }
        let first = balancer.ports.firstIndex { $0 != nil } ?? 0
        let base = places[first]
        let others = places.indices.filter { $0 != first }.map { "\n  and on \(places[$0])" }.joined()
        announce(
            "llama-balancer \(Program.version): listening on \(base), servers: \(names)\n"
                + "  clients: \(base)/v1    page: \(base)/llmhealth-monitor" + others
                + (settings.isOpenToAll ? "\n  other machines can connect, too, and no key is asked for" : ""),
            logger: logger)

        var reload: Reload?
        if let file {
            let (host, port) = (host, port)
            let watcher = Reload(
                file: file, configuration: settings, environment: environment, balancer: balancer, logger: logger
            ) {
                Self.override(&$0, host: host, port: port)
            }
            balancer.onReload { await watcher.reload("asked for by an administrator") }
            Task { await watcher.watch() }
            reload = watcher
        }
        await Self.untilStopped(balancer, signals, reload: reload, logger: logger)
    }

    private func load(environment: [String: String]) throws -> (Configuration, String?) {
        var settings: Configuration
        var file: String?
        if urls.isEmpty {
            guard let found = ConfigurationLoader.locate(option: config, environment: environment) else {
                throw CommandFailure.usage(ConfigurationLoader.nothingConfigured)
            }
            file = found
            switch ConfigurationLoader.load(file: found, environment: environment) {
            case .success(let loaded): settings = loaded
            case .failure(let problems): throw CommandFailure.configuration(problems)
            }
        } else {
            do { settings = try Configuration(urls: urls, environment: environment) } catch {
                throw CommandFailure.configuration(error)
            }
        }
        if host != nil || port != nil, settings.listen.listeners.count > 1 {
            throw CommandFailure.usage(
                "The configuration lists \(settings.listen.listeners.count) addresses, so --host and --port say nothing. Change listen "
                    + "in \(file ?? "the file").")
        }
        Self.override(&settings, host: host, port: port)
        return (settings, file)
    }

    /// The URL of a listener on this machine, or its file.
    private static func place(_ listener: Configuration.Listener, port: Int?) -> String {
        guard let port else { return "\(listener.address)" }
        let host = listener.address.takesAllAddresses ? "127.0.0.1" : listener.address.host ?? ""
        let shown = host.contains(":") ? "[\(host)]" : host
        return "\(listener.tls == nil ? "http" : "https")://\(shown):\(port)"
    }

    private static func override(_ settings: inout Configuration, host: String?, port: Int?) {
        guard host != nil || port != nil, settings.listen.listeners.count == 1 else { return }
        let address = settings.listen.listeners[0].address
        let newPort = port ?? address.port ?? Configuration.Listener.defaultPort
        settings.listen.listeners[0].address =
            (host ?? address.host).map { .tcp(host: $0, port: newPort) } ?? .everywhere(port: newPort)
    }

    static func trapSignals() async -> UnixSignalsSequence {
        await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
    }

    /// Handles signals until the balancer has ended: SIGHUP reloads the configuration, the first SIGTERM or SIGINT ends the
    /// program gracefully, the second one at once.
    static func untilStopped(
        _ balancer: Balancer, _ signals: UnixSignalsSequence, reload: Reload?, logger: Logger
    ) async {
        var isStopping = false
        for await signal in signals {
            if signal == .sighup {
                if let reload { Task { await reload.reload("SIGHUP") } }
                continue
            }
            if isStopping { Foundation.exit(1) }
            isStopping = true
            logger.notice("stopping; streams may end, a second signal ends them at once")
            Task {
                await balancer.shutDown()
                Foundation.exit(0)
            }
        }
    }

    static func explain(_ error: any Error) -> String {
        switch error {
        case let problem as AccessLogProblem: return problem.description
        case let problem as RecordingProblem: return problem.description
        case let problem as StateFile.Problem: return problem.description
        case let failure as ListenFailure:
            if case .unix(let socket) = failure.address { return explain(failure.reason, at: socket) }
            return explain(failure.reason, at: failure.address)
        default: return "Cannot start: \(error)"
        }
    }

    private static func explain(_ reason: any Error, at address: ListenAddress) -> String {
        let place = "Port \(address.port ?? 0) on \(address.host ?? "all addresses")"
        return switch (reason as? IOError)?.errnoCode {
        case EADDRINUSE: "\(place) is in use by another program. Stop that one, or choose another with --port or listen.port."
        case EACCES:
            "\(place) may not be used by this user: ports below 1024 need more rights. Choose another with --port or listen.port."
        case EADDRNOTAVAIL:
            "This machine has no address \(address.host ?? ""). Choose another with --host, for example 0.0.0.0."
        default: "Cannot listen on \(address): \(reason)"
        }
    }

    private static func explain(_ reason: any Error, at socket: UnixSocket) -> String {
        switch (reason as? IOError)?.errnoCode {
        case EADDRINUSE:
            "\(socket.path) exists: another program listens there, or it is no socket. Stop that one, or remove the file."
        case EACCES: "\(socket.path) may not be made by this user. Choose another folder in listen.socket."
        case ENOENT: "\(socket.path) cannot be made: its folder does not exist. Make it, or change listen.socket."
        case EPERM: "\(socket.path) cannot be given away: only root may change the owner. Change listen.owner."
        default: "Cannot listen on \(socket.path): \(reason)"
        }
    }
}
