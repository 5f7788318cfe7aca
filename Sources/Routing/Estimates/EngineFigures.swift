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
    /// Samples from a busy server that must agree before they change a figure that was measured alone.
    private static let busySamples = 6.0
    /// So many answers in a row that were all slower than known show that the machine has become slower. Each time the figure rises by
    /// half at most: what slowed them all down may have been the others' prompts.
    private static let slowAnswersUntilRaised = 8
    private static let mostRaise = 1.5
    private static let leastRaise = 1.25

    private var promptTokens = 0.0
    private var promptSeconds = 0.0
    private var provenPrefillSpeed = 0.0
    /// The recent ratio of expected to actual time of prompts on a busy server, and the number of samples since the last good one.
    private var busyRatio = 1.0
    private var busyCount = 0.0
    /// Seconds for each token of a single stream; nil until it was measured in peace.
    private var measuredTokenTime: Double?
    private var provenTokenTime = Double.infinity
    /// Answers in a row, none of them in peace, that took longer for each token than is known, and the least of their times.
    private var slowAnswers = 0
    private var slowLeast = Double.infinity
    /// The time for a token was raised without an answer in peace.
    private var isTokenTimeRaised = false
    private var bytes = 0.0
    private var tokens = 0.0

    /// Tokens per second of prompts; nil while unknown.
    var prefillSpeed: Double? { promptSeconds > 0 ? max(promptTokens / promptSeconds, 1e-3) : nil }
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
    ///   - expected: the seconds that it should have taken beside the other work, when it was not alone.
    mutating func learnPrefill(tokens: Double, seconds: Double, isAlone: Bool, expected: Double?) {
        guard tokens >= Self.shortestPrompt, seconds > 1e-6 else { return }
        let speed = tokens / seconds
        if isAlone || prefillSpeed.map({ speed > $0 }) == true {
            add(tokens, seconds)
            return
        }
        provenPrefillSpeed = max(provenPrefillSpeed, speed)
        guard let expected, expected > 0 else { return }
        let ratio = expected / seconds
        busyRatio = busyCount == 0 ? ratio : busyRatio + 0.3 * (ratio - busyRatio)
        busyCount += 1
        // Never alone, and always slower than expected: the machine has become slower.
        if busyCount >= Self.busySamples, busyRatio < 0.7, promptSeconds > 0 {
            promptTokens *= busyRatio
            provenPrefillSpeed = 0
            (busyCount, busyRatio) = (0, 1)
        }
    }

    private mutating func add(_ tokens: Double, _ seconds: Double) {
        promptTokens = promptTokens * Self.kept + tokens
        promptSeconds = promptSeconds * Self.kept + seconds
        (busyCount, busyRatio) = (0, 1)
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
            measuredTokenTime = measuredTokenTime.map { isTokenTimeRaised ? sample : $0 + 0.2 * (sample - $0) } ?? sample
            isTokenTimeRaised = false
        } else if sample > measuredTokenTime ?? provenTokenTime {
            return noteSlowAnswer(sample)
        } else if measuredTokenTime != nil {
            measuredTokenTime = sample
        } else {
            provenTokenTime = sample
        }
        (slowAnswers, slowLeast) = (0, .infinity)
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

    mutating func learnLength(bytes newBytes: Double, tokens newTokens: Double) {
        guard newBytes > 0, newTokens > 0 else { return }
        bytes = bytes * Self.kept + newBytes
        tokens = tokens * Self.kept + newTokens
    }
}
