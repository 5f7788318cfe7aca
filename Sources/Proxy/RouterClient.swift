import NIOCore
package import Routing

/// An owner of tickets: what the router decides about its requests goes to it. The event loops are such owners; others may be.
package protocol RouterClient: Sendable {
    /// Effects have come for it: `SharedRouter.collect` has to be called soon, on the thread where its requests live.
    ///
    /// Called from any thread, with no lock held, and not again until the effects have been collected.
    func effectsArrived()

    /// An administrator ends that request. Called from any thread.
    func cancel(_ ticket: Ticket)
}

/// Effects on their way to one owner, in the order in which they were decided.
///
/// `SharedRouter` fills it under its lock. An owner that carries out one effect after the other therefore keeps that order,
/// also when carrying one out sends an event whose effects come here too.
package struct Inbox: Sendable {
    var effects: [Effect] = []
    private var taken = 0

    package init() {}

    /// The next effect to carry out; nil when there is none.
    package mutating func next() -> Effect? {
        guard taken < effects.count else {
            effects.removeAll(keepingCapacity: true)
            taken = 0
            return nil
        }
        defer { taken += 1 }
        return effects[taken]
    }
}

/// An event loop as an owner of requests.
struct LoopClient: RouterClient {
    let eventLoop: any EventLoop
    let context: NIOLoopBound<LoopContext>

    func effectsArrived() {
        onLoop { context in
            context.router.collect(for: context.index, into: &context.inbox)
            context.deliver()
        }
    }

    func cancel(_ ticket: Ticket) { onLoop { $0.cancel(ticket) } }

    private func onLoop(_ body: @escaping @Sendable (LoopContext) -> Void) {
        eventLoop.execute {
            context.value.readClock()
            body(context.value)
        }
    }
}

extension SharedRouter {
    /// From a loop: effects for its own requests have been carried out when this returns.
    func send(_ event: Event, from context: LoopContext) {
        send(event, from: context.index, at: context.now, into: &context.inbox)
        context.deliver()
    }
}
