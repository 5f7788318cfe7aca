package import NIOCore
package import Routing
import NIOConcurrencyHelpers

/// The one lock around the router. Effects run after it is free, each on the loop of its request.
package final class SharedRouter: Sendable {
    private let router: NIOLockedValueBox<Router>
    private let loops = NIOLockedValueBox<[NIOLoopBound<LoopContext>]>([])
    private let probeNow = NIOLockedValueBox<(@Sendable (BackendID) -> Void)?>(nil)
    private let eventLoops: [any EventLoop]

    package init(_ router: Router = Router(), eventLoops: [any EventLoop]) {
        self.router = NIOLockedValueBox(router)
        self.eventLoops = eventLoops
    }

    func attach(_ contexts: [NIOLoopBound<LoopContext>]) { loops.withLockedValue { $0 = contexts } }

    /// Who is told that a server should be probed at once.
    package func onProbeNow(_ action: @escaping @Sendable (BackendID) -> Void) { probeNow.withLockedValue { $0 = action } }

    /// From a loop: effects for its own requests run before this returns.
    func send(_ event: Event, from context: LoopContext) {
        // Taken out and put back: an effect may send the next event, which then finds an empty one.
        var effects = context.effects
        context.effects = []
        handle(event, at: context.now, &effects)
        for effect in effects {
            switch loopIndex(effect) {
            case context.index: context.deliver(effect)
            case let loop?: deliver(effect, toLoop: loop)
            case nil: carryOut(effect)
            }
        }
        effects.removeAll(keepingCapacity: true)
        context.effects = effects
    }

    /// From anywhere else.
    package func send(_ event: Event) {
        var effects: [Effect] = []
        handle(event, at: Clock.now, &effects)
        for effect in effects {
            if let loop = loopIndex(effect) { deliver(effect, toLoop: loop) } else { carryOut(effect) }
        }
    }

    package func snapshot(sessionLimit: Int = 1000) -> FleetSnapshot {
        let now = Clock.now
        return router.withLockedValue { $0.snapshot(at: now, sessionLimit: sessionLimit) }
    }

    package func requests() -> [FleetSnapshot.Request] { router.withLockedValue { $0.requests() } }

    package func decisions(requestID: String) -> [DecisionRecord] {
        router.withLockedValue { $0.decisions(requestID: requestID) }
    }

    /// How many wait in front of that request; nil when it does not wait.
    func ahead(of ticket: Ticket) -> Int? { router.withLockedValue { $0.ahead(of: ticket) } }

    /// Requests in flight on that server.
    package func inFlight(of id: BackendID) -> Int { router.withLockedValue { $0.inFlight(of: id) } }

    package var canTakeWork: Bool { router.withLockedValue { $0.canTakeWork } }

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
        onLoop(ticket.loop) { $0.cancel(ticket) }
        return .cancelled
    }

    private func handle(_ event: Event, at now: Moment, _ effects: inout [Effect]) {
        router.withLockedValue { $0.handle(event, at: now, effects: &effects) }
    }

    /// The loop whose request the effect concerns; nil for effects that concern none.
    private func loopIndex(_ effect: Effect) -> Int? {
        switch effect {
        case .grant(let ticket, _), .refuse(let ticket, _), .keepAnswer(let ticket), .serverLost(let ticket): ticket.loop
        case .probeNow, .wakeMe: nil
        }
    }

    private func carryOut(_ effect: Effect) {
        switch effect {
        case .probeNow(let backend): probeNow.withLockedValue { $0 }?(backend)
        case .wakeMe(let moment):
            eventLoops.first?.scheduleTask(deadline: moment.deadline) { self.send(.clockAdvanced) }
        case .grant, .refuse, .keepAnswer, .serverLost: break
        }
    }

    private func deliver(_ effect: Effect, toLoop index: Int) { onLoop(index) { $0.deliver(effect) } }

    private func onLoop(_ index: Int, _ body: @escaping @Sendable (LoopContext) -> Void) {
        let bound = loops.withLockedValue { index < $0.count ? $0[index] : nil }
        guard let bound, index < eventLoops.count else { return }
        eventLoops[index].execute {
            bound.value.readClock()
            body(bound.value)
        }
    }
}
