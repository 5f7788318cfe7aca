// What is learned from requests: which prompts a server holds, and how fast it computes.

extension Router {
    /// What to expect of a request that counts, when it arrives.
    mutating func meet(_ request: inout PendingRequest, among list: CandidateList, at now: Moment) {
        request.client = habits.client(request.traits.client, isBulk: request.priority == .bulk, at: now.seconds)
        if let known = habits.expectations(of: request.client) {
            (request.outlook.answerTokens, request.outlook.laterTurns) = known
        }
        guard let prompt = request.traits.prompt, !prompt.links.isEmpty else { return }
        let (backends, places) = (indexOfBackend, list.candidates)
        request.outlook.previous = sequences.continued(by: prompt, of: request.ticket) { sequence in
            guard let index = backends[sequence.backend] else { return false }
            return places.contains { $0.index == index && $0.served.contains(sequence.served) }
        }
        let ended = request.outlook.previous.flatMap { sequences.read($0) { $0.endedAt } } ?? nil
        habits.arrived(request.client, continues: request.outlook.previous != nil, pause: ended.map { now.seconds - $0 })
    }

    /// A request begins on a server. Returns how much of its prompt should be found there; nil when nothing is known of it.
    mutating func beginJob(
        _ request: inout PendingRequest, _ choice: Choice, among list: CandidateList, at moment: Moment
    ) -> CacheForecast? {
        let traits = request.traits
        guard traits.counts else { return nil }
        let now = moment.seconds
        let (index, served) = (list.backend(of: choice), list.served(of: choice))
        let instances = list.candidates[choice.position].served.count
        let isChanged = setSeats(index, served, instances: instances, at: now)
        let work = (isChanged ? nil : choice.work) ?? newWork(request, index, served, list, at: moment)
        let (tokens, match) = (work.promptTokens, work.match)
        let matched = match.isFirstInSeat ? 0 : match.tokens
        let prefill = max(1, tokens - matched) / work.speed
        let isFirst = !backends[index].jobs.contains { $0.isPrefilling(at: now) }
        let start = isFirst ? now : max(now, backends[index].prefillEnd)
        backends[index].prefillEnd = start + prefill

        let previous = request.outlook.previous.flatMap { sequences[$0] }
        let isElsewhere = previous.map { $0.backend != backends[index].id || $0.served != served } ?? false
        if previous != nil, matched > tokens / 2 { habits.turned(tokens - matched) }
        let loaded = match.loads.map { id in
            (
                tokens: sequences.read(id) { $0.tokens } ?? 0,
                depth: backends[index].served[served].cache.depth(of: id, in: sequences),
                isCopy: backends[index].served[served].cache.isCopy(id)
            )
        }
        request.predict(start + prefill - now + loadTime(choice.position, in: list), at: moment)
        let sequence = beginSequence(request, previous, tokens, index, served, match, at: now)
        let isAlone = backends[index].jobs.isEmpty
        backends[index].grantedAt = now
        backends[index].measureSent(at: now)
        backends[index].begins(
            Job(
                ticket: request.ticket, served: served, seat: match.seat, sequence: sequence, isStream: traits.isStream,
                yields: yields(request, at: now),
                answerTokens: request.outlook.answerTokens, promptTokens: tokens, matchedTokens: matched,
                prefillSeconds: prefill, expectedSeconds: start + prefill - now, sentAt: now, prefillEnd: start + prefill,
                firstByteAt: nil, isAlone: isAlone, isQuiet: traits.isStream, mostStreams: backends[index].jobs.count + 1,
                movedTokens: previous.map { isElsewhere ? min($0.tokens, tokens) : 0 } ?? 0, loaded: loaded))
        noteOccupancy(index, at: now)
        habits.began(request.client, at: now)
        habits.served(request.client, tokens: max(1, tokens - matched) + 2 * request.outlook.answerTokens, at: now)
        guard sequence != nil else { return nil }
        return CacheForecast(
            result: isElsewhere ? .moved : matched > tokens / 2 ? .hit : .miss, tokens: Int(min(matched, Double(Int32.max))))
    }

