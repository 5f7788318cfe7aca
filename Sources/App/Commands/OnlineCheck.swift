import Control
import Foundation
import NIOCore
import NIOPosix
import Proxy
import Routing

/// `check --online`: asks every server what it is, with the probes that the running balancer uses.
struct OnlineCheck {
    /// One line for each server, and whether all of them can be used.
    static func report(on settings: Configuration) async throws -> (text: String, isGood: Bool) {
        var known = Assembly.Known()
        let assembly = try Assembly(settings, file: nil, loadedAt: 0, known: &known)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let router = SharedRouter(eventLoops: Array(group.makeIterator()))
        let monitor = HealthMonitor(group: group, router: router)
        router.send(.fleetChanged(assembly.fleet))
        monitor.watch(assembly.monitored, timing: .init(interval: .milliseconds(200), timeout: settings.health.timeout))
        // A server that does not answer is down after two probes.
        let patience = max(.seconds(6), settings.health.timeout * 2 + .seconds(1))
        let servers = await answers(router, monitor.catalog, within: patience)
        let kinds = servers.map { monitor.catalog.kind(of: $0.id) }
        monitor.stop()
        try await group.shutdownGracefully()
        let lines = zip(servers, kinds).map { line(for: $0, $1, patience) }
        let text = lines.map(\.text) + namesOfNobody(settings, servers)
        return (text.map(TerminalText.plain).joined(separator: "\n"), !lines.contains { !$0.isGood })
    }

    /// Waits until every server has said what it is, is down, or takes too long.
    private static func answers(
        _ router: SharedRouter, _ catalog: ModelCatalog, within patience: Duration
    ) async -> [FleetSnapshot.Server] {
        let deadline = ContinuousClock.now + patience
        while true {
            let servers = router.snapshot().servers
            let isDone = !servers.contains { server in
                switch server.phase {
                case .up where server.lastReport?.warning != nil: false
                // The slots of a llama-server follow its models.
                case .up:
                    server.models == nil || catalog.kind(of: server.id) == nil
                        || catalog.kind(of: server.id) == .llamaServer && server.lastReport?.slots == nil
                case .down: false
                case .unknown, .suspect: true
                }
            }
            if isDone || ContinuousClock.now >= deadline { return servers }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// What the configuration names as models, though no server lists it. Says nothing while a server has not told its models.
    private static func namesOfNobody(_ settings: Configuration, _ servers: [FleetSnapshot.Server]) -> [String] {
        guard !servers.contains(where: { $0.models == nil }) else { return [] }
        let listed = servers.flatMap { $0.models ?? [] }
        func isListed(_ model: String) -> Bool {
            listed.contains { ModelName.withoutLatest($0) == ModelName.withoutLatest(model) }
        }
        let named =
            settings.aliases.flatMap { alias in alias.models.map { ("aliases.\(alias.name)", $0) } }
            + (settings.defaultModel.map { [("default-model", $0)] } ?? [])
        return named.filter { !isListed($0.1) }.map { "\($0.0): no server lists \"\($0.1)\" as a model" }
    }

    private static func line(
        for server: FleetSnapshot.Server, _ kind: EngineKind?, _ patience: Duration
    ) -> (text: String, isGood: Bool) {
        switch server.phase {
        case .down(let reason): return ("\(server.name): cannot be used: \(reason)", false)
        case .unknown: return ("\(server.name): has not answered within \(patience)", false)
        case .suspect(let reason): return ("\(server.name): does not answer reliably: \(reason)", false)
        case .up: break
        }
        var parts = [kind.map { "is \($0.rawValue)" } ?? "is of an unknown kind"]
        if let slots = server.lastReport?.slots { parts.append(slots.total == 1 ? "1 slot" : "\(slots.total) slots") }
        switch server.models {
        case nil where server.lastReport?.warning == nil:
            return ("\(server.name): answers, but lists no models at /v1/models; its url must end before /v1", false)
        case nil: parts.append("tells no models")
        case []?: parts.append("has no models")
        case let models?: parts.append("models " + models.joined(separator: ", "))
        }
        if server.limit == nil { parts.append("no limit of requests: it reports no slots, and request-max is not set") }
        if let warning = server.lastReport?.warning { return ("\(server.name): \(warning)", false) }
        return ("\(server.name): " + parts.joined(separator: "; "), true)
    }
}
