/// One model, or one instance of it, on one server: what is known of its speed and of its prompt caches.
struct ServedModel: Sendable {
    let name: String
    var figures = EngineFigures()
    var cache: CacheBelief
    var load = LoadTime()
    /// As the server listed it last, and when a list first showed that it was being loaded. In seconds.
    var residency: ListedModel.Residency?
    var loadingSeenAt: Double?
    /// Slots of its own engine process, as listed last; nil when it has none of its own, or they are not known.
    var slots: Int?
    /// When it last answered, in seconds.
    var answeredAt = -Double.infinity
    /// Seconds that new conversations have lost because their beginning is not in the server's cache.
    var missed: DecayingSum

    /// - Parameter conversationTime: `RoutingPolicy.conversationTime`.
    init(name: String, conversationTime: Double) {
        self.name = name
        cache = CacheBelief(lifetime: conversationTime * PriceWeights.lifetime)
        missed = DecayingSum(timeConstant: conversationTime)
    }
}

/// The share of a server's slots that were in use lately.
struct Occupancy: Sendable {
    private var average = 0.0
    private var current = 0.0
    private var updatedAt = 0.0

    /// - Parameter conversationTime: `RoutingPolicy.conversationTime`.
    func value(at now: Double, conversationTime: Double) -> Double {
        let kept = Exponential.decay((now - updatedAt) / (conversationTime * PriceWeights.occupancyTime))
        return average * kept + current * (1 - kept)
    }

    /// The share that is in use from now on.
    mutating func became(_ share: Double, at now: Double, conversationTime: Double) {
        average = value(at: now, conversationTime: conversationTime)
        current = share
        updatedAt = now
    }
}

/// How many of a server's slots work for others than this balancer, when they were counted last.
struct ForeignSlots: Sendable {
    /// Seconds until an engine has noticed that a client left.
    static let lingering = 2.0

    private var slots = 0
    // Moments in seconds.
    private var countedAt = -Double.infinity
    /// When the balancer's own requests there changed last.
    private var ownChangedAt = -Double.infinity

    /// What was counted longer ago than `memory` seconds says nothing any more.
    func value(at now: Double, memory: Double) -> Int { now - countedAt <= memory ? slots : 0 }

    mutating func ownChanged(at now: Double) { ownChangedAt = max(ownChangedAt, now) }

    /// - Parameters:
    ///   - own: the balancer's requests in flight there now. A count that is older than their last change may or may not have included
    ///     those that came or went, so it is not used.
    ///   - time: when the engine was asked.
    mutating func count(busy: Int, own: Int, at time: Double) {
        guard time > ownChangedAt else { return }
        (slots, countedAt) = (max(0, busy - own), time)
    }
}

/// A request that runs on a server, as it matters to the price of others.
struct Job: Sendable {
    let ticket: Ticket
    /// Index into the server's `served`.
    let served: Int
    /// The engine's slot, as far as it is known.
    let seat: Int?
    let sequence: SequenceID?
    let isStream: Bool
    /// Its client has much work, or says that nobody waits for it: its delay counts little.
    var yields = false
    /// Expected tokens of the answer.
    let answerTokens: Double
    /// Tokens of the prompt, and those of them that are believed to be cached.
    let promptTokens: Double
    let matchedTokens: Double
    /// Seconds that the prompt should take alone, and beside what ran when it was sent.
    let prefillSeconds: Double
    let expectedSeconds: Double
    // Moments in seconds.
    let sentAt: Double
    /// When the prompt should be done.
    let prefillEnd: Double
    var firstByteAt: Double?
    /// The span of the server's `PrefillMeter` in which its answer began; 0: none.
    var span: UInt32 = 0
    /// Nothing else ran on the server from the start to the first token.
    var isAlone: Bool
    /// No prompt was computed beside the answer, and no request has arrived since.
    var isQuiet: Bool
    /// The most requests in flight on the server meanwhile.
    var mostStreams: Int
    /// Tokens of the prompt that another server had, because the conversation's last turn was there.
    let movedTokens: Double
    /// The engine should have loaded a kept prompt of that many tokens, at that depth of its list.
    var loaded: (tokens: Double, depth: Double, isCopy: Bool)?
    /// The model was not in memory when the request was sent, and whether no other request had begun to load it.
    var waitsForLoad = false
    /// No other prompt was computed on the server from the start to the first token.
    var isOnlyPrompt = false
    var beginsLoad = false

    var newTokens: Double { max(1, promptTokens - matchedTokens) }

    /// Of a request without a stream, the first token is not seen.
    func isPrefilling(at now: Double) -> Bool { firstByteAt == nil && (isStream || now < prefillEnd) }

    /// Seconds of its prompt that are still to be computed.
    func prefillLeft(at now: Double) -> Double {
        guard isPrefilling(at: now) else { return 0 }
        if prefillEnd > now { return min(prefillSeconds, prefillEnd - now) }
        // The later it is, the more wrong was what was expected: it takes as long again as it is overdue.
        return max(0.1 * prefillSeconds, now - prefillEnd)
    }

    /// Tokens of its answer that are still to be generated. `tokenTime`: seconds for each of them.
    func answerLeft(at now: Double, tokenTime: Double) -> Double {
        if isPrefilling(at: now) { return answerTokens }
        let passed = max(0, now - (firstByteAt ?? prefillEnd))
        // An answer that is longer than expected goes on for a while, however long it has gone on.
        return max(answerTokens - passed / max(1e-6, tokenTime), PriceWeights.leastRest * answerTokens)
    }
}

/// How a job ended.
enum JobEnd {
    /// `Timings`: nil when the engine does not report them.
    case answered(Timings?)
    /// Its client left. What was computed until then is there.
    case abandoned
    /// The server did not take it, or broke off.
    case failed

    /// The engine may go on with it for a moment.
    var lingers: Bool { if case .answered = self { false } else { true } }
}

extension Moment {
    var seconds: Double { Double(nanoseconds) / 1e9 }

    /// The moment that many seconds later. Values that are too large are cut.
    func adding(seconds: Double) -> Moment { self + Interval(nanoseconds: Int64(max(0, min(seconds, 1e9)) * 1e9)) }
}

extension Interval {
    var seconds: Double { Double(nanoseconds) / 1e9 }
}
