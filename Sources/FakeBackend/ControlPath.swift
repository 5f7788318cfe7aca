import NIOCore
import Wire

/// The paths by which tests in other languages control and query the engine. Faults and keys do not apply to these paths.
let controlPathPrefix = "/fake/"

extension Engine {
    /// `GET /fake/behaviour`, `POST /fake/behaviour`, `GET /fake/observations`, `DELETE /fake/observations`.
    ///
    /// The JSON of `POST` has the keys to change. With `"for_ms": N` the previous behaviour returns after this time. This ends
    /// a fault that accepts no connection, like `refuse` or `accept-never`.
    func control(_ request: ReceivedRequest) -> Answer {
        switch (request.method, request.path) {
        case ("GET", "/fake/behaviour"): return .json(behaviour.json)
        case ("POST", "/fake/behaviour"): return changeBehaviour(request.body)
        case ("GET", "/fake/observations"): return .json(log.snapshot.json)
        case ("DELETE", "/fake/observations"):
            log.clear()
            return .json(["cleared": true])
        default: return .error(404, "not_found_error", "no such control path: \(request.path)", kind: behaviour.kind)
        }
    }

    private func changeBehaviour(_ body: [UInt8]) -> Answer {
        var changed = behaviour
        var duration: Int?
        do {
            var json = try JSON(parsing: body)
            if let members = json.objectValue {
                duration = json["for_ms"]?.intValue
                json = .object(members.filter { $0.name != "for_ms" })
            }
            try changed.apply(json)
        } catch {
            return .error(400, "invalid_request_error", "\(error)", kind: behaviour.kind)
        }
        let former = behaviour
        change(changed)
        if let duration {
            loop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(duration))) { self.change(former) }
        }
        return .json(behaviour.json)
    }
}
