/// Keeps work away from a server that fails the requests for a model although its probes are fine. A server that fails at
/// once is always idle, and would otherwise attract all the load.
///
/// closed ─ several failures in a row ─▶ open ─ its pause is over, one request goes there ─▶ trying ─ it is answered ─▶ closed
///                                        ▲                                                    │
///                                        └───────────── it fails: twice the pause ────────────┘
package struct Circuit: Sendable, Equatable {
    enum State: Equatable, Sendable {
        /// Takes requests. Entered at start, and when a trial was answered. `failures` counts failures in a row.
        case closed(failures: Int)
        /// Takes no requests until that moment. Left by the first request after it, which becomes the trial.
        case open(until: Moment, pause: Interval)
        /// One request is there to find out. Left when it is answered, fails, or is given up.
        case trying(Ticket, pause: Interval)
    }

    private(set) var state = State.closed(failures: 0)
    /// Since when every request has failed; nil while the last one went well.
    private(set) var failingSince: Moment?
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

    /// When the next trial may begin; nil when the circuit is not open.
    var opensForTrialAt: Moment? {
        if case .open(let until, _) = state { until } else { nil }
    }

    /// Whether a request may go there now.
    func admits(at now: Moment) -> Bool {
        switch state {
        case .closed: true
        case .open(let until, _): until <= now
        case .trying: false
        }
    }

    /// A request goes there. True when it is the trial.
    mutating func began(_ ticket: Ticket, at now: Moment) -> Bool {
        guard case .open(let until, let pause) = state, until <= now else { return false }
        state = .trying(ticket, pause: pause)
        return true
    }

    /// A request failed there. True when the circuit opens, or opens again.
    mutating func failed(_ ticket: Ticket, reason: String, policy: RoutingPolicy, at now: Moment) -> Bool {
        lastFailure = reason
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
        // One that was sent before the circuit opened.
        case .open, .trying: return false
        }
        state = .open(until: now + pause, pause: pause)
        return true
    }

    /// A request was answered there. True when that closes the circuit.
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

    /// A request ended there without showing whether the server works: the next one may try.
    mutating func abandoned(_ ticket: Ticket, at now: Moment) {
        guard case .trying(ticket, let pause) = state else { return }
        state = .open(until: now, pause: pause)
    }
}
