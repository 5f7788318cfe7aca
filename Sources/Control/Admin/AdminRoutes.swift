package import NIOCore
package import Proxy
import Routing
import NIOConcurrencyHelpers
import Wire

/// The balancer's own endpoints, on the same port as the proxy.
package final class AdminRoutes: LocalEndpoints {
    /// The objects that the endpoints read and control.
    package struct Sources: Sendable {
        package var router: SharedRouter
        package var catalog: ModelCatalog
        package var broadcast: Broadcast
        package var load: LocalLoad
        package var activity: ActivityLog
        package var configuration: ConfigurationBoard

        package init(
            router: SharedRouter, monitor: HealthMonitor, load: LocalLoad, activity: ActivityLog,
            configuration: ConfigurationBoard
        ) {
            self.router = router
            catalog = monitor.catalog
            broadcast = Broadcast(monitor)
            self.load = load
            self.activity = activity
            self.configuration = configuration
        }
    }

    private let sources: Sources
    private let eventLoop: any EventLoop
    /// Set after the proxy has started, because this object and the proxy need references to each other.
    private let proxy = NIOLockedValueBox<ProxyServer?>(nil)
    private let allNames = ClientNames(areHidden: false)
    private var names: ClientNames { allNames.hidden(sources.configuration.current.hidesClients) }

    package init(_ sources: Sources, eventLoop: any EventLoop) {
        self.sources = sources
        self.eventLoop = eventLoop
    }

    package func attach(_ server: ProxyServer) { proxy.withLockedValue { $0 = server } }

    package func answer(_ request: LocalRequest) -> LocalAnswer {
        let path = Routes.path(of: request.target)
        let reads = request.method == "GET" || request.method == "HEAD"
        if path == "/admin" || path.hasPrefix("/admin/") { return admin(request, path: path) }
        if let question = Broadcast.Question(rawValue: path) {
            return .later(sources.broadcast.answer(question, request.body, via: request.via, on: eventLoop))
        }
        guard reads else { return .now(.error(405, "method_not_allowed", "\(path) answers to GET only.")) }
        switch path {
        case "/llmhealth": return .now(.json(sources.load.json))
        case "/llmhealth-snapshot": return .now(.json(snapshot()))
        case "/access-log-stats": return .now(.json(sources.activity.statistics(names: names)))
        case "/v1/models", "/models": return .now(.json(models(for: request.key).openAI))
        case "/api/tags": return .now(.json(models(for: request.key).ollamaTags))
        case "/api/ps": return .now(.json(models(for: request.key).ollamaRunning))
        case "/health": return .now(health())
        case "/metrics": return metrics()
        case "/favicon.ico": return .now(LocalResponse(status: 204, contentType: nil))
        default: return .now(page(request))
        }
    }

    private func snapshot() -> JSON {
        let configuration = sources.configuration.current
        return SnapshotDocument(
            fleet: sources.router.snapshot(), requests: sources.router.requests(), load: sources.load.json,
            configuration: configuration, kinds: sources.catalog.kind(of:), names: allNames.hidden(configuration.hidesClients),
            now: Clock.now, wallMilliseconds: Clock.wallMilliseconds
        ).json
    }

    /// Omits servers that are known to be down and models that the key may not be used for, so that every listed model can be used.
    private func models(for key: ClientKey?) -> MergedModels {
        let configuration = sources.configuration.current
        var down: Set<BackendID> = []
        var silent: Set<String> = []
        for server in sources.router.snapshot(sessionLimit: 0).servers {
            if case .down = server.phase { down.insert(server.id) } else if server.models == nil { silent.insert(server.name) }
        }
        var merged = sources.catalog.models(leavingOut: down)
        // A server that does not tell its models, such as one that wants a key, has those that the configuration names.
        let named = configuration.patterns.filter { !silent.isDisjoint(with: $0.servers) }
        merged.add(names: configuration.aliases + named.compactMap { ModelPattern($0.pattern).name })
        merged.keepOnly(for: key)
        return merged
    }

    private func health() -> LocalResponse {
        if sources.router.canTakeWork { return .json(["status": "ok"]) }
        return .error(503, "no_server_available", "No server can take work: all are down or draining.")
    }

    private func page(_ request: LocalRequest) -> LocalResponse {
        let path = String(request.target.prefix { $0 != "?" })
        switch DashboardPage.answer(to: path) {
        case .file(let contentType, let bytes):
            return LocalResponse(contentType: contentType, headers: DashboardPage.headers, body: bytes)
        case .redirect(let location):
            return LocalResponse(status: 308, contentType: nil, headers: [("Location", location)])
        case nil: return .error(404, "not_found", "There is nothing at \(path).")
        }
    }

    private func metrics() -> LocalAnswer {
        guard let server = proxy.withLockedValue({ $0 }) else {
            return .now(.error(503, "starting", "The proxy is still starting."))
        }
        let fleet = sources.router.snapshot(sessionLimit: 0)
        let times = sources.router.decisionTimes()
        let certificates = sources.configuration.current.certificates
        return .later(
            server.counters().map { counters in
                LocalResponse(
                    contentType: PrometheusText.contentType,
                    body: MetricsPage.text(
                        counters: counters, fleet: fleet, decisionTimes: times, certificates: certificates,
                        wallMilliseconds: Clock.wallMilliseconds))
            })
    }
}

