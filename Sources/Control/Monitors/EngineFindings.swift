import Routing

/// What a monitor has found out about its server's engine.
struct EngineFindings {
    /// Nil until it is detected.
    var kind: EngineKind?
    /// The model list alone did not show what the engine is, so it was asked for its other signs.
    var hasAskedForSigns = false
    /// The kind whose health check the engine does not have.
    var kindWithoutHealthCheck: EngineKind?
    /// A llama-server of 2024 or older (`EngineReports.isOldLlamaServer`).
    var isOldLlamaServer = false
    /// When `/health` of an engine that computes for it was last requested, and what is wrong by its answer.
    var rareHealthAskedAt = Moment.zero
    var illness: String?
    /// Probes in a row that it answered while it computed, and those that it did not.
    private var answeredWhileComputing = 0
    private(set) var silences = 0
    private var hasLearnedThatItAnswers = false
    /// The models as they were last published. What cannot be asked now is taken from them.
    var models: [EngineReports.Model] = []
    var modelsAskedAt: Moment?
    /// Why the engine does not tell its models, if it refuses to.
    var refusal: String?
    /// The model sleeps and is loaded again with the next request (llama-server's `is_sleeping`).
    var isSleeping = false
    /// What llama-server last told of its only model.
    var contextTokens: Int?
    var sees: Bool?
    var slots = SlotFindings()
    /// Tokens that the engine's prompt cache holds; nil when it does not tell. `hasToldCache`: it was asked since it started.
    var cacheTokens: Int?
    var hasToldCache = false
    /// Of a llama-server that runs a process for each model.
    var routerMode: EngineReports.RouterMode?
    var processes = ModelProcesses()

    struct SlotFindings {
        /// The slots that llama-server last reported, and when `/slots` was last requested.
        var last: BackendReport.Slots?
        var askedAt = Moment.zero
        /// The number of slots must be requested again, even while requests are in flight.
        var areStale = true
        /// The last time at which a request of this balancer was in flight on the server.
        var quietSince = Moment.zero
        /// When the slots may be counted next, and the pause after that.
        private var countAt = Moment.zero
        private var pause = ServerMonitor.slotsInterval

        /// A llama-server whose slots are counted does not fall asleep (`--sleep-idle-seconds`), so one that nobody uses is left alone
        /// for longer and longer.
        private static let longestPause = Interval.seconds(1800)

        func mayCount(at now: Moment) -> Bool { countAt <= now }

        mutating func counted(busy: Int, at now: Moment) {
            if busy > 0 { pause = ServerMonitor.slotsInterval }
            countAt = now + pause
            pause = min(Interval(nanoseconds: 2 * pause.nanoseconds), Self.longestPause)
        }

        /// A request of this balancer runs on the server.
        mutating func used(at now: Moment) {
            quietSince = now
            (countAt, pause) = (now, ServerMonitor.slotsInterval)
        }
    }

    init(kind: EngineKind?) { self.kind = kind }

    /// How often to request the model list of an engine that has a cheaper health check.
    private static let listInterval = Interval.seconds(10)
    /// The same for a router that has had requests within the long interval: they load models and push others out.
    private static let busyRoutersListInterval = Interval.seconds(2)

    func listIsDue(at now: Moment) -> Bool {
        guard let modelsAskedAt else { return true }
        let isBusyRouter = routerMode != nil && slots.quietSince + Self.listInterval > now
        return modelsAskedAt + (isBusyRouter ? Self.busyRoutersListInterval : Self.listInterval) <= now
    }

    /// The engine does not have the health check of its kind.
    var lacksHealthCheck: Bool { kind != nil && kind == kindWithoutHealthCheck }

    // MARK: Engines with one thread

    /// A single answer may be chance: a probe can overtake a request, or come between two.
    private static let answersUntilLearned = 5

    /// The engine answers probes while it computes, by its kind or by experience.
    var answersWhileComputing: Bool {
        hasLearnedThatItAnswers || kind?.answersWhileComputing == true && !isOldLlamaServer
    }

    mutating func answered(whileComputing: Bool) {
        silences = 0
        answeredWhileComputing = whileComputing ? answeredWhileComputing + 1 : 0
        if answeredWhileComputing >= Self.answersUntilLearned { hasLearnedThatItAnswers = true }
    }

    mutating func wasSilent() {
        silences += 1
        answeredWhileComputing = 0
    }

    /// The engine failed a probe, so it may come back as another one. Until it has reported its slots, the old number is better
    /// than no limit.
    mutating func engineFailed() {
        slots.areStale = true
        hasAskedForSigns = false
        kindWithoutHealthCheck = nil
        (cacheTokens, hasToldCache) = (nil, false)
    }
}
