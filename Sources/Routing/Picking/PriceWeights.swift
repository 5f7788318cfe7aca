/// The constants of the price, each with its reason. Found by experiment; docs/routing.md tells what each is worth.
enum PriceWeights {
    /// A second of decoding against a second before the first token: an answer can be read while it is generated.
    static let decode = 0.25
    /// What a conversation loses that comes back while the prompt is computed: half of that time, and as much for those behind it.
    static let returning = 1.0
    /// Of a prompt that is not hashed, so much is to be computed where its client's session is: most clients go on with a conversation.
    static let unhashed = 0.2
    /// What later turns will cost where this one goes.
    static let future = 0.25
    /// The mean square of what turns add, divided by the square of its mean: many are short, and some read whole files.
    static let spreadOfTurns = 8.0
    /// Computing again what falls out of the cache.
    static let eviction = 0.5
    /// The same of a prompt that leaves its slot for the engine's list: it is not always loaded again, because a slot that has half of it,
    /// such as the same system prompt, is taken instead.
    static let displacement = 0.25
    /// A running answer has at least this part of its expected length before it.
    static let leastRest = 0.8
    /// A machine that is kept busy by somebody else, or in which a model computes that this balancer knows nothing of, has this part
    /// of its speed left.
    static let busyShare = 0.5
    /// A request that has waited a second is as urgent as one whose prompt takes this much less.
    static let ageing = 0.3
    /// A client that has had more than another one waits longer, as if its prompt took this part of the difference.
    static let fairness = 0.5
    /// Of a long line, a request is never behind because of its client's service by more than this share of `sticky.ttl`: 60 s.
    static let mostDebt = 1.0 / 3
    /// 45 s: how much more urgent a class is than the next one. So a request of a lower class is overtaken for 150 s (`ageing`).
    static let classDistance = 1.0 / 4
    /// The delay of a request of somebody with much work counts this part.
    static let yielding = 0.1
    /// A request whose model is not loaded waits for this many loading times while the loaded model is used, since that one came or, if
    /// that is later, since the request came; then it comes first. So at most a quarter of the time goes into loading.
    static let swapPatience = 3.0
    /// Utilisation is never taken to be higher.
    static let mostUtilisation = 0.95

    // Unknown speeds.
    static let prefillSpeed = 2000.0
    static let tokenTime = 0.015
    static let bytesPerToken = 4.0
    /// For the future of a server whose slots are not known.
    static let assumedSlots = 8

    // Shares of `sticky.ttl`, the time for which a conversation is expected to go on. With its 3 minutes:
    /// 60 s: a conversation that has been silent for this long counts 1/e.
    static let lifetime = 1.0 / 3
    /// 90 s: how long the use of a server's slots is remembered.
    static let occupancyTime = 1.0 / 2
    /// 60 s: a longer pause says nothing about a conversation.
    static let longestPause = 1.0 / 3
    /// 8 s: the assumed pause between two turns.
    static let pause = 2.0 / 45
    /// 0.7 s: how much dearer another server may be and still be taken at once, rather than waiting for a busy one.
    static let holdMargin = 1.0 / 257
    /// 0.1 s: nobody notices such a difference between two prices, and measured speeds are no more exact.
    static let nearTie = 1.0 / 1800
    /// 20 s: how long it counts that others used a server's slots. They cannot be counted while requests of this balancer run there.
    static let foreignMemory = 1.0 / 9
    /// 2 s: a prompt is long for the others.
    static let longPrompt = 1.0 / 90
    /// 0.5 s: a prompt is as good as done.
    static let shortWait = 1.0 / 360
    /// An hour: what was measured before that is doubted.
    static let staleAfter = 20.0
    /// 90 s: how long a client's service counts against it in the line.
    static let serviceMemory = 1.0 / 2
}
