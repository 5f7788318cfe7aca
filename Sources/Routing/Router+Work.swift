// What is learned from requests: which prompts a server holds, and how fast it computes.

extension Router {
    /// What to expect of a request that counts, when it arrives.
    mutating func meet(_ request: inout PendingRequest, among list: CandidateList, at now: Moment) {
        request.outlook.model = list.model
        request.client = habits.client(request.traits.client, isBulk: request.priority == .bulk, at: now.seconds)
        request.account =
            request.traits.key.map { $0 == request.traits.client ? request.client : habits.account($0) } ?? request.client
        if let known = habits.expectations(of: request.client, model: request.outlook.model) {
            (request.outlook.answerTokens, request.outlook.laterTurns) = known
        }
        guard let prompt = request.traits.prompt, !prompt.links.isEmpty else { return }
        let (backends, places) = (indexOfBackend, list.candidates)
        request.outlook.previous = sequences.continued(by: prompt, of: request.ticket) { sequence in
            guard let index = backends[sequence.backend] else { return false }
            return places.contains { $0.index == index && $0.served.contains(sequence.served) }
        }
        let ended = request.outlook.previous.flatMap { sequences.read($0) { $0.endedAt } } ?? nil
        habits.arrived(request.client, continues: request.outlook.previous, pause: ended.map { now.seconds - $0 })
        if request.outlook.previous == nil { leaveConversation(of: request.client, at: now.seconds) }
    }

    /// A client begins a conversation. If it has one at a time, the last one is over, and its place is free for this one.
    private mutating func leaveConversation(of client: ClientTable.ID, at now: Double) {
        guard let (left, comesBack) = habits.left(by: client), let sequence = sequences[left], sequence.endedAt != nil,
            let owner = indexOfBackend[sequence.backend], backends[owner].served.indices.contains(sequence.served)
        else { return }
        backends[owner].served[sequence.served].cache.change(left, in: &sequences, at: now) {
            $0.turns = min(1, $0.turns) * comesBack
        }
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
        let load = loadTime(index, served, usual: usualLoadSeconds(among: list), at: now)
        let isFirst = !backends[index].jobs.contains { $0.isPrefilling(at: now) }
        let start = isFirst ? now : max(now, backends[index].prefillEnd)
        let end = start + load + prefill
        backends[index].prefillEnd = end

        let previous = request.outlook.previous.flatMap { sequences[$0] }
        let isElsewhere = previous.map { $0.backend != backends[index].id || $0.served != served } ?? false
        if previous != nil, matched > tokens / 2 { habits.turned(tokens - matched) }
        let source = source(of: request, tokens: tokens, index, served)
        // What is still being computed says nothing about what is kept.
        let kept = source.flatMap { source in sequences.read(source.id) { $0.endedAt == nil } == false ? source.id : nil }
        let loaded = (match.loads ?? kept).map { id in
            (
                tokens: sequences.read(id) { $0.heldTokens } ?? 0,
                depth: backends[index].served[served].cache.depth(of: id, in: sequences),
                isCopy: backends[index].served[served].cache.isCopy(id)
            )
        }
        request.predict(end - now, at: moment)
        let sequence = beginSequence(request, previous, tokens, index, served, match, source, at: now)
        let isAlone = backends[index].jobs.isEmpty
        backends[index].grantedAt = now
        backends[index].measureSent(at: now)
        backends[index].begins(
            Job(
                ticket: request.ticket, served: served, seat: match.seat, sequence: sequence, isStream: traits.isStream,
                yields: yields(request, at: now),
                answerTokens: request.outlook.answerTokens, promptTokens: tokens, matchedTokens: matched,
                prefillSeconds: prefill, expectedSeconds: start + prefill - now, sentAt: now, prefillEnd: end,
                firstByteAt: nil, isAlone: isAlone, isQuiet: traits.isStream, mostStreams: backends[index].jobs.count + 1,
                movedTokens: previous.map { isElsewhere ? min($0.tokens, tokens) : 0 } ?? 0, loaded: loaded,
                waitsForLoad: load > 0, isOnlyPrompt: isFirst,
                beginsLoad: load > 0 && !backends[index].jobs.contains { $0.served == served }))
        forgetCaches(of: backends[index].useBegan(served, by: request.client, at: now), on: index)
        noteOccupancy(index, at: now)
        habits.began(request.client, at: now)
        let service = max(1, tokens - matched) + 2 * request.outlook.answerTokens
        serve(service, to: request, at: now)
        guard sequence != nil else { return nil }
        return CacheForecast(
            result: isElsewhere ? .moved : matched > tokens / 2 ? .hit : .miss, tokens: Int(min(matched, Double(Int32.max))))
    }

