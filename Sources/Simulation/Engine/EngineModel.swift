/// The properties of a modelled llama-server.
package struct EngineModel: Sendable, Equatable {
    /// How many prompt tokens it reads in a second when nothing else runs.
    package var prefillTokensPerSecond: Double
    /// Requests that it computes at the same time.
    package var slots: Int
    /// The size of its host prompt cache (`--cache-ram`), in tokens, beside the slots. 0: none.
    package var cacheTokens: Int
    /// The most tokens of one batch (`--batch-size`).
    package var batchTokens = 2048
    /// How much longer a token takes for each further stream in the batch, relative to one alone.
    package var growthPerStream = 0.1

    package init(prefillTokensPerSecond: Double, slots: Int, cacheTokens: Int) {
        self.prefillTokensPerSecond = prefillTokensPerSecond
        self.slots = slots
        self.cacheTokens = cacheTokens
    }

    /// Generating one token costs as much as reading this many: about the ratio of real machines.
    static let promptTokensPerGenerated = 30.0

    /// Seconds in which each of `streams` gets one token, on a machine at its usual speed.
    package func secondsPerToken(streams: Int) -> Double {
        Self.promptTokensPerGenerated / prefillTokensPerSecond * (1 + growthPerStream * Double(max(0, streams - 1)))
    }
}

/// A request as an engine sees it.
package struct EngineJob: Sendable, Equatable {
    /// Tells jobs apart; chosen by the caller.
    package var id: Int
    package var prompt: TokenSequence
    /// What the engine will generate: at least one token.
    package var answer: TokenSequence.Segment
    /// This job's own speed, relative to the engine's: 1 is usual, 2 twice as fast.
    package var prefillSpeed = 1.0
    package var decodeSpeed = 1.0

    package init(id: Int, prompt: TokenSequence, answer: TokenSequence.Segment) {
        self.id = id
        self.prompt = prompt
        self.answer = answer
    }
}

/// What an engine says about a job.
package enum EngineNews: Sendable, Equatable {
    /// Its first token is there.
    case began(Int)
    /// It has generated its whole answer.
    case finished(Int, EngineTimings)
}

/// What llama-server reports in `timings`, with seconds instead of milliseconds.
package struct EngineTimings: Sendable, Equatable {
    /// Prompt tokens that were found in the slot.
    package var cachedTokens: Int
    /// Prompt tokens that were read.
    package var promptTokens: Int
    /// From the batch with the job's first prompt token to its first generated token.
    package var promptSeconds: Double
    package var predictedTokens: Int
    package var predictedSeconds: Double
}
