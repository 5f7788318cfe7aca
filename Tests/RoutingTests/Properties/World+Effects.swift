@testable import Routing

// What the router may do.
extension World {
    mutating func carryOut(_ effects: [Effect], at now: Moment) {
        for effect in effects {
            switch effect {
            case .grant(let ticket, let grant): granted(ticket, grant, now)
            case .refuse(let ticket, let refusal): refused(ticket, refusal, now)
            case .requeued(let ticket):
                let request = requests[ticket]
                expect(
                    ticket == answered && (request?.timesFull ?? 0) + (request?.timesMissing ?? 0) > 0,
                    "\(ticket) is put back, but met no server that was full or could not answer it")
                answered = nil
                release(ticket)
                requests[ticket]?.place = .waiting
                requests[ticket]?.hasFailed = false
                requests[ticket]?.deadline = now + fleet.policy.maxWait
            case .keepAnswer(let ticket): expect(ticket == answered, "keepAnswer for \(ticket), which was not answered")
            case .serverLost(let ticket):
                guard case .running(let id) = requests[ticket]?.place else {
                    expect(false, "serverLost for \(ticket), which does not run")
                    break
                }
                expect(servers[id]?.isDown == true, "serverLost for \(ticket), but \(id) is not down")
                expect(
                    servers[id]?.engineFailures == fleet.policy.failuresUntilDown,
                    "serverLost for \(ticket), but the engine of \(id) listens, or was lost before")
            case .probeNow, .serverNews: break
            case .wakeMe(let moment): wakes.append(moment)
            }
        }
    }

    mutating func granted(_ ticket: Ticket, _ grant: Grant, _ now: Moment) {
        guard var request = requests[ticket] else { return expect(false, "grant for \(ticket), which has its answer") }
        if ticket == answered {
            answered = nil
            request.suspect = suspected ?? request.suspect
            release(ticket)
            request.place = .waiting
        }
        expect(request.place == .waiting, "\(ticket) is granted while it runs")
        request.attempts += 1
        expect(grant.attempt == request.attempts, "attempt \(grant.attempt) of \(ticket) is its \(request.attempts).")
        expect(
            request.attempts - request.timesFull - request.timesMissing <= fleet.policy.maxAttempts
                && request.timesFull <= fleet.policy.maxTimesFull,
            "\(ticket) is tried \(request.attempts) times")
        guard let server = servers[grant.backend] else { return expect(false, "grant on unknown \(grant.backend)") }
        let candidates = candidates(for: request).servers
        let inTurn = inTurn(for: request, at: now)
        expect(inTurn.contains(grant.backend), "\(grant.backend) is not on the route of \(ticket), or not its turn")
        expect(!request.failed.contains(grant.backend), "\(grant.backend) failed \(ticket) before")
        expect(!server.isRemoved, "grant on removed \(grant.backend)")
        if !request.isForced {
            expect(!request.traits.counts || !server.isFull(at: now), "\(ticket) exceeds the limit of \(grant.backend)")
            // A light request does not wait: it takes a server that is draining or failing when there is no other.
            let isFit =
                isUsable(grant.backend, for: request, at: now) && server.circuits[request.traits.model]?.admits(at: now) ?? true
            let hasChoice = candidates.contains { isUsable($0, for: request, at: now) }
            expect(
                isFit || server.isDown || !request.traits.counts && !hasChoice, "\(ticket) is granted the unfit \(grant.backend)")
            let everybodyIsDown = candidates.allSatisfy { id in
                guard let server = servers[id], !server.isDown, let circuit = server.circuits[request.traits.model] else {
                    return servers[id]?.isDown ?? true
                }
                return circuit.trial == nil && !circuit.admits(at: now) && !server.isDraining
            }
            expect(!server.isDown || everybodyIsDown && request.attempts == 1, "\(ticket) is granted the down \(grant.backend)")
        }
        if let name = grant.model { expect(server.models?.contains(name) ?? false, "\(grant.backend) lists no \(name)") }
        if request.attempts == 1 {
            // With prices, a short prompt may overtake a long one.
            let overtaken =
                rule(for: request) == .expectedCost
                ? nil
                : requests.values.first {
                    $0.place == .waiting && $0.attempts == 0 && $0.number < request.number
                        && $0.traits.client == request.traits.client && $0.traits.counts == request.traits.counts
                        && $0.traits.destination == request.traits.destination && $0.traits.follows == request.traits.follows
                }
            expect(overtaken == nil, "\(ticket) overtakes its own client's request \(overtaken?.number ?? 0)")
        }
        request.place = .running(grant.backend)
        request.hasFailed = false
        requests[ticket] = request
        if let circuit = server.circuits[request.traits.model], circuit.until != nil, circuit.admits(at: now) {
            servers[grant.backend]?.circuits[request.traits.model]?.trial = ticket
        }
        expect(grant.isTrial == isTrial(ticket), "\(ticket) is told whether it is a trial")
        if request.traits.counts { servers[grant.backend]?.inFlight += 1 } else { servers[grant.backend]?.passing += 1 }
    }

    mutating func refused(_ ticket: Ticket, _ refusal: Refusal, _ now: Moment) {
        guard let request = requests[ticket] else { return expect(false, "refusal of \(ticket), which has its answer") }
        expect(request.place == .waiting, "\(ticket) is refused while it runs")
        let candidates = candidates(for: request).servers
        switch refusal {
        case .modelNotFound, .noSuchServer: expect(candidates.isEmpty, "\(ticket) is told that there is no server")
        case .keyLimit(let excess):
            expect(request.attempts == 0 && request.traits.key == excess.key, "\(ticket) is refused for \(excess)")
        case .queueFull(let waiting, _):
            expect(waiting >= fleet.policy.maxWaiting && request.attempts == 0, "\(ticket) is refused by a line of \(waiting)")
        case .waitTooLong: expect(request.attempts == 0, "\(ticket) is refused after an attempt")
        case .queueTimeout: expect(request.deadline <= now, "\(ticket) is refused before its time")
        case .noServerAvailable:
            expect(
                request.attempts - request.timesFull - request.timesMissing <= 1,
                "\(ticket) was tried more than once before it was told that nobody is up")
        case .upstreamFailed: expect(request.attempts > 0, "\(ticket) is told of failures that were none")
        }
        expect(refusal.retryAfter.map { (1...600).contains($0) } ?? true, "Retry-After of \(ticket) is \(refusal)")
        requests[ticket] = nil
    }
}

extension Refusal {
    fileprivate var retryAfter: Int? {
        switch self {
        case .queueFull(_, let seconds), .queueTimeout(_, let seconds), .noServerAvailable(_, let seconds),
            .waitTooLong(let seconds, _):
            seconds
        case .keyLimit(let excess): min(600, excess.retryAfterSeconds)
        case .modelNotFound, .noSuchServer, .upstreamFailed: nil
        }
    }
}
