/// What it costs to run a request on a server, in seconds. Smaller is better.
struct Price: Sendable, Equatable {
    /// Until the server has a free slot.
    var wait = 0.0
    /// Other prompts that are computed first.
    var ahead = 0.0
    /// The part of the prompt that is not cached.
    var own = 0.0
    /// The answer, at the speed of the then running batch.
    var decode = 0.0
    /// The delay of the requests that run there.
    var harm = 0.0
    /// The delay of the conversations that come back meanwhile.
    var returning = 0.0
    /// What the later turns of this conversation will cost there.
    var future = 0.0
    /// Computing again what falls out of the cache.
    var eviction = 0.0
    /// Loading the model.
    var load = 0.0
    /// Recent failures.
    var failures = 0.0
    /// Waiting is a promise, and a free server is a fact.
    var margin = 0.0

    // What it was made of.
    var promptTokens = 0.0
    var matchedTokens = 0.0

    var total: Double { wait + ahead + own + decode + harm + returning + future + eviction + load + failures + margin }
    /// The expected seconds to the first token.
    var firstToken: Double { wait + load + ahead + own }
}

/// What prices of one request have in common.
struct PriceBasis {
    /// The request's outlook.
    let outlook: Outlook
    let prompt: PromptChain?
    let now: Double
    /// The best known speed of the candidates; nil when none is known.
    let fastest: Double?
    /// Time for each token times prefill speed, on average of the candidates where both are known.
    let decodeRatio: Double?
    let bytesPerToken: Double
}

/// What is expected of a request, from its arrival on.
struct Outlook: Sendable {
    /// The conversation that it goes on with.
    var previous: SequenceID?
    /// Tokens of its answer.
    var answerTokens = 150.0
    /// Later turns of its conversation.
    var laterTurns = 1.0
}

extension Router {
    func basis(of request: PendingRequest, among list: CandidateList, at now: Moment) -> PriceBasis {
        var fastest: Double?
        var (ratios, known) = (0.0, 0.0)
        var bytesPerToken: Double?
        for candidate in list.candidates {
            let figures = backends[candidate.index].served[candidate.served[0]].figures
            bytesPerToken = bytesPerToken ?? figures.bytesPerToken
            guard let speed = figures.prefillSpeed else { continue }
            fastest = max(fastest ?? 0, speed)
            guard let tokenTime = figures.tokenTime else { continue }
            ratios += tokenTime * speed
            known += 1
        }
        return PriceBasis(
            outlook: request.outlook, prompt: request.traits.prompt, now: now.seconds, fastest: fastest,
            decodeRatio: known > 0 ? ratios / known : nil, bytesPerToken: bytesPerToken ?? PriceWeights.bytesPerToken)
    }

