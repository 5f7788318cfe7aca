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
            "priority": .string(request.priority.rawValue),
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
            "ago_ms": JSON(Int(now.milliseconds(since: record.at))), "priority": .string(record.priority.rawValue),
            "verdict": verdict,
            "result": record.result.map(result) ?? .null,
            "candidates": .array(
                record.candidates.map { candidate in
                    [
                        "server": .string(candidate.server), "instance": JSON(candidate.instance),
                        "chosen": .bool(candidate.isChosen), "reason": .string(candidate.reason),
                        "in_flight": candidate.inFlight.map { JSON($0) } ?? .null,
                        "limit": candidate.limit.map { JSON($0) } ?? .null,
                        "sessions": candidate.sessions.map { JSON($0) } ?? .null,
                        "cost_ms": candidate.price.map(cost) ?? .null,
                        "prompt_tokens": candidate.price.map { JSON(Int(bounded: $0.promptTokens)) } ?? .null,
                        "cached_tokens": candidate.price.map { JSON(Int(bounded: $0.matchedTokens)) } ?? .null,
                    ]
                }),
        ]
    }

    private static func result(_ result: DecisionRecord.Result) -> JSON {
        func rounded(_ milliseconds: Double?) -> JSON { milliseconds.map { JSON(Int(bounded: $0.rounded())) } ?? .null }
        return [
            "first_token_ms": [
                "predicted": rounded(result.predictedMilliseconds), "actual": rounded(result.actualMilliseconds),
            ],
            "cached_tokens": [
                "predicted": result.predictedCachedTokens.map { JSON($0) } ?? .null,
                "actual": result.cachedTokens.map { JSON($0) } ?? .null,
            ],
        ]
    }

    /// The terms of a price, which add up to its total.
    private static func cost(_ price: Price) -> JSON {
        let terms: [(String, Double)] = [
            ("total", price.total), ("wait", price.wait), ("load", price.load), ("ahead", price.ahead), ("prefill", price.own),
            ("decode", price.decode), ("harm", price.harm), ("returning", price.returning), ("future", price.future),
            ("eviction", price.eviction), ("sharing", price.sharing), ("failures", price.failures), ("hold", price.margin),
        ]
        return .object(terms.map { JSON.Member(name: $0.0, value: JSON(Int(bounded: ($0.1 * 1000).rounded()))) })
    }
}
