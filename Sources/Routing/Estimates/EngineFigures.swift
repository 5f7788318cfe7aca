/// How fast a server computes with one model, learned from its answers.
///
/// A sample from a server that did something else at the same time says only that the server is at least that fast. Taken at its
/// face value, one such sample would keep a machine idle for ever (docs/routing.md).
struct EngineFigures: Sendable, Equatable {
    /// Shorter prompts say more about the engine's fixed costs than about its speed.
    static let shortestPrompt = 256.0
    static let shortestAnswer = 8.0
    /// How much each further stream of a batch slows down all of them.
    static let slowdownPerStream = 0.1
    private static let kept = 0.9
    /// So many prompts in a row that were all slower than known, on a busy server, show that the machine has become slower. Each time the
    /// figure falls by a third at most: what slowed them all down may have been the others' prompts.
    private static let slowPromptsUntilLowered = 6
    private static let leastLowered = 0.85
    /// A sample is taken for at most so many times as slow as known: it may be an odd one.
    static let mostSlowness = 3.0
    /// Longer prompts count as so many tokens, so that a few long ones are not remembered for dozens of short ones.
    private static let mostWeight = 8192.0
    /// So many answers in a row that were all slower than known show that the machine has become slower. Each time the figure rises by
    /// half at most: what slowed them all down may have been the others' prompts.
    private static let slowAnswersUntilRaised = 8
    private static let mostRaise = 1.5
    private static let leastRaise = 1.1
    /// From one run of the program to the next, a machine's speed differs by less.
    private static let mostChange = 1.5
    /// What else is reported is a mistake, or is about something else than text, such as images.
    private static let plausibleBytesPerToken = 0.25...100.0
    /// The times of a machine's usual requests differ by less, relative to each other.
    private static let usualRatio = 1.25

    private var promptTokens = 0.0
    private var promptSeconds = 0.0
    private var provenPrefillSpeed = 0.0
    /// Prompts in a row on a busy server that were not faster than known, and the best of their ratios of expected to actual time.
    private var slowPrompts = 0
    private var bestRatio = 0.0
    /// So many prompts were computed beside others that their best speed counts as known, while none was alone.
    private var isBoundKnown = false
    /// Whether the speeds are those of an earlier run: the first prompt that is computed alone replaces that of prompts.
    private(set) var isRestored = false
    private var prefillPace = ChangeOfPace()
    private var decodePace = ChangeOfPace()
    /// Seconds for each token of a single stream; nil until it was measured in peace.
    private var measuredTokenTime: Double?
    private var provenTokenTime = Double.infinity
    /// Answers in a row, none of them in peace, that took longer for each token than is known, and the least of their times.
    private var slowAnswers = 0
    private var slowLeast = Double.infinity
    /// The time for a token was raised without an answer in peace.
    private var isTokenTimeRaised = false
    /// Only one sample is known, which may be an odd one: the first request after a start is often slow.
    private(set) var isPrefillProvisional = false
    private(set) var isTokenTimeProvisional = false
    private var bytes = 0.0
    private var tokens = 0.0

    /// Tokens per second of prompts; nil while unknown.
    var prefillSpeed: Double? { measuredPrefillSpeed ?? (isBoundKnown ? provenPrefillSpeed : nil) }
    private var measuredPrefillSpeed: Double? { promptSeconds > 0 ? max(promptTokens / promptSeconds, 1e-3) : nil }
    /// The speed is at least this.
    var leastPrefillSpeed: Double { provenPrefillSpeed }
    /// Seconds for each token of a single stream; nil while unknown.
    var tokenTime: Double? { measuredTokenTime }
    /// The time for each token is at most this.
    var mostTokenTime: Double { provenTokenTime }
    /// Nil while unknown.
    var bytesPerToken: Double? { tokens > 0 ? bytes / tokens : nil }

    // For display, in tokens per second: what is known, else the bound.
    var shownPrefillSpeed: Double? { prefillSpeed ?? (provenPrefillSpeed > 0 ? provenPrefillSpeed : nil) }
    var shownDecodeSpeed: Double? {
        let time = min(measuredTokenTime ?? .infinity, provenTokenTime)
        return time < .infinity ? 1 / max(time, 1e-9) : nil
    }

    /// A prompt was computed.
    ///
    /// - Parameters:
    ///   - isAlone: nothing else ran on the server from the start of the request to its first token.
    ///   - expected: the seconds that it should have taken beside answers; nil when it was alone, or other prompts were computed, too.
    mutating func learnPrefill(tokens: Double, seconds: Double, isAlone: Bool, expected: Double?) {
        guard tokens >= Self.shortestPrompt, seconds > 1e-6 else { return }
        let speed = tokens / seconds
        if isAlone || measuredPrefillSpeed.map({ speed > $0 }) == true { return add(tokens, seconds) }
        let isFaster = speed > provenPrefillSpeed
        provenPrefillSpeed = max(provenPrefillSpeed, speed)
        if measuredPrefillSpeed == nil {
            noteBusyPrompt(isFaster ? 1 : speed / provenPrefillSpeed)
        } else if let expected, expected > 0 {
            noteBusyPrompt(expected / seconds)
        }
    }

