import NIOCore
package import Routing

/// An owner of tickets. It receives the router's effects for its requests. Each event loop is an owner; other types can be
/// owners too.
package protocol RouterClient: Sendable {
    /// Effects have arrived for this owner. It must call `SharedRouter.collect` soon, on the thread that owns its requests.
    ///
    /// Called from any thread, with no lock held, and not again until the effects have been collected.
    func effectsArrived()

    /// An administrator cancels that request. Called from any thread.
    func cancel(_ ticket: Ticket)
}

/// Effects for one owner, in the order in which they were decided.
///
/// `SharedRouter` fills the inbox under its lock. An owner that carries out the effects one after the other therefore keeps
/// that order, even when carrying out one effect sends an event that adds further effects.
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

/// An event loop that owns requests.
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
    /// Sends an event from a loop. The effects for the loop's own requests have been carried out when this returns.
    func send(_ event: Event, from context: LoopContext) {
        send(event, from: context.index, at: context.now, into: &context.inbox)
        context.deliver()
    }
}
