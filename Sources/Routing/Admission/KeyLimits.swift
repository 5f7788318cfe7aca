/// How much a client's key may use. Nil: as much as its owner likes.
package struct KeyLimits: Sendable, Equatable, Codable {
    /// Requests in flight and waiting.
    package var requestMax: Int?
    package var requestsPerMinute: Int?
    /// Tokens of prompts and answers.
    package var tokensPerMinute: Int?
    package var tokensPerDay: Int?
    /// The part that a token of a prompt counts when it came from the engine's cache.
    package var cachedPart = 0.1

    package init(
        requestMax: Int? = nil, requestsPerMinute: Int? = nil, tokensPerMinute: Int? = nil, tokensPerDay: Int? = nil
    ) {
        self.requestMax = requestMax
        self.requestsPerMinute = requestsPerMinute
        self.tokensPerMinute = tokensPerMinute
        self.tokensPerDay = tokensPerDay
    }

    package enum Kind: String, Sendable, Codable {
        case requestMax = "request-max"
        case requestsPerMinute = "requests-per-minute"
        case tokensPerMinute = "tokens-per-minute"
        case tokensPerDay = "tokens-per-day"
    }
}

/// How the requests of a client's key stand beside those of others.
package struct KeyShare: Sendable, Equatable, Codable {
    /// Their class, in place of the route's. Nil: the route's.
    package var priority: PriorityClass?
    /// Of what waits in the same class, those are served first whose client has had least for its weight.
    package var weight = 1.0

    package init(priority: PriorityClass? = nil, weight: Double = 1) {
        self.priority = priority
        self.weight = weight
    }
}

/// A limit that a request would exceed.
package struct KeyExcess: Sendable, Equatable {
    package var key: String
    package var kind: KeyLimits.Kind
    package var limit: Int
    package var retryAfterSeconds: Int
}

/// What a key has left.
package struct KeyStanding: Sendable, Equatable {
    /// A limit, what is left of it, and the seconds until it is whole again.
    package struct Amount: Sendable, Equatable {
        package var limit: Int
        package var left: Int
        package var wholeInSeconds: Int
    }

    /// Of the requests in a minute, and of the tokens in a minute or, if that is less, in a day.
    package var requests: Amount?
    package var tokens: Amount?
}

/// What one key has used of its limits.
struct KeyBudget: Sendable {
    private var limits: KeyLimits
    private(set) var inFlight = 0
    private var requests: Allowance?
    private var minute: Allowance?
    private var day: Allowance?

    /// What a request has taken, and gets back as far as it has not used it.
    struct Reservation: Sendable, Equatable {
        fileprivate var minute = 0.0
        fileprivate var day = 0.0

        var most: Double { max(minute, day) }
    }

    init(_ limits: KeyLimits, at now: Double) {
        self.limits = limits
        requests = limits.requestsPerMinute.map { Allowance(most: Double($0), period: 60, at: now) }
        minute = limits.tokensPerMinute.map { Allowance(most: Double($0), period: 60, at: now) }
        day = limits.tokensPerDay.map { Allowance(most: Double($0), period: 86_400, at: now) }
    }

    /// The configuration was read again.
    mutating func change(_ new: KeyLimits, at now: Double) {
        guard new != limits else { return }
        let fresh = KeyBudget(new, at: now)
        func changed(_ old: Allowance?, _ new: Allowance?) -> Allowance? {
            guard var old, let new else { return new }
            old.change(most: new.most, at: now)
            return old
        }
        requests = changed(requests, fresh.requests)
        minute = changed(minute, fresh.minute)
        day = changed(day, fresh.day)
        limits = new
    }

    /// The limit that a request would exceed; nil when it may run. Of several, the one that keeps it waiting for longest.
    ///
    /// - Parameter tokens: the request's, as far as they can be known when it arrives.
    func excess(_ key: String, tokens: Double, at now: Double) -> KeyExcess? {
        if let most = limits.requestMax, inFlight >= most {
            return KeyExcess(key: key, kind: .requestMax, limit: most, retryAfterSeconds: 1)
        }
        let waits: [(KeyLimits.Kind, Int?, Double)] = [
            (.requestsPerMinute, limits.requestsPerMinute, requests?.wait(for: 1, at: now) ?? 0),
            (.tokensPerMinute, limits.tokensPerMinute, minute?.wait(for: tokens, at: now) ?? 0),
            (.tokensPerDay, limits.tokensPerDay, day?.wait(for: tokens, at: now) ?? 0),
        ]
        guard let longest = waits.max(by: { $0.2 < $1.2 }), longest.2 > 0, let limit = longest.1 else { return nil }
        return KeyExcess(
            key: key, kind: longest.0, limit: limit, retryAfterSeconds: max(1, Int(bounded: longest.2.rounded(.up))))
    }

    mutating func reserve(tokens: Double, at now: Double) -> Reservation {
        inFlight += 1
        _ = requests?.take(1, at: now)
        return Reservation(minute: minute?.take(tokens, at: now) ?? 0, day: day?.take(tokens, at: now) ?? 0)
    }

    /// The request is over. `used`: its tokens; 0 when it was not run.
    mutating func settle(_ reservation: Reservation, used: Double, at now: Double) {
        inFlight -= 1
        func settle(_ allowance: inout Allowance?, _ reserved: Double) {
            if used <= reserved {
                allowance?.giveBack(reserved - used, at: now)
            } else {
                _ = allowance?.take(used - reserved, at: now)
            }
        }
        settle(&minute, reservation.minute)
        settle(&day, reservation.day)
    }

    func standing(at now: Double) -> KeyStanding {
        func amount(_ allowance: Allowance?) -> KeyStanding.Amount? {
            allowance.map {
                let left = $0.left(at: now)
                let seconds = $0.most > 0 ? ($0.most - left) * $0.period / $0.most : 0
                return .init(
                    limit: Int(bounded: $0.most), left: Int(bounded: left), wholeInSeconds: Int(bounded: seconds.rounded(.up)))
            }
        }
        let tokens = [amount(minute), amount(day)].compactMap(\.self).min { $0.left < $1.left }
        return KeyStanding(requests: amount(requests), tokens: tokens)
    }

    func tokens(of timings: Timings) -> Double {
        max(0, Double(timings.promptTokens)) + max(0, Double(timings.predictedTokens))
            + limits.cachedPart * max(0, Double(timings.cachedTokens ?? 0))
    }

    /// - Parameter cached: of the prompt's tokens.
    func tokens(prompt: Double, cached: Double, answer: Double) -> Double {
        prompt - (1 - limits.cachedPart) * min(cached, prompt) + answer
    }
}