    /// Counts tokens for a request's client, and for its key.
    private mutating func serve(_ tokens: Double, to request: PendingRequest, at now: Double) {
        habits.served(request.client, tokens: tokens / request.weight, at: now)
        if request.account != request.client { habits.served(request.account, tokens: tokens / request.weight, at: now) }
    }

    private mutating func newWork(
        _ request: PendingRequest, _ index: Int, _ served: Int, _ list: CandidateList, at now: Moment
    ) -> Work {
        if let prompt = request.traits.prompt { sequences.look(at: prompt, of: request.ticket) }
        return work(index, served, basis(of: request, among: list, at: now))
    }

    /// Of an engine without slots: what of a request's prompt is found, and where.
    private mutating func source(
        of request: PendingRequest, tokens: Double, _ index: Int, _ served: Int
    ) -> (id: SequenceID, tokens: Double)? {
        guard let prompt = request.traits.prompt, !backends[index].served[served].cache.hasSeats else { return nil }
        sequences.look(at: prompt, of: request.ticket)
        return backends[index].served[served].cache.source(length: tokens, in: sequences)
    }

    /// What the server is believed to hold from now on.
    private mutating func beginSequence(
        _ request: PendingRequest, _ previous: PromptSequence?, _ tokens: Double, _ index: Int, _ served: Int,
        _ match: CacheBelief.Match, _ source: (id: SequenceID, tokens: Double)?, at now: Double
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
        backends[index].served[served].cache.began(request.ticket, id, match, source: source, in: &sequences, at: now)
        habits.turnBegan(request.client, id)
        return id
    }

    /// Whether the number of seats has changed.
    private mutating func setSeats(_ index: Int, _ served: Int, instances: Int, at now: Double) -> Bool {
        let slots = backends[index].slots(of: served, instances: instances)
        let count = slots > 0 || backends[index].health.slots > 0 ? max(1, slots) : 0
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
        let served = backends[index].jobs[number].served
        backends[index].served[served].answeredAt = now
        backends[index].memory.answered(served, at: now)
        if backends[index].jobs[number].isStream, let prediction = running.values[place].request.prediction {
            predictions.add(predicted: prediction.seconds, actual: now - prediction.at)
            decisions.change(running.values[place].decision, of: ticket) {
                $0.predictedMilliseconds = prediction.seconds * 1000
                $0.actualMilliseconds = (now - prediction.at) * 1000
            }
        }
        noteParallelRequests(number, index, at: now)
        let isBesidePrompt = backends[index].jobs.contains { $0.ticket != ticket && $0.isPrefilling(at: now) }
        if isBesidePrompt { backends[index].jobs[number].isQuiet = false }
        if backends[index].prefillEnd == backends[index].jobs[number].prefillEnd { backends[index].prefillEnd = now }
    }

