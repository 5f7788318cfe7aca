import Routing

/// What a monitor has found out about its server's engine.
struct EngineFindings {
    /// Nil until it is detected.
    var kind: EngineKind? {
        didSet { if kind?.answersWhileComputing == true { answersWhileComputing = true } }
    }
    /// The model list alone did not show what the engine is, so it was asked for its other signs.
    var hasAskedForSigns = false
    /// The engine does not have the health check of its kind.
    var lacksHealthCheck = false
    /// It has answered a probe while it computed.
    var answersWhileComputing: Bool
    var modelsAskedAt: Moment?
    /// Why the engine does not tell its models, if it refuses to.
    var refusal: String?
    /// The model sleeps and is loaded again with the next request (llama-server's `is_sleeping`).
    var isSleeping = false
    var slots = SlotFindings()

    struct SlotFindings {
        /// The slots that llama-server last reported, and when `/slots` was last requested.
        var last: BackendReport.Slots?
        var askedAt = Moment.zero
        /// The number of slots must be requested again, even while requests are in flight.
        var areStale = true
        /// The last time at which a request of this balancer was in flight on the server.
        var quietSince = Moment.zero
    }

    init(kind: EngineKind?) {
        self.kind = kind
        answersWhileComputing = kind?.answersWhileComputing ?? false
    }

    /// The engine failed a probe, so it may come back as another one. Until it has reported its slots, the old number is better
    /// than no limit.
    mutating func engineFailed() {
        slots.areStale = true
        hasAskedForSigns = false
        lacksHealthCheck = false
    }
}
