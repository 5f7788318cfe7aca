/// What it costs to run a request on a server, in seconds. Smaller is better.
package struct Price: Sendable, Equatable {
    /// Until the server has a free slot.
    package var wait = 0.0
    /// Other prompts that are computed first.
    package var ahead = 0.0
    /// The part of the prompt that is not cached.
    package var own = 0.0
    /// The answer, at the speed of the then running batch.
    package var decode = 0.0
    /// The delay of the requests that run there.
    package var harm = 0.0
    /// The delay of the conversations that come back meanwhile.
    package var returning = 0.0
    /// What the later turns of this conversation will cost there.
    package var future = 0.0
    /// Computing again what falls out of the cache, and loading again the model that leaves the memory.
    package var eviction = 0.0
    /// What other requests gain that begin like this one, once that beginning is in the server's cache: 0 or less.
    package var sharing = 0.0
    /// Loading the model.
    package var load = 0.0
    /// Recent failures.
    package var failures = 0.0
    /// Waiting is a promise, and a free server is a fact.
    package var margin = 0.0

    // What it was made of.
    package var promptTokens = 0.0
    package var matchedTokens = 0.0

    package var total: Double {
        wait + ahead + own + decode + harm + returning + future + eviction + sharing + load + failures + margin
    }
    /// The expected seconds to the first token.
    package var firstToken: Double { wait + load + ahead + own }
}

/// What prices of one request have in common.
struct PriceBasis {
    /// The request's outlook.
    let outlook: Outlook
    /// The length of its prompt; nil when that is not known.
    let promptBytes: Double?
    let moment: Moment
    /// The moment in seconds.
    let now: Double
    /// The best speed and the least time for each token that any candidate has shown; 0 and infinity when none has.
    let fastest: Double
    let leastTokenTime: Double
    /// Time for each token times prefill speed, on average of the candidates where both are known.
    let decodeRatio: Double?
    let bytesPerToken: Double
    /// What the prompt of a new conversation has in common with others, in tokens.
    let sharedTokens: Double
    /// Seconds to load a model where that is not known (`usualLoadSeconds`); used if a candidate says what is in its memory.
    let usualLoad: Double
}

/// What a request has to compute on a server.
struct Work: Sendable {
    /// Tokens of its prompt, those with which it is found there, and how many of the others are computed in a second.
    var promptTokens: Double
    var match: CacheBelief.Match
    var speed: Double

    var newTokens: Double { max(1, promptTokens - match.tokens) }
}

/// What is expected of a request, from its arrival on.
struct Outlook: Sendable {
    /// The conversation that it goes on with.
    var previous: SequenceID?
    /// The model that runs, by one name for all servers; nil when it is not known.
    var model: String?
    /// Tokens of its answer.
    var answerTokens = 150.0
    /// Later turns of its conversation.
    var laterTurns = 1.0
}

extension Router {
    func basis(of request: PendingRequest, among list: CandidateList, at now: Moment) -> PriceBasis {
        var (fastest, leastTokenTime) = (0.0, Double.infinity)
        var (ratios, known) = (0.0, 0.0)
        var bytesPerToken: Double?
        var tellsMemory = false
        // By index: a copy of a candidate counts references.
        for position in list.candidates.indices {
            let (index, served) = (list.candidates[position].index, list.candidates[position].served[0])
            let figures = backends[index].served[served].figures
            tellsMemory = tellsMemory || backends[index].memory.isTold
            bytesPerToken = bytesPerToken ?? figures.bytesPerToken
            fastest = max(fastest, figures.prefillSpeed ?? figures.leastPrefillSpeed)
            leastTokenTime = min(leastTokenTime, figures.tokenTime ?? figures.mostTokenTime)
            guard let speed = figures.prefillSpeed else { continue }
            guard let tokenTime = figures.tokenTime else { continue }
            ratios += tokenTime * speed
            known += 1
        }
        let commonBytesPerToken = bytesPerToken ?? PriceWeights.bytesPerToken
        let shared =
            request.outlook.previous == nil
            ? request.traits.prompt.map { sequences.mostShared(with: $0, of: request.ticket) } : nil
        return PriceBasis(
            outlook: request.outlook, promptBytes: request.traits.prompt.map { Double($0.length) }, moment: now, now: now.seconds,
            fastest: fastest,
            leastTokenTime: leastTokenTime,
            decodeRatio: known > 0 ? ratios / known : nil, bytesPerToken: commonBytesPerToken,
            sharedTokens: Double(shared ?? 0) / commonBytesPerToken,
            usualLoad: tellsMemory ? usualLoadSeconds(among: list) : LoadTime.assumedSeconds)
    }

