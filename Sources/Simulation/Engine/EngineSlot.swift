/// One of an engine's slots.
struct EngineSlot: Sendable {
    /// What an idle slot keeps of its last job. Empty while a job runs.
    var tokens = TokenSequence()
    /// When the last job ended, in seconds; negative when there was none.
    var usedAt = -1.0
    /// The job that runs; nil when the slot is idle.
    var work: Work?

    /// A job in its slot.
    struct Work: Sendable {
        let job: EngineJob
        /// Prompt tokens that were found.
        let cached: Int
        /// Prompt tokens that are there.
        var past: Int
        /// Tokens that are generated.
        var made = 0
        /// When the first batch with its prompt began; nil before.
        var begunAt: Double?
        /// When its first token came; nil while the prompt is read.
        var prefilledAt: Double?
        /// Its client has gone; it leaves the slot after the batch.
        var isCancelled = false

        var isGenerating: Bool { prefilledAt != nil }
        var unread: Int { job.prompt.count - past }
        var unmade: Int { max(1, job.answer.tokens) - made }

        /// What stays in the slot when the job ends now.
        var remains: TokenSequence {
            var tokens = job.prompt.prefix(past)
            if past >= job.prompt.count { tokens.append(.init(content: job.answer.content, tokens: made)) }
            return tokens
        }

        func timings(at now: Double) -> EngineTimings {
            let first = prefilledAt ?? now
            return EngineTimings(
                cachedTokens: cached, promptTokens: job.prompt.count - cached, promptSeconds: first - (begunAt ?? first),
                predictedTokens: made, predictedSeconds: now - first)
        }
    }
}

extension SimulatedEngine {
    /// The idle slot for a prompt, its tokens chosen as llama-server does; nil when all are in use.
    ///
    /// The slot with the most of the prompt, if that is more than a tenth; else the one that was unused the longest, of several the
    /// last. Tokens of which less than half would be kept go to the host cache, which may give better ones for them.
    mutating func takeSlot(for prompt: TokenSequence) -> Int? {
        var chosen: Int?
        var similarity = 0.0
        for (number, slot) in slots.enumerated() where slot.work == nil && slot.tokens.count > 0 {
            let found = Double(slot.tokens.commonTokens(with: prompt)) / Double(max(1, prompt.count))
            if found > similarity, found > 0.1 { (chosen, similarity) = (number, found) }
        }
        var losesTokens = false
        if let chosen {
            losesTokens = similarity * Double(prompt.count) / Double(slots[chosen].tokens.count) < 0.5
        } else {
            for (number, slot) in slots.enumerated() where slot.work == nil {
                if chosen.map({ slot.usedAt <= slots[$0].usedAt }) ?? true { chosen = number }
            }
            losesTokens = true
        }
        guard let chosen else { return nil }
        if losesTokens, cache.limit > 0, slots[chosen].tokens.count > 0 {
            cache.save(slots[chosen].tokens)
            if let better = cache.take(for: prompt, insteadOf: slots[chosen].tokens) { slots[chosen].tokens = better }
            cache.trim()
        }
        return chosen
    }
}
