package import NIOCore
package import Routing
import NIOConcurrencyHelpers

/// The one lock around the router. Effects are carried out after it is free, each by the owner of its request.
///
/// Under the lock every effect is put into its owner's mailbox, so each owner gets them in the order in which they were decided.
package final class SharedRouter: Sendable {
    private struct Mailbox: Sendable {
        var effects: [Effect] = []
        /// The owner has been told and has not collected since.
        var isAnnounced = false
        /// Nil until the owner is ready: its effects are kept for it.
        var client: (any RouterClient)?

        mutating func empty(into inbox: inout Inbox) {
            guard !effects.isEmpty else { return }
            inbox.effects += effects
            effects.removeAll(keepingCapacity: true)
        }
    }

    private struct State: Sendable {
        var router: Router
        /// By their owners' numbers. What is in one never exceeds what its owner's own requests are owed.
        var mailboxes: [Mailbox] = []
        /// Nil unless somebody wants one.
        var recording: Recording?
    }

    /// What is to be done once the lock is free.
    private struct Errands {
        var announcements: [any RouterClient] = []
        /// Effects that concern no request.
        var effects: [Effect] = []
    }

    private let state: NIOLockedValueBox<State>
    /// Those of the router's present fleet; written under the lock of `state`.
    private let patterns: NIOLockedValueBox<FleetPatterns>
    private let probeNow = NIOLockedValueBox<(@Sendable (BackendID) -> Void)?>(nil)
    private let clock: (any EventLoop)?

    /// - Parameter eventLoops: the first one keeps the router's time.
    package init(_ router: Router = Router(), eventLoops: [any EventLoop]) {
        state = NIOLockedValueBox(State(router: router))
        patterns = NIOLockedValueBox(router.patterns)
        clock = eventLoops.first
    }

    /// Who is told that a server should be probed at once.
    package func onProbeNow(_ action: @escaping @Sendable (BackendID) -> Void) { probeNow.withLockedValue { $0 = action } }

    // MARK: Owners

    /// A new owner, whose number goes into its tickets; 65,536 at most. Effects are kept for it until it is `attach`ed.
    package func addOwner() -> Int {
        state.withLockedValue { state in
            state.mailboxes.append(Mailbox())
            return state.mailboxes.count - 1
        }
    }

    /// Gives the owner's effects to that client from now on.
    package func attach(_ client: any RouterClient, as owner: Int) {
        let hasMail = state.withLockedValue { state in
            state.mailboxes[owner].client = client
            state.mailboxes[owner].isAnnounced = !state.mailboxes[owner].effects.isEmpty
            return state.mailboxes[owner].isAnnounced
        }
        if hasMail { client.effectsArrived() }
    }

    // MARK: Events

    /// An owner says what has happened. Its own effects are in its inbox when this returns, behind all that were decided earlier.
    package func send(_ event: Event, from owner: Int, at now: Moment, into inbox: inout Inbox) {
        var errands = Errands()
        state.withLockedValue { state in
            state.mailboxes[owner].empty(into: &inbox)
            let known = inbox.effects.count
            handle(event, at: now, &state, &inbox.effects)
            // Those for others are taken out again; most often there are none.
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

    /// Somebody without requests of its own says what has happened.
    package func send(_ event: Event) {
        let now = Clock.now
        var errands = Errands()
        state.withLockedValue { state in
            var effects: [Effect] = []
            handle(event, at: now, &state, &effects)
            for effect in effects { Self.post(effect, &state.mailboxes, &errands) }
        }
        carryOut(errands)
    }

    /// Puts what has come for that owner into its inbox.
    package func collect(for owner: Int, into inbox: inout Inbox) {
        state.withLockedValue { state in
            state.mailboxes[owner].isAnnounced = false
            state.mailboxes[owner].empty(into: &inbox)
        }
    }

    private func handle(_ event: Event, at now: Moment, _ state: inout State, _ effects: inout [Effect]) {
        state.recording?.record(event, at: now)
        state.router.handle(event, at: now, effects: &effects)
        if case .fleetChanged = event { patterns.withLockedValue { $0 = state.router.patterns } }
    }

    // MARK: Recording

    /// Keeps all events from now on, instead of those of an earlier recording.
    ///
    /// - Parameter limit: at most this many are kept, the first ones.
    /// - Returns: the router as it is now. A replay has to begin with it.
    package func startRecording(limit: Int) -> Router {
        state.withLockedValue { state in
            state.recording = Recording(limit: limit)
            return state.router
        }
    }

    /// What has happened since `startRecording`; nil when nobody asked for a recording.
    package func recording() -> Recording? { state.withLockedValue { $0.recording } }

    /// Makes that matcher know the present fleet. Called before each use; the router is not asked.
    func update(_ matcher: inout ModelMatcher) {
        let known = matcher.fleetNumber
        if let new = patterns.withLockedValue({ $0.fleetNumber == known ? nil : $0 }) { matcher = ModelMatcher(new) }
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
            case .wakeMe(let moment): clock?.scheduleTask(deadline: moment.deadline) { self.send(.clockAdvanced) }
            case .grant, .refuse, .keepAnswer, .serverLost: break  // an owner's business
            }
        }
    }

    // MARK: What the router knows

    package func snapshot(sessionLimit: Int = 1000) -> FleetSnapshot {
        let now = Clock.now
        return state.withLockedValue { $0.router.snapshot(at: now, sessionLimit: sessionLimit) }
    }

    package func requests() -> [FleetSnapshot.Request] { state.withLockedValue { $0.router.requests() } }

    package func decisions(requestID: String) -> [DecisionRecord] {
        state.withLockedValue { $0.router.decisions(requestID: requestID) }
    }

    /// How many wait in front of that request; nil when it does not wait.
    func ahead(of ticket: Ticket) -> Int? { state.withLockedValue { $0.router.ahead(of: ticket) } }

    /// Requests in flight on that server.
    package func inFlight(of id: BackendID) -> Int { state.withLockedValue { $0.router.inFlight(of: id) } }

    package var canTakeWork: Bool { state.withLockedValue { $0.router.canTakeWork } }

    package enum Cancellation: Equatable, Sendable {
        case cancelled
        case notFound
        /// So many requests have that id; none of them was ended.
        case ambiguous(Int)
    }

    /// Ends a request, waiting or running.
    package func cancel(requestID: String) -> Cancellation {
        let found = requests().filter { $0.traits.requestID == requestID }
        guard let ticket = found.first?.ticket else { return .notFound }
        guard found.count == 1 else { return .ambiguous(found.count) }
        let client = state.withLockedValue { state in
            ticket.owner < state.mailboxes.count ? state.mailboxes[ticket.owner].client : nil
        }
        client?.cancel(ticket)
        return .cancelled
    }
}