    private mutating func newWork(
        _ request: PendingRequest, _ index: Int, _ served: Int, _ list: CandidateList, at now: Moment
    ) -> Work {
        if let prompt = request.traits.prompt { sequences.look(at: prompt, of: request.ticket) }
        return work(index, served, basis(of: request, among: list, at: now))
    }

    /// What the server is believed to hold from now on.
    private mutating func beginSequence(
        _ request: PendingRequest, _ previous: PromptSequence?, _ tokens: Double, _ index: Int, _ served: Int,
        _ match: CacheBelief.Match, at now: Double
    ) -> SequenceID? {
        guard let prompt = request.traits.prompt, !prompt.links.isEmpty else {
            // A prompt that is not known overwrites what is in the seat.
            backends[index].served[served].cache.overwritten(by: request.ticket, match, in: &sequences, at: now)
            return nil
        }
        if let id = request.outlook.previous, let previous, let owner = indexOfBackend[previous.backend],
            backends[owner].served.indices.contains(previous.served)
        {
            // The conversation goes on here; the copy that is left behind is not live any more.
            backends[owner].served[previous.served].cache.change(id, in: &sequences, at: now) { $0.turns = 0 }
        }
        let later = request.outlook.laterTurns
        let id = sequences.add(
            PromptSequence(
                chain: prompt, backend: backends[index].id, served: served, promptTokens: tokens, tokens: tokens, usedAt: now,
                endedAt: nil, turns: previous.map { $0.turns + 1 } ?? later / (1 + later)),
            of: request.ticket)
        backends[index].served[served].cache.began(request.ticket, id, match, in: &sequences, at: now)
        return id
    }

    /// Whether the number of seats has changed.
    private mutating func setSeats(_ index: Int, _ served: Int, instances: Int, at now: Double) -> Bool {
        let slots = backends[index].health.slots
        let count = slots > 0 ? max(1, slots / max(1, instances)) : 0
        guard backends[index].served[served].cache.seats.count != count else { return false }
        backends[index].served[served].cache.setSeats(count, in: &sequences, at: now)
        return true
    }

    private mutating func noteOccupancy(_ index: Int, at now: Double) {
        let share = Double(backends[index].jobs.count) / Double(max(1, backends[index].limit ?? PriceWeights.assumedSlots))
        backends[index].occupancy.became(share, at: now, conversationTime: fleet.policy.conversationTime)
    }

    /// The first piece of a stream has come.
    ///
    /// - Parameter place: the request's place among `running`.
    mutating func noteFirstByte(_ ticket: Ticket, _ place: Dictionary<Ticket, RunningRequest>.Index, _ index: Int, at now: Double)
    {
        guard let number = backends[index].jobs.firstIndex(where: { $0.ticket == ticket }),
            backends[index].jobs[number].firstByteAt == nil
        else { return }
        backends[index].jobs[number].firstByteAt = now
        backends[index].measureBegan(number, at: now)
        if backends[index].jobs[number].isStream, let prediction = running.values[place].request.prediction {
            predictions.add(predicted: prediction.seconds, actual: now - prediction.at)
            decisions.change(running.values[place].decision, of: ticket) {
                $0.predictedMilliseconds = prediction.seconds * 1000
                $0.actualMilliseconds = (now - prediction.at) * 1000
            }
        }
        let isBesidePrompt = backends[index].jobs.contains { $0.ticket != ticket && $0.isPrefilling(at: now) }
        if isBesidePrompt { backends[index].jobs[number].isQuiet = false }
        if backends[index].prefillEnd == backends[index].jobs[number].prefillEnd { backends[index].prefillEnd = now }
    }

