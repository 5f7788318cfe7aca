import Routing

// What the router decides, and what the servers do.

extension Simulator {
    mutating func carryOut(_ effect: Effect) {
        switch effect {
        case .grant(let ticket, let grant): run(Self.request(ticket), on: Self.server(grant.backend))
        case .refuse(let ticket, _):
            tally.refused(requests[Self.request(ticket)])
            ended(Self.request(ticket), wasAnswered: false)
        case .serverLost(let ticket): queue.add(.losesServer(request: Self.request(ticket)), at: now)
        case .probeNow(let backend): queue.add(.probe(server: Self.server(backend)), at: now)
        case .wakeMe(let moment): queue.add(.wakes, at: Self.seconds(moment))
        // The modelled servers send no statuses but 200, so no answer is kept or dropped.
        case .keepAnswer, .requeued, .serverNews: break
        }
    }

    private mutating func run(_ number: Int, on server: Int) {
        requests[number].server = server
        requests[number].isRunning = true
        guard servers[server].downUntil <= now else { return queue.add(.refusedConnection(request: number), at: now) }
        let request = requests[number].request
        var job = EngineJob(id: number, prompt: request.prompt.tokens, answer: request.answer)
        if setup.speedNoise > 0 {
            // Decided by what is asked, so that each rule meets the same.
            var random = SeededRandom(seed: setup.seed, part: request.answer.content)
            job.prefillSpeed = random.logNormal(mean: 0, deviation: setup.speedNoise)
            job.decodeSpeed = random.logNormal(mean: 0, deviation: setup.speedNoise)
        }
        servers[server].engine.submit(job, at: now)
        expectEngine(server)
    }

    /// Whenever something happened to an engine, its next event may be another one. The one that was expected is then ignored.
    private mutating func expectEngine(_ server: Int) {
        let next = servers[server].engine.nextEventAt
        guard next != servers[server].expectedAt else { return }
        servers[server].expectedAt = next
        if let next { queue.add(.engine(server), at: next) }
    }

    mutating func computes(_ server: Int) {
        guard servers[server].expectedAt == now else { return }
        var news: [EngineNews] = []
        servers[server].engine.advance(at: now, &news)
        expectEngine(server)
        for piece in news {
            switch piece {
            case .began(let number):
                requests[number].firstAt = now
                tell(.answerBegan(Self.ticket(number)))
            case .finished(let number, let timings):
                tally.answered(requests[number], timings, at: now)
                tell(.finished(Self.ticket(number), Outcome(.complete, timings: Timings(timings))))
                ended(number, wasAnswered: true)
            }
        }
    }

    private mutating func ended(_ number: Int, wasAnswered: Bool) {
        guard !requests[number].hasEnded else { return }
        requests[number].hasEnded = true
        requests[number].isRunning = false
        open -= 1
        if let next = workload.ended(requests[number].request, at: now, wasAnswered: wasAnswered) { expect(next) }
    }

    // MARK: Faults

    mutating func probe(_ server: Int) {
        let engine = servers[server].engine
        guard servers[server].downUntil <= now else {
            return tell(.probeFailed(Self.backend(server), reason: "connection refused"))
        }
        let slots = BackendReport.Slots(total: engine.slots.count, busy: engine.busySlots, countedAt: Self.moment(now))
        tell(.probed(Self.backend(server), BackendReport(isBusy: false, slots: slots)))
    }

    mutating func incident(_ incident: SimulationSetup.Incident) {
        let server = incident.server
        guard servers.indices.contains(server) else { return }
        switch incident.kind {
        case .speed(let speed):
            servers[server].engine.setSpeed(max(0.001, speed), at: now)
            expectEngine(server)
        case .restart(let seconds):
            servers[server].downUntil = now + max(0, seconds)
            let lost = servers[server].engine.restart()
            expectEngine(server)
            if seconds > 0 { queue.add(.comesBack(server: server), at: now + seconds) }
            for number in lost { breaks(number, "the server restarted", .beforeAnswer("connection reset")) }
        }
    }

    mutating func losesServer(_ number: Int) {
        guard requests[number].isRunning, !requests[number].hasEnded else { return }
        breaks(number, "the server is lost", .serverLost)
    }

    /// A request's server failed: its client has seen the failure if its answer had begun.
    private mutating func breaks(_ number: Int, _ reason: String, _ failure: AttemptFailure) {
        guard requests[number].firstAt != nil else { return attemptFailed(number, failure) }
        tally.failed(requests[number])
        tell(.finished(Self.ticket(number), Outcome(.broken(reason))))
        ended(number, wasAnswered: false)
    }

    mutating func attemptFailed(_ number: Int, _ failure: AttemptFailure) {
        guard requests[number].isRunning, !requests[number].hasEnded else { return }
        requests[number].isRunning = false
        tell(.attemptFailed(Self.ticket(number), failure))
    }
}

extension Timings {
    init(_ timings: EngineTimings) {
        self.init(
            cachedTokens: timings.cachedTokens, promptTokens: timings.promptTokens,
            promptMilliseconds: timings.promptSeconds * 1000, predictedTokens: timings.predictedTokens,
            predictedMilliseconds: timings.predictedSeconds * 1000)
    }
}
