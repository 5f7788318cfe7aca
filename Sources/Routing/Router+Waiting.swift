// Waiting requests: granted when a server has room, refused when their time is up.

extension Router {
    /// Grants free places to waiting requests, in the line's order.
    ///
    /// When the first request of a lane has to keep waiting, all requests behind it have to wait too, so the rest of the lane
    /// is skipped. Granting a request never frees a place, so a lane is finished after its first request that has to wait.
    mutating func serveWaiting(_ now: Moment, _ effects: inout [Effect]) {
        guard line.count > 0 else { return }
        var turns = line.heads
        var pricedLanes: [WaitingLine.Lane] = []
        while let turn = turns.popLast(), let entry = line[turn.ticket] {
            let request = entry.request
            if let list = candidates(for: request.traits) {
                if isPriced(list, request.traits) {
                    pricedLanes.append(entry.lane)
                    continue
                }
                switch placement(of: request, among: list, at: now) {
                case .run(let choice, let explanation):
                    _ = line.serve(turn.ticket)
                    grant(request, choice, explanation, now, &effects)
                case .wait, .hold: continue
                case .nobody(let lastResort, let explanation):
                    _ = line.serve(turn.ticket)
                    resort(to: lastResort, request, explanation, now, &effects)
                }
            } else {
                _ = line.remove(turn.ticket)
                refuse(request, nothingFor(request.traits), nil, now, &effects)
            }
            if let next = line.head(of: entry.lane) {
                turns.insert(next, at: turns.firstIndex { $0 < next } ?? turns.count)
            }
        }
        if !pricedLanes.isEmpty { servePriced(pricedLanes, now, &effects) }
    }

    mutating func clockAdvanced(_ now: Moment, _ effects: inout [Effect]) {
        if let wakeAt, wakeAt <= now { self.wakeAt = nil }
        for entry in line.removeExpired(at: now) {
            let waited = Int(now.milliseconds(since: entry.request.waitingSince ?? now) / 1000)
            let refusal = Refusal.queueTimeout(waitedSeconds: waited, retryAfterSeconds: retryAfterSeconds)
            refuse(entry.request, refusal, nil, now, &effects)
        }
        // The pause of a circuit or of a full server may be over.
        serveWaiting(now, &effects)
        if let next = line.nextDeadline { wake(at: min(next, nextChance(after: now) ?? next), &effects) }
    }

    /// Requests `clockAdvanced`, unless it is already requested for that time or earlier.
    mutating func wake(at deadline: Moment, _ effects: inout [Effect]) {
        if let wakeAt, wakeAt <= deadline { return }
        wakeAt = deadline
        effects.append(.wakeMe(at: deadline))
    }

    /// When the next pause ends, of a circuit or of a server that answered 429.
    func nextChance(after now: Moment) -> Moment? {
        let trial = backends.compactMap { $0.circuits.nextTrial(after: now) }.min()
        let end = backends.lazy.map(\.throttle.until).filter { $0 > now }.min()
        guard let trial, let end else { return trial ?? end }
        return min(trial, end)
    }
}