    /// Prompt tokens per second. An unknown machine counts as fast as the fastest known one, so that it is tried.
    func prefillSpeed(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Double {
        let figures = backends[index].served[served].figures
        if let known = figures.prefillSpeed { return known }
        return max(figures.leastPrefillSpeed, basis.fastest ?? 0) > 0
            ? max(figures.leastPrefillSpeed, basis.fastest ?? 0) : PriceWeights.prefillSpeed
    }

    /// Seconds for each token of a single stream. Unknown: in proportion to the prefill speed, as on the others.
    func tokenTime(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Double {
        let figures = backends[index].served[served].figures
        if let known = figures.tokenTime { return known }
        return min(
            figures.mostTokenTime,
            basis.decodeRatio.map { $0 / prefillSpeed(index, served, basis) } ?? PriceWeights.tokenTime)
    }

    /// The prompt's tokens.
    func promptTokens(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Double {
        let bytesPerToken = backends[index].served[served].figures.bytesPerToken ?? basis.bytesPerToken
        return max(1, Double(basis.prompt?.length ?? 0) / bytesPerToken)
    }

    /// The price of a request on a server.
    ///
    /// - Parameter wait: seconds until a slot is free; nil when one is free now.
    func price(_ index: Int, _ servedIndex: Int, _ basis: PriceBasis, wait: Double?) -> (Price, CacheBelief.Match) {
        let served = backends[index].served[servedIndex]
        let now = basis.now
        let tokens = promptTokens(index, servedIndex, basis)
        let match = basis.prompt.map { served.cache.match($0, length: tokens, in: sequences) } ?? CacheBelief.Match()
        let share = isOccupiedByOthers(index) ? PriceWeights.busyShare : 1
        let speed = prefillSpeed(index, servedIndex, basis) * share
        let tokenTime = tokenTime(index, servedIndex, basis) / share
        let answer = basis.outlook.answerTokens
        let inFlight = Double(backends[index].jobs.count)
        let slots = Double(backends[index].limit ?? PriceWeights.assumedSlots)
        func slowed(_ streams: Double) -> Double {
            tokenTime * (1 + EngineFigures.slowdownPerStream * max(0, streams - 1))
        }

        var price = Price()
        price.promptTokens = tokens
        price.matchedTokens = match.tokens
        price.own = max(1, tokens - match.tokens) / speed
        var others: Double
        var streams = inFlight
        if let wait {
            price.wait = wait
            price.margin = stickyTTL * PriceWeights.holdMargin
            streams = max(0, slots - 1)
            others = PriceWeights.decode * streams
        } else {
            others = 0
            for job in backends[index].jobs {
                if job.isPrefilling(at: now) {
                    // A batch is filled in the order of the slots.
                    let isBefore = match.seat.flatMap { mine in job.seat.map { $0 < mine } }
                    if isBefore ?? true { price.ahead += job.prefillLeft(at: now) }
                    others += isBefore.map { $0 ? 0 : 1 } ?? 0.5
                } else {
                    others += PriceWeights.decode
                }
            }
        }
        price.decode = PriceWeights.decode * answer * slowed(min(slots, inFlight + 1))
        price.harm =
            price.own * others + PriceWeights.decode * EngineFigures.slowdownPerStream * tokenTime * answer * streams
        let live = living(index, servedIndex, basis)
        let pause = habits.pause.value
        price.returning = PriceWeights.returning * price.own * live.idle * price.own / (price.own + 2 * pause)
        let turn = habits.turn.value / speed
        let service = turn + habits.answerTokens * tokenTime
        let load = min(
            PriceWeights.mostUtilisation,
            max(served.occupancy.value(at: now), live.all * service / (service + pause) / slots))
        let queue =
            service * Exponential.power(load, (2 * (slots + 1)).squareRoot() - 1) / (slots * (1 - load))
        price.future =
            PriceWeights.future * basis.outlook.laterTurns
            * (queue + turn + PriceWeights.decode * habits.answerTokens * tokenTime)
        if let oldest = served.cache.nextToDrop(for: tokens - match.tokens, in: sequences) {
            let (tokens, life) = sequences.read(oldest) { ($0.tokens, served.cache.life(of: $0, at: now)) } ?? (0, 0)
            price.eviction = PriceWeights.eviction * life * tokens / speed
        }
        return (price, match)
    }

    /// Somebody else computes on the machine. Shortly after a request of this balancer, its own work may be what keeps it busy.
    private func isOccupiedByOthers(_ index: Int) -> Bool {
        guard backends[index].jobs.isEmpty, backends[index].health.phase != .unknown else { return false }
        return backends[index].health.isBusy(window: fleet.policy.busyWindow)
    }

    /// Conversations that are likely to go on there, without the request's own: all of them, and those that are silent now.
    private func living(_ index: Int, _ served: Int, _ basis: PriceBasis) -> (all: Double, idle: Double) {
        let cache = backends[index].served[served].cache
        let previous = basis.outlook.previous
        var all = cache.live.value(at: basis.now)
        if let previous {
            let id = backends[index].id
            all -=
                sequences.read(previous) { sequence in
                    sequence.backend == id && sequence.served == served ? cache.life(of: sequence, at: basis.now) : 0
                } ?? 0
        }
        var idle = all
        for job in backends[index].jobs where job.served == served {
            guard let sequence = job.sequence, sequence != previous else { continue }
            idle -= sequences.read(sequence) { cache.life(of: $0, at: basis.now) } ?? 0
        }
        return (max(0, all), max(0, idle))
    }

    /// The time for which conversations are expected to go on, in seconds: `sticky.ttl`.
    var stickyTTL: Double { fleet.policy.conversationTime }
}
