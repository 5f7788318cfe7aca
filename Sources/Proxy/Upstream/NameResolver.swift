import Foundation
import NIOConcurrencyHelpers
package import NIOCore

/// Looks up host names for the proxy and for the probes, off the event loops: a name that is never answered keeps nobody
/// waiting but those who want that name. `NameTable` says what happens when.
package final class NameResolver: Sendable {
    /// Finds a host's addresses (their ports do not matter), in the order to try them. Blocks.
    package typealias LookUp = @Sendable (_ host: String) throws(LookUpFailure) -> [SocketAddress]

    /// Look-ups that run at a time, each on a thread of its own. There is at most one for each name, so only a fleet with more
    /// dead names than this makes a good name wait for one of them.
    package static let maximumLookUps = 64

    private let lookUp: LookUp
    private let table = NIOLockedValueBox(NameTable<EventLoopPromise<[SocketAddress]>>(limit: maximumLookUps))

    package init(lookUp: @escaping LookUp = SystemLookUp.addresses) { self.lookUp = lookUp }

    /// One question, which can be withdrawn.
    struct Question: Sendable {
        /// Fails with `LookUpFailure`.
        let addresses: EventLoopFuture<[SocketAddress]>
        /// The answer is not wanted any more.
        let withdraw: @Sendable () -> Void
    }

    func ask(_ name: String, on loop: any EventLoop) -> Question {
        let (reply, starts) = table.withLockedValue { table in
            let reply = table.ask(name, at: Clock.now, waiter: loop.makePromise())
            return (reply, table.starts())
        }
        defer { begin(starts) }
        switch reply {
        case .known(let addresses): return Question(addresses: loop.makeSucceededFuture(addresses), withdraw: {})
        case .failed(let reason): return Question(addresses: loop.makeFailedFuture(LookUpFailure(reason)), withdraw: {})
        case .later(let waiter, let promise):
            return Question(addresses: promise.futureResult) { [table] in
                let left = table.withLockedValue { $0.leave(name, waiter) }
                left?.fail(LookUpFailure("not awaited any longer"))
            }
        }
    }

    /// A connection to the name could not be made: its addresses may have changed.
    func connectFailed(_ name: String) {
        let starts = table.withLockedValue { table in
            table.connectFailed(name, at: Clock.now)
            return table.starts()
        }
        begin(starts)
    }

    /// On threads of their own: a look-up that hangs holds up no other.
    private func begin(_ names: [String]) {
        for name in names {
            Thread.detachNewThread { [self] in
                let result = Result { () throws(LookUpFailure) in try lookUp(name) }
                let (waiters, starts) = table.withLockedValue { table in
                    let waiters = table.ended(name, result, at: Clock.now)
                    return (waiters, table.starts())
                }
                for waiter in waiters { waiter.completeWith(result.mapError { $0 }) }
                begin(starts)
            }
        }
    }
}
