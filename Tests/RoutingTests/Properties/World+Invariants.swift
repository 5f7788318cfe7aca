@testable import Routing

// What is true after every event.
extension World {
    /// Compares the router's state with this one's. To be called after every event.
    mutating func check(_ router: borrowing Router, at now: Moment) {
        let (waiting, running, known) = (waiting, running, Set(servers.keys))
        expect(router.line.count == waiting.count, "\(router.line.count) wait, not \(waiting.count)")
        expect(Set(router.running.keys) == Set(running), "\(router.running.count) run, not \(running.count)")
        expect(Set(router.backends.map(\.id)) == known, "servers \(router.backends.map(\.id))")
        for backend in router.backends {
            guard let server = servers[backend.id] else { continue }
            expect(backend.inFlight == server.inFlight, "\(backend.id): \(backend.inFlight) in flight, not \(server.inFlight)")
            expect(backend.passing == server.passing, "\(backend.id): \(backend.passing) passing, not \(server.passing)")
            let named = backend.inFlightByInstance.values
            expect(named.allSatisfy { $0 > 0 } && named.reduce(0, +) <= backend.inFlight, "\(backend.id): \(named)")
            expect(backend.limit == server.limit, "\(backend.id): limit \(backend.limit ?? 0), not \(server.limit ?? 0)")
            expect(backend.throttle.until == server.pausedUntil, "\(backend.id): full until \(backend.throttle.until)")
            expect(backend.health.isDown == server.isDown, "\(backend.id) down: \(backend.health.phase)")
        }
        let withKey = requests.values.filter { $0.traits.key != nil && $0.traits.counts }
        expect(router.keys.unsettled == withKey.count, "\(router.keys.unsettled) have reserved, not \(withKey.count)")
        for key in ["free", "limited"] {
            let alive = withKey.count { $0.traits.key == key }
            expect(router.keys.inFlight(key) == alive, "\(key): \(router.keys.inFlight(key)) in flight, not \(alive)")
        }
        for ticket in waiting { checkWaiting(ticket, now) }
        let deadlines = router.line.inOrder.map(\.deadline)
        if let next = deadlines.min() {
            expect(wakes.contains { $0 <= next }, "nobody is woken for the deadline \(next)")
        }
    }

    /// Nobody waits while a place is free, unless for a busy server that is cheaper, nor when there is nothing left to wait for.
    mutating func checkWaiting(_ ticket: Ticket, _ now: Moment) {
        guard let request = requests[ticket] else { return }
        var hasHope = false
        let mayHold = mayHold(request, at: now)
        let inTurn = inTurn(for: request, at: now)
        expect(request.traits.counts || !inTurn.contains { servers[$0]?.isDraining == true }, "the light \(ticket) waits")
        for id in inTurn where !request.failed.contains(id) {
            guard let server = servers[id] else { continue }
            let circuit = server.circuits[request.traits.model] ?? Circuit()
            let hasRoom = (!server.isFull(at: now) || !request.traits.counts) && circuit.admits(at: now)
            expect(
                !hasRoom || server.isDown || server.isDraining || server.isRemoved || mayHold,
                "\(ticket) waits although \(id) has a free place")
            hasHope =
                hasHope || server.isDraining || server.inFlight > 0 || circuit.trial != nil || server.pausedUntil > now
                || server.mayRest(at: now)
        }
        expect(hasHope, "\(ticket) waits for nothing")
    }
}