// MARK: - /admin

extension AdminRoutes {
    private func admin(_ request: LocalRequest, path: String) -> LocalAnswer {
        let parts = path.split(separator: "/").map(String.init)
        switch (request.method, parts.count) {
        case ("GET", 2) where parts[1] == "requests":
            return .now(.json(RequestsDocument.list(sources.router.requests(), names: names)))
        case ("GET", 3) where parts[1] == "requests": return .now(explanation(of: Routes.percentDecoded(parts[2][...])))
        case ("DELETE", 3) where parts[1] == "requests": return .now(cancel(Routes.percentDecoded(parts[2][...])))
        case ("POST", 4) where parts[1] == "servers": return .now(steer(server: parts[2], parts[3]))
        case ("POST", 2) where parts[1] == "reload": return reload()
        case ("GET", 2) where parts[1] == "events": return events()
        case ("GET", 2) where parts[1] == "usage": return usage(request.target)
        default:
            let known =
                "GET /admin/requests, GET or DELETE /admin/requests/ID, POST /admin/servers/NAME/drain or /undrain, "
                + "POST /admin/reload, GET /admin/events, GET /admin/usage"
            return .now(.error(404, "not_found", "There is no \(request.method) \(path). There is: \(known)."))
        }
    }

    /// `?by=key`, `model` or `day`; without, all three.
    private func usage(_ target: String) -> LocalAnswer {
        let by = Routes.queryValue("by", of: target) ?? ""
        let grouping = UsageLedger.Grouping(rawValue: by)
        guard grouping != nil || by.isEmpty else {
            return .now(.error(400, "invalid_request", "Usage cannot be shown by \"\(by)\", only by key, model or day."))
        }
        // Sorting many rows takes a while, and this is a loop.
        let promise = eventLoop.makePromise(of: LocalResponse.self)
        promise.completeWithTask { [activity = sources.activity] in .json(activity.usage(by: grouping)) }
        return .later(promise.futureResult)
    }

    private func explanation(of id: String) -> LocalResponse {
        let decisions = sources.router.decisions(requestID: id)
        let active = sources.router.requests().first { $0.traits.requestID == id }
        guard active != nil || !decisions.isEmpty else {
            return .error(404, "not_found", "Request \"\(id)\" is not among the last 1000.")
        }
        return .json(RequestsDocument.explanation(id: id, active: active, decisions: decisions, names: names))
    }

    private func cancel(_ id: String) -> LocalResponse {
        switch sources.router.cancel(requestID: id) {
        case .cancelled: .json(["cancelled": .string(id)])
        case .notFound: .error(404, "not_found", "No request \"\(id)\" is waiting or running.")
        case .ambiguous(let count):
            .error(
                409, "ambiguous",
                "\(count) requests are called \"\(id)\" (clients choose their X-Request-Id), so none was cancelled.")
        }
    }

    private func steer(server name: String, _ action: String) -> LocalResponse {
        let decoded = Routes.percentDecoded(name[...])
        guard let id = sources.configuration.current.servers.first(where: { $0.name == decoded })?.id else {
            return .error(404, "server_not_found", "There is no server named \"\(decoded)\".")
        }
        switch action {
        case "drain": sources.router.send(.drain(id))
        case "undrain": sources.router.send(.undrain(id))
        default: return .error(404, "not_found", "A server can be told to drain or undrain, not to \"\(action)\".")
        }
        return .json(["server": .string(decoded), "draining": .bool(action == "drain")])
    }

    private func reload() -> LocalAnswer {
        let promise = eventLoop.makePromise(of: LocalResponse.self)
        let board = sources.configuration
        promise.completeWithTask {
            switch await board.reload() {
            case nil: .json(["reloaded": true])
            case let problems?: .error(422, "invalid_configuration", problems)
            }
        }
        return .later(promise.futureResult)
    }

    /// The snapshot as events, at most four a second, and only when something has changed.
    private func events() -> LocalAnswer {
        .events { [self] sink in
            let last = NIOLockedValueBox<[UInt8]>([])
            let task = sink.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(250)) { _ in
                let document = self.snapshot()
                var bare = document.objectValue ?? []
                bare.removeAll { $0.name == "now" }
                let content = JSON.object(bare).bytes
                guard last.withLockedValue({ $0 != content }) else { return }
                if sink.send(Array("data: ".utf8) + document.bytes + Array("\n\n".utf8)) { last.withLockedValue { $0 = content } }
            }
            sink.closed.whenComplete { _ in task.cancel() }
        }
    }
}

extension LocalResponse {
    static func json(_ document: JSON) -> LocalResponse {
        LocalResponse(headers: [("Cache-Control", "no-store")], body: document.bytes)
    }

    static func error(_ status: Int, _ code: String, _ message: String) -> LocalResponse {
        LocalResponse(
            status: status, body: ErrorReply(status: status, code: code, message: message).json(.openAI).bytes)
    }
}
