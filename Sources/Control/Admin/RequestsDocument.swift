import Proxy
import Routing
import Wire

/// `/admin/requests` and `/admin/requests/ID`.
enum RequestsDocument {
    static func list(_ requests: [FleetSnapshot.Request], names: ClientNames) -> JSON {
        let now = Clock.now
        return [
            "waiting": .array(requests.filter { $0.ahead != nil }.map { entry($0, now, names) }),
            "running": .array(requests.filter { $0.ahead == nil }.map { entry($0, now, names) }),
        ]
    }

    static func explanation(
        id: String, active: FleetSnapshot.Request?, decisions: [DecisionRecord], names: ClientNames
    ) -> JSON {
        let now = Clock.now
        return [
            "id": .string(id), "state": active == nil ? "ended" : active?.ahead == nil ? "running" : "waiting",
            "request": active.map { entry($0, now, names) } ?? .null,
            "decisions": .array(decisions.map { decision($0, now) }),
        ]
    }

    private static func entry(_ request: FleetSnapshot.Request, _ now: Moment, _ names: ClientNames) -> JSON {
        [
            "id": .string(request.traits.requestID), "client": .string(names.shown(request.traits.client)),
            "address": .string(names.shown(request.traits.address)), "user": JSON(names.shown(request.traits.username)),
            "path": .string(request.traits.path), "model": JSON(request.traits.model),
            "server": JSON(request.server), "instance": JSON(request.instance), "attempts": JSON(request.attempts),
            "age_ms": JSON(Int(now.milliseconds(since: request.arrivedAt))),
            "running_ms": request.grantedAt.map { JSON(Int(now.milliseconds(since: $0))) } ?? .null,
            "ahead": request.ahead.map { JSON($0) } ?? .null,
        ]
    }

    private static func decision(_ record: DecisionRecord, _ now: Moment) -> JSON {
        let verdict: JSON =
            switch record.verdict {
            case .granted(let attempt): ["granted": true, "attempt": JSON(attempt)]
            case .waits: ["granted": false, "waits": true]
            case .refused(let refusal): ["granted": false, "refusal": .string(ErrorReply(refusal).message)]
            }
        return [
            "ago_ms": JSON(Int(now.milliseconds(since: record.at))), "verdict": verdict,
            "candidates": .array(
                record.candidates.map { candidate in
                    [
                        "server": .string(candidate.server), "instance": JSON(candidate.instance),
                        "chosen": .bool(candidate.isChosen), "reason": .string(candidate.reason),
                        "in_flight": candidate.inFlight.map { JSON($0) } ?? .null,
                        "limit": candidate.limit.map { JSON($0) } ?? .null,
                        "sessions": candidate.sessions.map { JSON($0) } ?? .null,
                    ]
                }),
        ]
    }
}
