package import NIOCore
package import Routing
import NIOConcurrencyHelpers
import Synchronization

/// The single lock around the router. Effects are carried out after the lock is released, each by the owner of its request.
///
/// Every effect is put into its owner's mailbox under the lock, so each owner receives its effects in the order in which they
/// were decided.
package final class SharedRouter: Sendable {
    private struct Mailbox: Sendable {
        var effects: [Effect] = []
        /// The owner has been notified and has not collected its effects yet.
        var isAnnounced = false
        /// Nil until the owner is attached; its effects are kept until then.
        var client: (any RouterClient)?

        mutating func empty(into inbox: inout Inbox) {
            guard !effects.isEmpty else { return }
            inbox.effects += effects
            effects.removeAll(keepingCapacity: true)
        }
    }

    private struct State: ~Copyable, Sendable {
        var router = Router()
        /// By owner number. A mailbox contains only effects for its owner's own requests, so its size is bounded by their
        /// number.
        var mailboxes: [Mailbox] = []
        /// Nil when no recording was requested.
        var recording: Recording?
        var decisionTimes = DecisionTimes()
    }

    /// Actions to carry out after the lock is released.
    private struct Errands {
        var announcements: [any RouterClient] = []
        /// Effects that concern no request.
        var effects: [Effect] = []
    }

    private let state: Mutex<State>
    /// The patterns of the router's current fleet. Written under the lock of `state`.
    private let patterns: NIOLockedValueBox<FleetPatterns>
    /// The number of that fleet: loops read it for every request, and a lock would be one more thing that they share.
    private let fleetNumber: Synchronization.Atomic<Int>
    private let probeNow = NIOLockedValueBox<(@Sendable (BackendID) -> Void)?>(nil)
    private let serverNews = NIOLockedValueBox<(@Sendable (String, ServerNews) -> Void)?>(nil)
    private let clock: (any EventLoop)?

    /// - Parameters:
    ///   - eventLoops: the first loop runs the router's timers.
    ///   - recordingLimit: the most events to record. Later events are not recorded; with nil, none is.
    package init(eventLoops: [any EventLoop], recordingLimit: Int? = nil) {
        let initial = State(recording: recordingLimit.map { Recording(limit: $0) })
        patterns = NIOLockedValueBox(initial.router.patterns)
        fleetNumber = Synchronization.Atomic(initial.router.patterns.fleetNumber)
        state = Mutex(initial)
        clock = eventLoops.first
    }

    /// Sets the action to call when a server should be probed at once.
    package func onProbeNow(_ action: @escaping @Sendable (BackendID) -> Void) { probeNow.withLockedValue { $0 = action } }

    /// Sets the action to call with a server's name when there is something to tell about it. Must not block.
    package func onServerNews(_ action: @escaping @Sendable (String, ServerNews) -> Void) {
        serverNews.withLockedValue { $0 = action }
    }

    // MARK: Owners

    /// Adds an owner and returns its number, which is part of its tickets; 65,536 owners at most. Effects are kept for the
    /// owner until it is attached with `attach`.
    package func addOwner() -> Int {
        state.withLock { state in
            state.mailboxes.append(Mailbox())
            return state.mailboxes.count - 1
        }
    }

    /// From now on, delivers the owner's effects to that client.
    package func attach(_ client: any RouterClient, as owner: Int) {
        let hasMail = state.withLock { state in
            state.mailboxes[owner].client = client
            state.mailboxes[owner].isAnnounced = !state.mailboxes[owner].effects.isEmpty
            return state.mailboxes[owner].isAnnounced
        }
        if hasMail { client.effectsArrived() }
    }

    // MARK: Events

    /// Handles an event from an owner. When this returns, the owner's own effects are in its inbox, after all that were
    /// decided earlier.
    package func send(_ event: Event, from owner: Int, at now: Moment, into inbox: inout Inbox) {
        var errands = Errands()
        state.withLock { state in
            state.mailboxes[owner].empty(into: &inbox)
            let known = inbox.effects.count
            handle(event, at: now, &state, &inbox.effects)
            // Effects for other owners are removed from the inbox again; usually there are none.
            var kept = known
            for index in known..<inbox.effects.count {
                if inbox.effects[index].ticket?.owner != owner {
                    Self.post(inbox.effects[index], &state.mailboxes, &errands)
                } else {
                    if kept != index { inbox.effects[kept] = inbox.effects[index] }
                    kept += 1
                }
            }
            inbox.effects.removeSubrange(kept...)
        }
        carryOut(errands)
    }

    /// Handles an event from a sender without requests of its own.
    package func send(_ event: Event) {
        let now = Clock.now
        var errands = Errands()
        state.withLock { state in
            var effects: [Effect] = []
            handle(event, at: now, &state, &effects)
            for effect in effects { Self.post(effect, &state.mailboxes, &errands) }
        }
        carryOut(errands)
    }

    /// Moves the owner's effects from its mailbox to its inbox.
    package func collect(for owner: Int, into inbox: inout Inbox) {
        state.withLock { state in
            state.mailboxes[owner].isAnnounced = false
            state.mailboxes[owner].empty(into: &inbox)
        }
    }

    private func handle(_ event: Event, at now: Moment, _ state: inout State, _ effects: inout [Effect]) {
        state.recording?.record(event, at: now)
        switch event {
        case .requestArrived:
            let start = Clock.now
            state.router.handle(event, at: now, effects: &effects)
            state.decisionTimes.add(Clock.now.milliseconds(since: start) / 1000)
        case .fleetChanged:
            state.router.handle(event, at: now, effects: &effects)
            let new = state.router.patterns
            patterns.withLockedValue { $0 = new }
            fleetNumber.store(new.fleetNumber, ordering: .releasing)
        default: state.router.handle(event, at: now, effects: &effects)
        }
    }

    /// All events so far; nil when none are recorded.
    package func recording() -> Recording? { state.withLock { $0.recording } }

    /// Updates the matcher to the current fleet. Called before each use. Does not take the router's lock.
    func update(_ matcher: inout ModelMatcher) {
        guard fleetNumber.load(ordering: .acquiring) != matcher.fleetNumber else { return }
        matcher = ModelMatcher(patterns.withLockedValue { $0 })
    }

    private static func post(_ effect: Effect, _ mailboxes: inout [Mailbox], _ errands: inout Errands) {
        guard let owner = effect.ticket?.owner else { return errands.effects.append(effect) }
        guard owner < mailboxes.count else { return }
        mailboxes[owner].effects.append(effect)
        guard let client = mailboxes[owner].client, !mailboxes[owner].isAnnounced else { return }
        mailboxes[owner].isAnnounced = true
        errands.announcements.append(client)
    }

    private func carryOut(_ errands: Errands) {
        for client in errands.announcements { client.effectsArrived() }
        for effect in errands.effects {
            switch effect {
            case .probeNow(let backend): probeNow.withLockedValue { $0 }?(backend)
            case .serverNews(let server, let news): serverNews.withLockedValue { $0 }?(server, news)
            case .wakeMe(let moment): clock?.scheduleTask(deadline: moment.deadline) { self.send(.clockAdvanced) }
            case .grant, .refuse, .keepAnswer, .requeued, .serverLost: break  // handled by the owner
            }
        }
    }

    // MARK: What the router knows

    package func snapshot(sessionLimit: Int = 1000) -> FleetSnapshot {
        let now = Clock.now
        return state.withLock { $0.router.snapshot(at: now, sessionLimit: sessionLimit) }
    }

    /// How long the decisions about arriving requests took.
    package func decisionTimes() -> DecisionTimes { state.withLock { $0.decisionTimes } }

    package func requests() -> [FleetSnapshot.Request] { state.withLock { $0.router.requests() } }

    package func decisions(requestID: String) -> [DecisionRecord] {
        state.withLock { $0.router.decisions(requestID: requestID) }
    }

    /// The number of requests that wait in front of that request; nil when it does not wait.
    func ahead(of ticket: Ticket) -> Int? { state.withLock { $0.router.ahead(of: ticket) } }

    /// Requests in flight on that server.
    package func inFlight(of id: BackendID) -> Int { state.withLock { $0.router.inFlight(of: id) } }

    /// What was learned of each server.
    package func savedFigures() -> [SavedFigures] { state.withLock { $0.router.savedFigures() } }

    package var canTakeWork: Bool { state.withLock { $0.router.canTakeWork } }

    package enum Cancellation: Equatable, Sendable {
        case cancelled
        case notFound
        /// Several requests have this ID; none of them was cancelled. The value is their number.
        case ambiguous(Int)
    }

    /// Cancels a waiting or running request.
    package func cancel(requestID: String) -> Cancellation {
        let found = requests().filter { $0.traits.requestID == requestID }
        guard let ticket = found.first?.ticket else { return .notFound }
        guard found.count == 1 else { return .ambiguous(found.count) }
        let client = state.withLock { state in
            ticket.owner < state.mailboxes.count ? state.mailboxes[ticket.owner].client : nil
        }
        client?.cancel(ticket)
        return .cancelled
    }
}