    /// The request has left its server. `timings`: nil when its answer is not complete, or the engine does not report them.
    mutating func endJob(_ running: RunningRequest, _ index: Int, _ timings: Timings?, at now: Double) {
        let ticket = running.request.ticket
        guard let number = backends[index].jobs.firstIndex(where: { $0.ticket == ticket }) else { return }
        let job = backends[index].jobs.remove(at: number)
        let sample = backends[index].measureEnded(job, tokens: timings.map { Double($0.promptTokens) }, at: now)
        if let sample, !job.isAlone {
            backends[index].served[job.served].figures.learnPrefill(
                tokens: sample.tokens, seconds: sample.seconds, isAlone: true, expected: nil)
        }
        noteOccupancy(index, at: now)
        habits.ended(running.request.client)
        backends[index].served[job.served].cache.ended(ticket, at: now)
        let answer = timings.map { Double($0.predictedTokens) } ?? 0
        if let sequence = job.sequence {
            let known = timings.flatMap { timings in
                timings.cachedTokens.map { Double($0 + timings.promptTokens) } ?? nil
            }
            backends[index].served[job.served].cache.change(sequence, in: &sequences, at: now) {
                $0.promptTokens = known ?? $0.promptTokens
                $0.tokens = $0.promptTokens + answer
                ($0.usedAt, $0.endedAt) = (now, now)
            }
        }
        guard let timings else { return }
        learn(from: timings, job, running.request, index, at: now)
        if let cached = timings.cachedTokens, running.traits.prompt?.links.isEmpty == false {
            let elsewhere = job.movedTokens
            totals.ended(
                cached: cached, computed: timings.promptTokens, believed: Int(job.matchedTokens), hadElsewhere: Int(elsewhere))
            decisions.change(running.decision, of: ticket) {
                ($0.predictedCachedTokens, $0.cachedTokens) = (Int(job.matchedTokens), cached)
            }
        }
        backends[index].served[job.served].cache.trim(&sequences, now)
    }

    private mutating func learn(
        from timings: Timings, _ job: Job, _ request: PendingRequest, _ index: Int, at now: Double
    ) {
        let (prompt, answer) = (Double(timings.promptTokens), Double(timings.predictedTokens))
        habits.answered(request.client, tokens: answer)
        habits.served(request.client, tokens: 2 * (answer - job.answerTokens), at: now)
        // For what it had to compute: the cache may have been another one than was believed.
        let expected = job.expectedSeconds + job.prefillSeconds * (prompt / job.newTokens - 1)
        backends[index].served[job.served].figures.learnPrefill(
            tokens: prompt, seconds: timings.promptMilliseconds / 1000, isAlone: job.isAlone,
            expected: job.isAlone ? nil : expected)
        backends[index].served[job.served].figures.learnDecode(
            tokens: answer, seconds: timings.predictedMilliseconds / 1000,
            isQuiet: job.isQuiet || job.isAlone && job.mostStreams == 1,
            mostStreams: job.mostStreams)
        guard let cached = timings.cachedTokens.map(Double.init) else { return }
        backends[index].served[job.served].figures.learnLength(
            bytes: Double(request.traits.prompt?.length ?? 0), tokens: prompt + cached)
        let length = prompt + cached
        if let loaded = job.loaded, job.matchedTokens > 1000 {
            if cached < job.matchedTokens / 2 {
                backends[index].served[job.served].cache.denied(
                    depth: loaded.depth, tokens: loaded.tokens, isCopy: loaded.isCopy, in: &sequences, at: now)
            } else {
                backends[index].served[job.served].cache.confirmed(depth: loaded.depth)
            }
        } else if cached > job.matchedTokens + max(1000, length / 10) {
            backends[index].served[job.served].cache.surpassed()
        }
    }

    /// A model that left the engine's memory has lost its caches.
    mutating func forgetUnloaded(_ index: Int, _ models: [ListedModel]) {
        for model in models where model.residency == .unloaded {
            let name = ModelName.withoutLatest(model.name)
            guard let served = backends[index].served.firstIndex(where: { $0.name == name }) else { continue }
            backends[index].served[served].cache.forget(in: &sequences)
        }
    }

    /// The engine has restarted: its caches are empty.
    mutating func forgetCaches(_ index: Int) {
        for served in backends[index].served.indices { backends[index].served[served].cache.forget(in: &sequences) }
    }
}
