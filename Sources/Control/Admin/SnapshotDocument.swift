import Proxy
import Routing
import Wire

/// `/llmhealth-snapshot`: the original's keys, plus the keys that this balancer adds.
struct SnapshotDocument {
    var fleet: FleetSnapshot
    var requests: [FleetSnapshot.Request]
    var load: JSON
    var configuration: ConfigurationBoard.Contents
    var kinds: (BackendID) -> EngineKind?
    var names: ClientNames
    var now: Moment
    var wallMilliseconds: Int

    var json: JSON {
        [
            "local": load,
            "backends": .array(fleet.servers.map(backend)),
            "servers": .object(configuration.servers.map { .init(name: $0.name, value: server($0)) }),
            "models": .object(
                configuration.patterns.map { pattern in
                    .init(name: pattern.pattern, value: .array(pattern.servers.map { .string($0) }))
                }),
            "sticky_count": JSON(fleet.sessionCount),
            "sticky": .array(fleet.sessions.map(session)),
            "waiting": waiting,
            "running": JSON(fleet.runningCount),
            "config": [
                "file": JSON(configuration.file),
                "loaded_at": .string(UTCTimestamp.text(milliseconds: configuration.loadedAt)),
                "error": JSON(configuration.problems),
                "certificates": .array(configuration.certificates.map(certificate)),
            ],
            "now": .string(UTCTimestamp.text(milliseconds: wallMilliseconds)),
        ]
    }

    private func certificate(_ certificate: ConfigurationBoard.Certificate) -> JSON {
        [
            "listener": .string(certificate.listener),
            "file": .string(certificate.path),
            "valid_until": .string(UTCTimestamp.text(milliseconds: certificate.validUntilMilliseconds)),
            "days_left": JSON(certificate.daysLeft(at: wallMilliseconds).rounded(.down)),
        ]
    }

    private func configured(_ id: BackendID) -> ConfigurationBoard.Server? {
        configuration.servers.first { $0.id == id }
    }

    private func time(_ moment: Moment) -> JSON {
        .string(UTCTimestamp.text(milliseconds: wallMilliseconds - Int(now.milliseconds(since: moment))))
    }

    private func server(_ server: ConfigurationBoard.Server) -> JSON {
        var members: [JSON.Member] = [
            .init(name: "health_base", value: .string(server.healthURL)),
            .init(name: "model_base", value: .string(server.modelURL)),
        ]
        if let requestMax = server.requestMax { members.append(.init(name: "request_max", value: JSON(requestMax))) }
        return .object(members)
    }

    private func backend(_ server: FleetSnapshot.Server) -> JSON {
        var (state, reason): (String, String?) =
            switch server.phase {
            case .unknown: ("unknown", nil)
            case .up: ("up", nil)
            case .suspect(let reason): ("suspect", reason)
            case .down(let reason): ("down", reason)
            }
        if state != "down", let failing = server.failing.first {
            let model = failing.model.isEmpty ? "" : " for \(failing.model)"
            (state, reason) = (
                "suspect", "failed several requests in a row\(model), the last one: \(failing.circuit.lastFailure)"
            )
        }
        if state != "down", reason == nil { reason = server.lastReport?.warning }
        let status = state == "down" ? "invalid" : server.isBusy ? "busy" : "idle"
        let configured = configured(server.id)
        let healthURL = configured?.healthURL ?? ""
        let report = state == "down" ? nil : server.lastReport
        let last: JSON =
            server.lastProbeAt.map { probedAt in
                [
                    "status": report.map { $0.isBusy ? "busy" : "idle" } ?? "invalid",
                    "gpu_util_max5s": report?.gpuUtilisation.map { JSON($0) } ?? .null,
                    "updated_at": time(probedAt), "url": .string(configured?.probedURL ?? ""),
                ]
            } ?? .null
        return [
            "base": .string(healthURL), "status": .string(status), "last": last,
            "total_inflight": JSON(server.inFlight),
            "model_inflight": .object(
                server.inFlightByInstance.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: JSON($0.value)) }),
            "request_max": server.requestMax.map { JSON($0) } ?? .null,
            "name": .string(server.name), "kind": .string(kinds(server.id)?.rawValue ?? "unknown"), "state": .string(state),
            "reason": JSON(reason),
            "slots": slots(server),
            "limit": server.limit.map { JSON($0) } ?? .null,
            "prefill_tokens_per_second": server.prefillTokensPerSecond.map { JSON(($0 * 10).rounded() / 10) } ?? .null,
            "decode_tokens_per_second": server.decodeTokensPerSecond.map { JSON(($0 * 10).rounded() / 10) } ?? .null,
            "draining": .bool(server.isDraining || server.isRemoved), "removed": .bool(server.isRemoved),
            "models": .array((server.models ?? []).map { .string($0) }),
        ]
    }

    /// Null when the engine tells of none, or only its processes have a number of them.
    private func slots(_ server: FleetSnapshot.Server) -> JSON {
        guard let slots = server.lastReport?.slots, slots.total > 0 else { return .null }
        return ["total": JSON(slots.total), "busy": JSON(slots.busy)]
    }

    private func session(_ session: FleetSnapshot.Session) -> JSON {
        [
            "key": .string("\(names.shown(session.client))|\(session.instance)"), "ip": .string(names.shown(session.address)),
            "model": .string(session.instance), "backend": .string(configured(session.backend)?.modelURL ?? ""),
            "updated_at": time(session.updatedAt),
        ]
    }

    private var waiting: JSON {
        let entries = requests.filter { $0.ahead != nil }
        return [
            "count": JSON(fleet.waitingCount),
            "requests": .array(
                entries.prefix(100).map { request in
                    [
                        "id": .string(request.traits.requestID), "client": .string(names.shown(request.traits.client)),
                        "model": JSON(request.traits.model),
                        "waited_ms": JSON(Int(now.milliseconds(since: request.arrivedAt))),
                        "ahead": JSON(request.ahead ?? 0),
                    ]
                }),
        ]
    }
}