    /// Never alone, and always slower than expected: the machine has become slower.
    private mutating func noteBusyPrompt(_ ratio: Double) {
        slowPrompts += 1
        bestRatio = max(bestRatio, ratio)
        guard slowPrompts >= Self.slowPromptsUntilLowered else { return }
        if bestRatio < Self.leastLowered {
            let part = max(bestRatio, 1 / Self.mostRaise)
            promptTokens *= part
            provenPrefillSpeed *= part
        }
        isBoundKnown = true
        (slowPrompts, bestRatio) = (0, 0)
    }

    private mutating func add(_ tokens: Double, _ seconds: Double) {
        (slowPrompts, bestRatio) = (0, 0)
        var seconds = seconds
        let earlier = self
        if isRestored { (promptTokens, promptSeconds, isRestored) = (0, 0, false) }
        // Of the first two, the better one counts if they differ much.
        if isPrefillProvisional, let speed = measuredPrefillSpeed, tokens / seconds > Self.usualRatio * speed {
            (promptTokens, promptSeconds) = (0, 0)
        }
        defer { isPrefillProvisional = earlier.promptSeconds == 0 || refutes(earlier) }
        if let speed = measuredPrefillSpeed {
            if let slowness = prefillPace.add(seconds * speed / tokens) { promptSeconds *= slowness }
            seconds = min(seconds, Self.mostSlowness * promptSeconds / promptTokens * tokens)
        }
        let part = min(1, Self.mostWeight / tokens)
        promptTokens = promptTokens * Self.kept + tokens * part
        promptSeconds = promptSeconds * Self.kept + seconds * part
    }

    /// An answer was generated.
    ///
    /// - Parameters:
    ///   - isQuiet: no prompt was computed beside it, and no other request arrived meanwhile.
    ///   - mostStreams: the most requests in flight on the server meanwhile.
    mutating func learnDecode(tokens: Double, seconds: Double, isQuiet: Bool, mostStreams: Int) {
        guard tokens >= Self.shortestAnswer, seconds > 1e-6 else { return }
        // The others ran for a part of the time: half of their effect.
        let sample = seconds / (tokens - 1) / (1 + Self.slowdownPerStream * Double(max(0, mostStreams - 1)) / 2)
        if isQuiet {
            learnQuiet(sample)
        } else if sample > measuredTokenTime ?? provenTokenTime {
            return noteSlowAnswer(sample)
        } else if measuredTokenTime != nil {
            measuredTokenTime = sample
        } else {
            provenTokenTime = sample
        }
        (slowAnswers, slowLeast) = (0, .infinity)
    }

    private mutating func learnQuiet(_ sample: Double) {
        defer { isTokenTimeRaised = false }
        guard let known = measuredTokenTime, !isTokenTimeRaised else {
            isTokenTimeProvisional = measuredTokenTime == nil
            return measuredTokenTime = sample
        }
        defer { isTokenTimeProvisional = false }
        if isTokenTimeProvisional, sample * Self.usualRatio < known { return measuredTokenTime = sample }
        if let slowness = decodePace.add(sample / known) { return measuredTokenTime = known * slowness }
        measuredTokenTime = known + 0.2 * (min(sample, Self.mostSlowness * known) - known)
    }

    /// A server that is never quiet can become slower, too.
    private mutating func noteSlowAnswer(_ tokenTime: Double) {
        slowAnswers += 1
        slowLeast = min(slowLeast, tokenTime)
        guard slowAnswers >= Self.slowAnswersUntilRaised else { return }
        let known = measuredTokenTime ?? provenTokenTime
        let raised = slowLeast > Self.leastRaise * known ? min(slowLeast, Self.mostRaise * known) : known
        (slowAnswers, slowLeast) = (0, .infinity)
        if measuredTokenTime == nil {
            provenTokenTime = raised
        } else if raised > known {
            (measuredTokenTime, isTokenTimeRaised) = (raised, true)
        }
    }

    /// Begins with what an earlier run has learned, until something is measured.
    mutating func restore(prefillSpeed: Double?, tokenTime: Double?, bytesPerToken: Double?) {
        if let prefillSpeed {
            add(max(prefillSpeed, Self.shortestPrompt), max(1, Self.shortestPrompt / prefillSpeed))
            (isRestored, isPrefillProvisional) = (true, false)
        }
        measuredTokenTime = tokenTime
        if let bytesPerToken { learnLength(bytes: 1000 * bytesPerToken, tokens: 1000) }
    }

    /// Whether a speed of an earlier run was so far from this one that the machine must be another one.
    func refutes(_ earlier: EngineFigures) -> Bool {
        guard earlier.isRestored, !isRestored, let restored = earlier.prefillSpeed, let prefillSpeed else { return false }
        return !(1 / Self.mostChange...Self.mostChange).contains(prefillSpeed / restored)
    }

    /// Forgets the speeds of an earlier run that nothing has confirmed.
    mutating func forgetEarlierRun() {
        guard isRestored else { return }
        let lengths = (bytes, tokens)
        self = EngineFigures()
        (bytes, tokens) = lengths
    }

    mutating func learnLength(bytes newBytes: Double, tokens newTokens: Double) {
        guard newBytes > 0, newTokens > 0, Self.plausibleBytesPerToken.contains(newBytes / newTokens) else { return }
        bytes = bytes * Self.kept + newBytes
        tokens = tokens * Self.kept + newTokens
    }
}
