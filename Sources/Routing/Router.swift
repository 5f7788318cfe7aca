/// The state of the whole fleet and of all requests. Every decision is made here, through `handle`.
///
/// The router reads no clock, uses no randomness and does no I/O, so a sequence of events can be replayed. It cannot be copied: a
/// second one would decide about the same servers.
package struct Router: ~Copyable, Sendable {
    static let rememberedModels = 4096
    /// The most expired sessions that are dropped in one event. The remaining expired sessions are no longer found, but still
    /// count on their servers.
    private static let expiredAtOnce = 256

    var fleet = Fleet(servers: [], routes: nil, fallback: nil)
    /// Increases with each `fleetChanged`, so that an outdated `RouteMatch` is recognised.
    var fleetNumber = 0
    var backends: [Backend] = []
    var indexOfBackend = BackendTable<Int>()
    /// Cached results of `candidates(for:)` for models, for requests without a model, and for models that
    /// nobody has. Cleared whenever they could change.
    var candidatesByModel: [String: CandidateList?] = [:]
    var unnamedCandidates: CandidateList??
    var unknownCandidates: CandidateList??
    var running: [Ticket: RunningRequest] = [:]
    var line = WaitingLine()
    var sessions = SessionTable()
    var decisions = DecisionLog()
    var retryBudget = RetryBudget()
    var owners = OwnerTable()
    var streamOwners = OwnerTable()
    /// The prompts that servers are believed to hold.
    var sequences = SequenceStore()
    var totals = RoutingTotals()
    var predictions = PredictionErrors()
    var keys = KeyTable()
    var habits = Habits(conversationTime: RoutingPolicy().conversationTime)
    var comparison = ComparisonRules()
    /// The average time that a granted request takes, in seconds; used for `Retry-After`.
    var serviceTime = DecayingAverage(halfLife: 20)
    /// When `clockAdvanced` is due; nil when it was not requested.
    var wakeAt: Moment?
    private let place = StaysInPlace()

    package init() {}

    /// Handles an event and appends the resulting effects.
    package mutating func handle(_ event: Event, at now: Moment, effects: inout [Effect]) {
        sessions.expire(ttl: fleet.policy.stickyTTL, at: now, limit: Self.expiredAtOnce)
        switch event {
        case .requestArrived(let ticket, let traits): arrived(ticket, traits, now, &effects)
        case .requestCancelled(let ticket):
            if line.remove(ticket) == nil {
                ended(ticket, Outcome(.abandoned), now, &effects)
            } else {
                settle(ticket, nil, isAnswered: false, at: now)
            }
        case .finished(let ticket, let outcome): ended(ticket, outcome, now, &effects)
        case .attemptFailed(let ticket, let failure): attemptFailed(ticket, failure, now, &effects)
        case .answerBegan(let ticket): answerBegan(ticket, now, &effects)
        case .stalled(let ticket): stalled(ticket, &effects)
        case .probed(let id, let report): probed(id, report, now, &effects)
        case .probeFailed(let id, let reason, let engineListens): probeFailed(id, reason, engineListens, now, &effects)
        case .modelsListed(let id, let models): listed(id, models, now, &effects)
        case .fleetChanged(let fleet): changeFleet(fleet, now, &effects)
        case .figuresRestored(let saved): restore(saved)
        case .drain(let id):
            guard let index = indexOfBackend[id] else { return }
            backends[index].isDraining = true
            // Requests that waited for this server may go to the next one in the fallback order.
            serveWaiting(now, &effects)
        case .undrain(let id):
            guard let index = indexOfBackend[id] else { return }
            backends[index].isDraining = false
            serveWaiting(now, &effects)
        case .clockAdvanced: clockAdvanced(now, &effects)
        }
    }

    /// The same for tests and replays.
    package mutating func handle(_ event: Event, at now: Moment) -> [Effect] {
        var effects: [Effect] = []
        handle(event, at: now, effects: &effects)
        return effects
    }
}