    /// Prompt tokens per second. An unknown machine counts as fast as the fastest known one, so that it is tried.
    func prefillSpeed(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Double {
        let figures = backends[index].served[served].figures
        if let known = figures.prefillSpeed {
            guard figures.isPrefillProvisional || isStale(index, served, basis) else { return known }
            return max(known, basis.fastest / EngineFigures.mostSlowness)
        }
        return basis.fastest > 0 ? basis.fastest : PriceWeights.prefillSpeed
    }

    /// Seconds for each token of a single stream. Unknown: in proportion to the prefill speed, as on the others, or as on the best of
    /// those of which only a bound is known.
    func tokenTime(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Double {
        let figures = backends[index].served[served].figures
        if let known = figures.tokenTime {
            guard figures.isTokenTimeProvisional || isStale(index, served, basis) else { return known }
            return min(known, basis.leastTokenTime * EngineFigures.mostSlowness)
        }
        let usual = min(basis.leastTokenTime, PriceWeights.tokenTime)
        return min(figures.mostTokenTime, basis.decodeRatio.map { $0 / prefillSpeed(index, served, basis) } ?? usual)
    }

    /// The server has not answered for so long that it may have become faster. A server that is believed to be slow gets no requests, and
    /// so cannot show it: after an odd first sample, or after an hour, it counts as three times as slow as the fastest one at most.
    private func isStale(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Bool {
        let answeredAt = backends[index].served[served].answeredAt
        return answeredAt > -.infinity && basis.now - answeredAt > fleet.policy.conversationTime * PriceWeights.staleAfter
    }

    /// The prompt's tokens.
    func promptTokens(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Double {
        let bytesPerToken = backends[index].served[served].figures.bytesPerToken ?? basis.bytesPerToken
        return max(1, (basis.promptBytes ?? 0) / bytesPerToken)
    }

    /// What a request has to compute on a server. It must be the one that was looked at last.
    func work(_ index: Int, _ served: Int, _ basis: PriceBasis) -> Work {
        let tokens = promptTokens(index, served, basis)
        let match = backends[index].served[served].cache.match(
            length: basis.promptBytes == nil ? nil : tokens, in: sequences)
        return Work(promptTokens: tokens, match: match, speed: prefillSpeed(index, served, basis))
    }

    /// A candidate has to compute for at least so many seconds.
    @inline(__always)
    func leastPrefill(_ position: Int, _ list: CandidateList, _ basis: PriceBasis) -> Double {
        let index = list.candidates[position].index
        var least = Double.infinity
        for number in list.candidates[position].served.indices {
            let served = list.candidates[position].served[number]
            let tokens = promptTokens(index, served, basis)
            let found =
                basis.promptBytes == nil ? 0 : backends[index].served[served].cache.mostTokens(length: tokens, in: sequences)
            least = min(least, max(1, tokens - found) / prefillSpeed(index, served, basis))
        }
        return least
    }

    /// The price of a request on a server. The terms that need more work are left out when the others are above `limit` already.
    ///
    /// - Parameter wait: seconds until a slot is free; nil when one is free now.
    func price(_ index: Int, _ served: Int, _ basis: PriceBasis, wait: Double?, limit: Double) -> (Price, Work) {
        let work = work(index, served, basis)
        let share = isOccupiedByOthers(index) ? PriceWeights.busyShare : 1
        let speed = work.speed * share
        let tokenTime = tokenTime(index, served, basis) / share
        let inFlight = Double(backends[index].jobs.count)
        let slots = Double(backends[index].limit(of: served) ?? PriceWeights.assumedSlots)
        let answer = basis.outlook.answerTokens

        var price = Price()
        price.promptTokens = work.promptTokens
        price.matchedTokens = work.match.tokens
        price.own = work.newTokens / speed
        if wait == nil { price.sharing = -gain(of: basis, index, served, work, speed: speed) }
        // Seconds by which each second of this prompt delays the others, and how many answers this one slows down.
        var (others, streams) = (0.0, inFlight)
        if let wait {
            price.wait = wait
            price.margin = fleet.policy.conversationTime * PriceWeights.holdMargin
            streams = max(0, slots - 1)
            others = PriceWeights.decode * streams
        } else {
            for job in backends[index].jobs {
                // Somebody with much work hardly notices.
                let weight = job.yields ? PriceWeights.yielding : 1
                guard job.isPrefilling(at: basis.now) else {
                    others += PriceWeights.decode * weight
                    continue
                }
                // A batch is filled in the order of the slots. Another instance has batches of its own, beside these.
                let isBefore = job.served == served ? work.match.seat.flatMap { mine in job.seat.map { $0 < mine } } : nil
                if isBefore ?? true { price.ahead += job.prefillLeft(at: basis.now) }
                others += weight * (isBefore.map { $0 ? 0 : 1 } ?? 0.5)
            }
        }
        let slowdown = EngineFigures.slowdownPerStream
        let foreign = Double(backends[index].foreignSlots(at: basis.now, conversationTime: fleet.policy.conversationTime))
        let batch = min(slots, inFlight + foreign + 1) - 1
        price.decode = PriceWeights.decode * answer * tokenTime * (1 + slowdown * batch)
        // The engine lets it wait until so many of the requests there have ended, others' or ours.
        let ends = inFlight + foreign + 1 - Double(backends[index].health.slots)
        if wait == nil, foreign > 0, ends > 0 {
            price.wait = habits.answerTokens * tokenTime * (1 + slowdown * batch) * ends / (inFlight + foreign)
        }
        price.harm = price.own * others + PriceWeights.decode * slowdown * tokenTime * answer * streams
        guard price.total <= limit else { return (price, work) }
        addConsequences(to: &price, index, served, work.match, basis, speed: speed, tokenTime: tokenTime, slots: slots)
        return (price, work)
    }

    /// What the placement means for other conversations, and for this one later.
    private func addConsequences(
        to price: inout Price, _ index: Int, _ served: Int, _ match: CacheBelief.Match, _ basis: PriceBasis, speed: Double,
        tokenTime: Double, slots: Double
    ) {
        let live = living(index, served, basis)
        let pause = habits.pause.value
        price.returning = PriceWeights.returning * price.own * live.idle * price.own / (price.own + 2 * pause)
        let turn = habits.turn.value / speed
        let service = turn + habits.answerTokens * tokenTime
        let load = min(
            PriceWeights.mostUtilisation,
            max(
                backends[index].occupancy.value(at: basis.now, conversationTime: fleet.policy.conversationTime),
                live.all * service / (service + pause) / slots))
        // The wait of a queue with that many servers (Sakasegawa's approximation).
        let queue = service * Exponential.power(load, (2 * (slots + 1)).squareRoot() - 1) / (slots * (1 - load))
        // Prompts are computed one after the other: how long those of other conversations delay a turn, and it them, on average
        // (Pollaczek and Khinchine: arrivals each second times the mean square of a prompt's time, one half for each side).
        let meeting = live.all / (service + pause) * PriceWeights.spreadOfTurns * turn * turn
        price.future =
            basis.outlook.laterTurns
            * (PriceWeights.future * (queue + turn + PriceWeights.decode * habits.answerTokens * tokenTime) + meeting)
        price.eviction = evicted(index, served, match, basis, new: price.promptTokens - price.matchedTokens) / speed
    }

    /// Tokens of other conversations that will probably be computed again because of this prompt: of the one whose seat it takes, and of
    /// the one that falls out of the list.
    private func evicted(_ index: Int, _ served: Int, _ match: CacheBelief.Match, _ basis: PriceBasis, new: Double) -> Double {
        let cache = backends[index].served[served].cache
        var tokens = 0.0
        if let displaced = cache.displaced(by: match), displaced != basis.outlook.previous {
            let weight = match.saves ? PriceWeights.displacement : PriceWeights.eviction
            tokens +=
                sequences.read(displaced) { weight * cache.life(of: $0, at: basis.now) * max(0, $0.tokens - match.tokens) } ?? 0
        }
        if let oldest = cache.nextToDrop(for: new, in: sequences) {
            tokens += sequences.read(oldest) { PriceWeights.eviction * cache.life(of: $0, at: basis.now) * $0.tokens } ?? 0
        }
        return tokens
    }

    /// Somebody else computes on the machine. Shortly after a request of this balancer, its own work may be what keeps it busy.
    private func isOccupiedByOthers(_ index: Int) -> Bool {
        guard backends[index].jobs.isEmpty, backends[index].health.phase != .unknown else { return false }
        return backends[index].health.isBusy(window: fleet.policy.busyWindow)
    }

    /// Conversations that are likely to go on there, without the request's own: all of them, and those that are silent now.
    private func living(_ index: Int, _ served: Int, _ basis: PriceBasis) -> (all: Double, idle: Double) {
        let now = basis.now
        var all = backends[index].served[served].cache.live.value(at: now)
        let previous = basis.outlook.previous
        if let previous {
            let id = backends[index].id
            all -=
                sequences.read(previous) { sequence in
                    sequence.backend == id && sequence.served == served
                        ? backends[index].served[served].cache.life(of: sequence, at: now) : 0
                } ?? 0
        }
        var idle = all
        for job in backends[index].jobs where job.served == served {
            guard let sequence = job.sequence, sequence != previous else { continue }
            idle -= sequences.read(sequence) { backends[index].served[served].cache.life(of: $0, at: now) } ?? 0
        }
        return (max(0, all), max(0, idle))
    }
}
