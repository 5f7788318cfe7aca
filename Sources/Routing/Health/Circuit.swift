/// Keeps requests away from a server that fails the requests for a model although its probes succeed. A server that fails
/// immediately is always idle, and would otherwise attract all the load.
///
/// closed ─ several failures in a row ─▶ open ─ its pause is over, one request goes there ─▶ trying ─ it is answered ─▶ closed
///                                        ▲                                                    │
///                                        └───────────── it fails: twice the pause ────────────┘
package struct Circuit: Sendable, Equatable {
    enum State: Equatable, Sendable {
        /// Takes requests. Entered at start, and when a trial succeeds. `failures` counts failures in a row.
        case closed(failures: Int)
        /// Takes no requests until that moment. Left when the next request after that moment becomes the trial.
        case open(until: Moment, pause: Interval)
        /// One request, the trial, is in flight. Left when it is answered, fails, or is abandoned.
        case trying(Ticket, pause: Interval)
    }

    private(set) var state = State.closed(failures: 0)
    /// When the current series of failures began; nil while the last request succeeded.
    private(set) var failingSince: Moment?
    private var lastFailedAt = Moment.zero
    /// A description of the last failure.
    package private(set) var lastFailure = ""

    init() {}

    var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    /// A trial is in progress.
    var isTrying: Bool {
        if case .trying = state { true } else { false }
    }

    /// Seconds that recent failures add to the price of a request: two for each failure in a row after the first, and less with every
    /// second since. Otherwise a server that works again would never get the request that shows it.
    func penalty(at now: Moment) -> Double {
        guard case .closed(let failures) = state, failures > 1 else { return 0 }
        return 2 * Double(failures - 1) * max(0, 1 - (now.seconds - lastFailedAt.seconds) / Self.penaltyTime)
    }

    /// Seconds after which a failure no longer counts.
    private static let penaltyTime = 4.0

    /// That request is the trial in progress.
    func isTrial(_ ticket: Ticket) -> Bool {
        if case .trying(ticket, _) = state { true } else { false }
    }

    /// When the next trial may begin; nil when the circuit is not open.
    var opensForTrialAt: Moment? {
        if case .open(let until, _) = state { until } else { nil }
    }

    /// Whether the server may take a request now.
    func admits(at now: Moment) -> Bool {
        switch state {
        case .closed: true
        case .open(let until, _): until <= now
        case .trying: false
        }
    }

    /// A request starts on the server. True when it is the trial.
    mutating func began(_ ticket: Ticket, at now: Moment) -> Bool {
        guard case .open(let until, let pause) = state, until <= now else { return false }
        state = .trying(ticket, pause: pause)
        return true
    }

    /// A request failed on the server. True when the circuit opens, or opens again.
    mutating func failed(_ ticket: Ticket, reason: String, policy: RoutingPolicy, at now: Moment) -> Bool {
        lastFailure = reason
        lastFailedAt = now
        if failingSince == nil { failingSince = now }
        let pause: Interval
        switch state {
        case .closed(let failures):
            guard failures + 1 >= policy.failuresUntilOpen else {
                state = .closed(failures: failures + 1)
                return false
            }
            pause = policy.circuitPause
        case .trying(ticket, let last):
            pause = min(Interval(nanoseconds: last.nanoseconds &* 2), policy.longestCircuitPause)
        // The request was sent before the circuit opened.
        case .open, .trying: return false
        }
        state = .open(until: now + pause, pause: pause)
        return true
    }

    /// Something else than a request shows that requests fail. True when the circuit opens.
    mutating func opened(for pause: Interval, reason: String, at now: Moment) -> Bool {
        guard isClosed else { return false }
        lastFailure = reason
        lastFailedAt = now
        if failingSince == nil { failingSince = now }
        state = .open(until: now + pause, pause: pause)
        return true
    }

    /// The server answered a request. True when the answer closes the circuit.
    mutating func succeeded(_ ticket: Ticket) -> Bool {
        switch state {
        case .closed:
            self = Circuit()
            return false
        case .trying(ticket, _):
            self = Circuit()
            return true
        // A request that was sent before the circuit opened says nothing about the server's present state.
        case .open, .trying: return false
        }
    }

    /// A request ended without showing whether the server works. The next request may become the trial.
    mutating func abandoned(_ ticket: Ticket, at now: Moment) {
        guard case .trying(ticket, let pause) = state else { return }
        state = .open(until: now, pause: pause)
    }
}