    /// The request has left its server.
    mutating func endJob(_ running: RunningRequest, _ index: Int, _ end: JobEnd, at now: Double) {
        let ticket = running.request.ticket
        guard let number = backends[index].jobs.firstIndex(where: { $0.ticket == ticket }) else { return }
        let job = backends[index].ends(number, lingers: end.lingers, at: now)
        noteOccupancy(index, at: now)
        habits.ended(running.request.client)
        if case .failed = end {
            // It has cost the client's share nothing, and its prompt is not there.
            let service = job.newTokens + 2 * job.answerTokens
            serve(-service, to: running.request, at: now)
            if let sequence = job.sequence {
                backends[index].served[job.served].cache.failed(sequence, of: ticket, in: &sequences, at: now)
            }
        }
        backends[index].served[job.served].cache.ended(ticket, at: now)
        defer { endInMemory(job, end, hasFailed: running.hasFailed, index) }
        let timings: Timings? = if case .answered(let timings) = end { timings } else { nil }
        let answer = timings.map { Double($0.predictedTokens) } ?? 0
        if let sequence = job.sequence {
            let known = timings.flatMap { wholePrompt($0, job) }
            backends[index].served[job.served].cache.change(sequence, in: &sequences, at: now) {
                $0.promptTokens = known ?? $0.promptTokens
                $0.tokens = $0.promptTokens + answer
                ($0.usedAt, $0.endedAt) = (now, now)
            }
        }
        if case .answered = end {
            backends[index].served[job.served].answeredAt = now
            // An error says nothing of the model's load.
            if !running.hasFailed {
                backends[index].memory.answered(job.served, at: now)
                learnLoad(job, timings, index, at: now)
            }
        }
        let sample = backends[index].measureEnded(job, tokens: timings.flatMap { computedTokens($0, job) }, at: now)
        if let sample, !job.isAlone {
            learnPrefill(tokens: sample.tokens, seconds: sample.seconds, isAlone: true, expected: nil, index, job.served)
        }
        guard let timings else { return }
        learn(from: timings, job, running.request, index, at: now)
        if let cached = timings.cachedTokens, running.traits.prompt?.links.isEmpty == false {
            let elsewhere = job.movedTokens
            totals.ended(
                cached: cached, computed: timings.promptTokens, believed: Int(bounded: job.matchedTokens),
                hadElsewhere: Int(bounded: elsewhere))
            decisions.change(running.decision, of: ticket) {
                ($0.predictedCachedTokens, $0.cachedTokens) = (Int(bounded: job.matchedTokens), cached)
            }
        }
        backends[index].served[job.served].cache.trim(&sequences, now)
    }

    private mutating func learn(
        from timings: Timings, _ job: Job, _ request: PendingRequest, _ index: Int, at now: Double
    ) {
        let answer = Double(timings.predictedTokens)
        habits.answered(request.client, model: request.outlook.model, tokens: answer)
        serve(2 * (answer - job.answerTokens), to: request, at: now)
        backends[index].served[job.served].figures.learnDecode(
            tokens: answer, seconds: timings.predictedMilliseconds / 1000,
            isQuiet: job.isQuiet || job.isAlone && job.mostStreams == 1,
            mostStreams: job.mostStreams)
        let whole = wholePrompt(timings, job)
        // Before the speed is learned from the same prompt.
        let cached = timings.cachedTokens.map(Double.init) ?? whole.flatMap { guessedCache(timings, job, whole: $0, index) }
        learnPrefill(from: timings, job, index)
        guard let whole else { return }
        backends[index].served[job.served].figures.learnLength(
            bytes: Double(request.traits.prompt?.length ?? 0), tokens: whole)
        guard let cached else { return }
        let loaded = job.matchedTokens > 1000 ? job.loaded : nil
        if let loaded {
            if cached < job.matchedTokens / 2 {
                backends[index].served[job.served].cache.denied(
                    depth: loaded.depth, tokens: loaded.tokens, isCopy: loaded.isCopy, in: &sequences, at: now)
            } else {
                backends[index].served[job.served].cache.confirmed(depth: loaded.depth)
            }
        }
        if cached > job.matchedTokens + max(1000, whole / 10), loaded == nil || job.seat == nil {
            backends[index].served[job.served].cache.surpassed()
        }
    }

    /// Prompt tokens that the engine computed. Of an engine that does not say what it had in its cache, the whole prompt counts only if it
    /// should have had next to nothing; nil otherwise.
    private func computedTokens(_ timings: Timings, _ job: Job) -> Double? {
        guard timings.cachedTokens != nil || job.matchedTokens <= Self.coldPart * job.promptTokens else { return nil }
        return Double(timings.promptTokens)
    }

