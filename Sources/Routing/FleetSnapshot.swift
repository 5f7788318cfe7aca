/// A read-only copy of the router's state, for pages and metrics.
package struct FleetSnapshot: Sendable {
    package struct Server: Sendable {
        package var id: BackendID
        package var name: String
        package var phase: HealthState.Phase
        /// Models for which the server has failed several requests in a row.
        package var failing: [(model: String, circuit: Circuit)]
        package var isBusy: Bool
        package var lastReport: BackendReport?
        package var lastProbeAt: Moment?
        package var inFlight: Int
        package var inFlightByInstance: [String: Int]
        package var passing: Int
        package var requestMax: Int?
        package var limit: Int?
        package var models: [String]?
        package var isDraining: Bool
        package var isRemoved: Bool
        /// Of the model that answered last: alone on the server, as far as it has been seen. Nil while unknown.
        package var prefillTokensPerSecond: Double?
        package var decodeTokensPerSecond: Double?
    }

    package struct Request: Sendable {
        package var ticket: Ticket
        package var traits: RequestTraits
        package var arrivedAt: Moment
        /// Nil while the request waits.
        package var server: String?
        package var instance: String?
        package var grantedAt: Moment?
        package var attempts: Int
        package var priority: PriorityClass
        /// The number of requests in front of this request in the line; nil when it runs.
        package var ahead: Int?
    }

    package struct Session: Sendable {
        package var client: String
        package var model: String
        /// The user's name if it is known, else the client's address.
        package var address: String
        package var backend: BackendID
        package var instance: String
        package var updatedAt: Moment
    }

    package var servers: [Server]
    package var waitingCount: Int
    package var runningCount: Int
    package var sessionCount: Int
    package var sessions: [Session]
    package var totals: RoutingTotals
    package var predictions: PredictionErrors
}

extension Router {
    /// - Parameter sessionLimit: at most this many sessions, the newest first.
    package mutating func snapshot(at now: Moment, sessionLimit: Int = 1000) -> FleetSnapshot {
        sessions.expire(ttl: fleet.policy.stickyTTL, at: now)
        return FleetSnapshot(
            servers: backends.map { backend in
                .init(
                    id: backend.id, name: backend.server.name, phase: backend.health.phase, failing: backend.circuits.notClosed,
                    isBusy: backend.health.isBusy(window: fleet.policy.busyWindow),
                    lastReport: backend.health.lastReport, lastProbeAt: backend.health.lastProbeAt,
                    inFlight: backend.inFlight, inFlightByInstance: backend.inFlightByInstance,
                    passing: backend.passing, requestMax: backend.server.requestMax, limit: backend.limit,
                    models: backend.models?.names, isDraining: backend.isDraining, isRemoved: backend.isRemoved,
                    prefillTokensPerSecond: backend.shownFigures?.shownPrefillSpeed,
                    decodeTokensPerSecond: backend.shownFigures?.shownDecodeSpeed)
            },
            waitingCount: line.count, runningCount: running.count, sessionCount: sessions.count,
            sessions: sessions.newestFirst(limit: sessionLimit).map {
                .init(
                    client: $0.key.client, model: $0.key.model, address: $0.address, backend: $0.place.backend,
                    instance: $0.place.instance, updatedAt: $0.updatedAt)
            },
            totals: totals, predictions: predictions)
    }

    /// All requests: the waiting ones in serving order, then the running ones.
    package func requests() -> [FleetSnapshot.Request] {
        let waiting = line.inOrder.enumerated().map { index, entry in
            FleetSnapshot.Request(
                ticket: entry.request.ticket, traits: entry.request.traits, arrivedAt: entry.request.arrivedAt,
                attempts: entry.request.history.attempts, priority: entry.request.priority, ahead: index)
        }
        let active = running.map { ticket, running in
            FleetSnapshot.Request(
                ticket: ticket, traits: running.traits, arrivedAt: running.request.arrivedAt,
                server: indexOfBackend[running.backend].map { backends[$0].server.name }, instance: running.instance,
                grantedAt: running.grantedAt, attempts: running.request.history.attempts,
                priority: running.request.priority)
        }
        return waiting + active.sorted { ($0.arrivedAt, $0.ticket.rawValue) < ($1.arrivedAt, $1.ticket.rawValue) }
    }

    /// The number of requests in front of that request in the line; nil when it does not wait.
    package func ahead(of ticket: Ticket) -> Int? { line.ahead(of: ticket) }

    /// Requests in flight on a server, including those that do not count towards its limit.
    package func inFlight(of id: BackendID) -> Int {
        indexOfBackend[id].map { backends[$0].inFlight + backends[$0].passing } ?? 0
    }

    /// True while a server can take work.
    package var canTakeWork: Bool {
        backends.contains { !$0.isRemoved && !$0.isDraining && !$0.health.isDown }
    }
}
