/// A llama-server in virtual time: slots with their prompts, a host prompt cache, one batch after the other.
///
/// Each batch has a token for every slot that generates, then prompt tokens in the order of the slots. A row of batches in which all
/// slots only generate is played at once; it ends early when something happens.
package struct SimulatedEngine: Sendable {
    package let model: EngineModel
    /// The machine's speed, relative to the model's.
    private(set) var speed = 1.0
    var slots: [EngineSlot]
    var cache: HostCache
    /// Jobs that found no free slot, the oldest first.
    private var deferred: ArraySlice<EngineJob> = []
    private var run: Run?

    /// Batches that are being computed: several only when they have no prompt tokens.
    private struct Run: Sendable {
        var start: Double
        var end: Double
        var batches: Int
        var secondsPerBatch: Double
        /// Slots that generate.
        var generating: [Int]
        /// Slots whose prompts are read, with how much.
        var reading: [(slot: Int, tokens: Int)]
    }

    package init(_ model: EngineModel) {
        self.model = model
        slots = Array(repeating: EngineSlot(), count: max(1, model.slots))
        cache = HostCache(limit: model.cacheTokens)
    }

    /// When `advance` has to be called next, in seconds; nil while there is nothing to do.
    package var nextEventAt: Double? { run?.end }

    /// Slots in use.
    package var busySlots: Int { slots.count { $0.work != nil } }

    /// Takes a job, or lets it wait for a slot.
    package mutating func submit(_ job: EngineJob, at now: Double) {
        guard slots.contains(where: { $0.work == nil }) else { return deferred.append(job) }
        begin(job)
        if run == nil { startRun(at: now) } else { endRunEarly(at: now) }
    }

    /// Ends what is being computed, if it ends now, and computes on.
    package mutating func advance(at now: Double, _ news: inout [EngineNews]) {
        guard let run, run.end <= now else { return }
        self.run = nil
        for number in run.generating { generate(run.batches, in: number, at: run.end, &news) }
        for (number, tokens) in run.reading {
            slots[number].work?.past += tokens
            guard let work = slots[number].work, work.unread <= 0, !work.isCancelled else { continue }
            slots[number].work?.prefilledAt = run.end
            news.append(.began(work.job.id))
            generate(1, in: number, at: run.end, &news)
        }
        for number in slots.indices where slots[number].work?.isCancelled == true { free(number, at: run.end) }
        startRun(at: run.end)
    }

    /// A job's client has gone: the job leaves the line at once, its slot after the batch that is being computed. What was computed stays
    /// in the slot. Nothing more is said about the job.
    package mutating func cancel(_ id: Int, at now: Double) {
        deferred.removeAll { $0.id == id }
        guard let number = slots.firstIndex(where: { $0.work?.job.id == id }) else { return }
        slots[number].work?.isCancelled = true
        endRunEarly(at: now)
    }

    /// The jobs whose answers are being generated, with the tokens that they have by now.
    package func generated(at now: Double) -> [(job: Int, tokens: Int)] {
        guard let run else { return [] }
        let batches = min(run.batches, max(0, Int((now - run.start) / run.secondsPerBatch)))
        return run.generating.compactMap { slots[$0].work }.filter { !$0.isCancelled }.map { work in
            (work.job.id, work.made + min(batches, work.unmade))
        }
    }

    /// The machine becomes faster or slower: 1 is its usual speed.
    package mutating func setSpeed(_ speed: Double, at now: Double) {
        self.speed = speed
        endRunEarly(at: now)
    }

    /// The engine dies and starts again with nothing in memory.
    ///
    /// - Returns: the jobs that it had, in the order of the slots, then those that waited.
    package mutating func restart() -> [Int] {
        let lost = slots.compactMap(\.work?.job.id) + deferred.map(\.id)
        self = SimulatedEngine(model, speed: speed)
        return lost
    }

    private init(_ model: EngineModel, speed: Double) {
        self.init(model)
        self.speed = speed
    }

    // MARK: Jobs

    private mutating func begin(_ job: EngineJob) {
        guard let number = takeSlot(for: job.prompt) else { return }
        // At least one token of the prompt is read, for the first token of the answer.
        let cached = max(0, min(slots[number].tokens.commonTokens(with: job.prompt), job.prompt.count - 1))
        slots[number].tokens = TokenSequence()
        slots[number].work = EngineSlot.Work(job: job, cached: cached, past: cached)
    }

    private mutating func generate(_ tokens: Int, in number: Int, at now: Double, _ news: inout [EngineNews]) {
        guard var work = slots[number].work else { return }
        work.made += min(tokens, work.unmade)
        slots[number].work = work
        guard work.unmade <= 0, !work.isCancelled else { return }
        news.append(.finished(work.job.id, work.timings(at: now)))
        free(number, at: now)
    }

    /// A job leaves its slot, and the oldest that waits gets one.
    private mutating func free(_ number: Int, at now: Double) {
        guard let work = slots[number].work else { return }
        slots[number] = EngineSlot(tokens: work.remains, usedAt: now)
        if let next = deferred.popFirst() { begin(next) }
    }

    // MARK: Batches

    private mutating func startRun(at now: Double) {
        var generating: [Int] = []
        var slowness = 0.0
        for (number, slot) in slots.enumerated() {
            guard let work = slot.work, work.isGenerating else { continue }
            generating.append(number)
            slowness += 1 / work.job.decodeSpeed
        }
        var reading: [(slot: Int, tokens: Int)] = []
        var (room, readingSeconds) = (max(1, model.batchTokens - generating.count), 0.0)
        for number in slots.indices where room > 0 {
            guard let work = slots[number].work, !work.isGenerating else { continue }
            let tokens = min(room, max(1, work.unread))
            if work.begunAt == nil { slots[number].work?.begunAt = now }
            reading.append((number, tokens))
            readingSeconds += Double(tokens) / (model.prefillTokensPerSecond * work.job.prefillSpeed)
            room -= tokens
        }
        guard !generating.isEmpty || !reading.isEmpty else { return run = nil }
        var seconds = readingSeconds
        if !generating.isEmpty {
            seconds += model.secondsPerToken(streams: generating.count) * slowness / Double(generating.count)
        }
        seconds /= speed
        let batches = reading.isEmpty ? generating.compactMap { slots[$0].work?.unmade }.min() ?? 1 : 1
        run = Run(
            start: now, end: now + seconds * Double(batches), batches: batches, secondsPerBatch: seconds,
            generating: generating, reading: reading)
    }

    /// Something happened: a row of batches ends with the one that is being computed.
    private mutating func endRunEarly(at now: Double) {
        guard let current = run, current.batches > 1 else { return }
        let batches = min(current.batches, max(1, Int((now - current.start) / current.secondsPerBatch) + 1))
        run?.batches = batches
        run?.end = current.start + current.secondsPerBatch * Double(batches)
    }
}