    private mutating func learnPrefill(from timings: Timings, _ job: Job, _ index: Int) {
        guard let prompt = computedTokens(timings, job) else { return }
        // By our own clock, the prompt seems to take as long as the load and the prompt.
        guard !job.waitsForLoad || !timings.isTimedHere else { return }
        // Beside answers alone, it should have taken hardly longer. For what it had to compute: the cache may have been another one than was
        // believed.
        let expected = job.isOnlyPrompt ? job.prefillSeconds * prompt / job.newTokens : nil
        learnPrefill(
            tokens: prompt, seconds: timings.promptMilliseconds / 1000, isAlone: job.isAlone,
            expected: job.isAlone ? nil : expected, index, job.served)
    }

    private mutating func learnPrefill(
        tokens: Double, seconds: Double, isAlone: Bool, expected: Double?, _ index: Int, _ served: Int
    ) {
        let earlier = backends[index].served[served].figures
        backends[index].served[served].figures.learnPrefill(
            tokens: tokens, seconds: seconds, isAlone: isAlone, expected: expected)
        if backends[index].served[served].figures.refutes(earlier) { forgetEarlierRun() }
    }

    /// A prompt of which at most this part should be cached is as good as one that is not cached.
    private static let coldPart = 0.1
    /// An engine that reports less than this part of the prompt leaves out what it had in its cache.
    private static let wholePart = 0.7

    /// The tokens of the prompt, those in the cache included; nil when the engine does not say.
    private func wholePrompt(_ timings: Timings, _ job: Job) -> Double? {
        let computed = Double(timings.promptTokens)
        if let cached = timings.cachedTokens { return computed + Double(cached) }
        let isWhole = job.matchedTokens <= Self.coldPart * job.promptTokens || computed >= Self.wholePart * job.promptTokens
        return isWhole && computed > 0 ? computed : nil
    }

    /// Whether an engine that does not say so had what it was believed to have: the tokens, or 0. Nil when the time for the prompt does
    /// not tell.
    ///
    /// Only a prompt that was computed alone tells, at a known speed, and only if the cache is worth seconds.
    private func guessedCache(_ timings: Timings, _ job: Job, whole: Double, _ index: Int) -> Double? {
        guard job.isAlone, !job.waitsForLoad, let speed = backends[index].served[job.served].figures.prefillSpeed,
            timings.promptMilliseconds > 0, job.matchedTokens > 0.5 * whole, job.matchedTokens > 0.5 * speed
        else { return nil }
        let matched = min(job.matchedTokens, whole)
        // 0: as long as without the cached part; 1: as long as the whole prompt.
        let part = (timings.promptMilliseconds / 1000 - (whole - matched) / speed) * speed / matched
        return part < 0.3 ? matched : (0.7..<2).contains(part) ? 0 : nil
    }

    /// A model of which the last request that was to load it has failed is not in memory. The engine pushes out what it had no room for.
    private mutating func endInMemory(_ job: Job, _ end: JobEnd, hasFailed: Bool, _ index: Int) {
        guard backends[index].memory.isTold else { return }
        let isFailure = if case .failed = end { true } else { hasFailed }
        if isFailure, !backends[index].isBusy(with: job.served) { backends[index].memory.failed(job.served) }
        forgetCaches(of: backends[index].pushOut(), on: index)
    }

    /// A model that left the engine's memory has lost its caches. One that was not in memory when its requests were sent has no old ones.
    mutating func forgetUnloaded(_ index: Int) {
        guard backends[index].memory.isTold else { return }
        for served in backends[index].served.indices {
            guard let listed = backends[index].served[served].residency, listed >= .unloaded,
                !backends[index].jobs.contains(where: { $0.served == served && $0.beginsLoad })
            else { continue }
            backends[index].served[served].cache.forget(in: &sequences)
        }
    }

    /// The engine has restarted: its caches are empty.
    mutating func forgetCaches(_ index: Int) {
        for served in backends[index].served.indices { backends[index].served[served].cache.forget(in: &sequences) }
        backends[index].memory.forget()
    }
}
