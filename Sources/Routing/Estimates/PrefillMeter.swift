/// Measures how fast a server computes prompts while it has several.
///
/// From the moment when the first one is sent until all of them have begun to answer, the engine always computes prompts, in whatever order.
/// So its speed is the sum of their tokens, divided by this time. Under a load that never pauses, such a span ends when those that have
/// not begun to answer are few beside those that have; they count half.
struct PrefillMeter: Sendable {
    struct Sample: Sendable, Equatable {
        var tokens: Double
        var seconds: Double
    }

    private struct Span: Sendable {
        let number: UInt32
        var tokens = 0.0
        /// Nil while it goes on.
        var seconds: Double?
        /// Requests that have begun to answer, and have not reported what they computed.
        var unreported = 0
        var isVoid = false
    }

    /// The most that may be under way at the ends of a span, relative to what is done in it: the error is at most half of it.
    private static let mostOpen = 0.25
    /// Fewer tokens say more about the answers that are generated beside them.
    private static let leastTokens = 1024.0
    /// The requests of older ones have long answers.
    private static let mostSpans = 8

    private var spans: [Span] = []
    /// The span that goes on; 0: none yet.
    private var number: UInt32 = 0
    /// In seconds.
    private var begunAt = 0.0
    /// Tokens that were under way when the span began, and those whose requests have begun to answer in it.
    private var openBefore = 0.0
    private var done = 0.0

    /// Begins again. What has not been measured yet never will be.
    ///
    /// - Parameters:
    ///   - open: tokens that are under way, some of which may have been computed.
    ///   - now: in seconds.
    mutating func restart(open: Double, at now: Double) {
        spans.removeAll { $0.seconds == nil }
        if spans.count >= Self.mostSpans { spans.removeFirst() }
        number &+= 1
        spans.append(Span(number: number))
        (begunAt, openBefore, done) = (now, open, 0)
    }

    /// A request has begun to answer.
    ///
    /// - Parameters:
    ///   - tokens: what it should have computed.
    ///   - open: what those should compute that have not begun to answer.
    /// - Returns: its span.
    mutating func answerBegan(tokens: Double, open: Double, at now: Double) -> UInt32 {
        guard let last = spans.indices.last, spans[last].number == number else { return 0 }
        let span = number
        spans[last].unreported += 1
        done += tokens
        let isExact = openBefore + open <= Self.mostOpen * done
        if isExact {
            spans[last].tokens += (open - openBefore) / 2
            spans[last].seconds = now - begunAt
        }
        // Nothing is under way: the next span begins with the next request, and what is not exact now never will be.
        if isExact || open == 0 { restart(open: open, at: now) }
        return span
    }

    /// A request of a span has ended.
    ///
    /// - Parameter tokens: what it has computed; nil when that is not known.
    /// - Returns: what the span shows, with its last request.
    mutating func ended(_ span: UInt32, tokens: Double?) -> Sample? {
        guard let index = spans.firstIndex(where: { $0.number == span }) else { return nil }
        spans[index].unreported -= 1
        spans[index].tokens += tokens ?? 0
        spans[index].isVoid = spans[index].isVoid || tokens == nil
        guard spans[index].unreported <= 0, let seconds = spans[index].seconds else { return nil }
        let span = spans.remove(at: index)
        guard !span.isVoid, span.tokens >= Self.leastTokens, seconds > 0 else { return nil }
        return Sample(tokens: span.tokens, seconds: seconds)
    }
}

extension Backend {
    /// The tokens of prompts that are under way.
    private var openTokens: Double { jobs.reduce(0) { $0 + ($1.firstByteAt == nil ? $1.newTokens : 0) } }

    /// A prompt is sent, before it is among the jobs.
    mutating func measureSent(at now: Double) {
        if openTokens == 0 { meter.restart(open: 0, at: now) }
    }

    /// A job has begun to answer.
    mutating func measureBegan(_ number: Int, at now: Double) {
        let served = jobs[number].served
        // Without a stream, nobody sees when the prompt is done. Other models have batches of their own, and a load takes time, too.
        guard jobs.allSatisfy({ $0.isStream && $0.served == served && !$0.waitsForLoad }) else {
            return meter.restart(open: openTokens, at: now)
        }
        jobs[number].span = meter.answerBegan(tokens: jobs[number].newTokens, open: openTokens, at: now)
    }

    /// A job has left the server. `tokens`: what it has computed; nil when that is not known.
    mutating func measureEnded(_ job: Job, tokens: Double?, at now: Double) -> PrefillMeter.Sample? {
        if job.firstByteAt == nil { meter.restart(open: openTokens, at: now) }
        return meter.ended(job.span, tokens: tokens)
    }
}
