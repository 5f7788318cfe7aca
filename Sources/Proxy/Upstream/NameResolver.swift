import Foundation
import NIOConcurrencyHelpers
package import NIOCore

/// Looks up host names for the proxy and for the probes, outside the event loops: a lookup that is never answered only delays
/// requests that need that name. `NameTable` decides when to look up a name.
package final class NameResolver: Sendable {
    /// Finds a host's addresses, in the order to try them; their ports are ignored. Blocks.
    package typealias LookUp = @Sendable (_ host: String) throws(LookUpFailure) -> [SocketAddress]

    /// The most lookups that run at the same time, each on its own thread. There is at most one for each name, so a working
    /// name has to wait only when more names than this do not answer.
    package static let maximumLookUps = 64

    private let lookUp: LookUp
    private let table = NIOLockedValueBox(NameTable<EventLoopPromise<[SocketAddress]>>(limit: maximumLookUps))

    package init(lookUp: @escaping LookUp = SystemLookUp.addresses) { self.lookUp = lookUp }

    /// A question to the resolver that can be withdrawn.
    struct Question: Sendable {
        /// Fails with `LookUpFailure`.
        let addresses: EventLoopFuture<[SocketAddress]>
        /// The answer is no longer needed.
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

    /// A connection to the name's addresses failed: they may have changed.
    func connectFailed(_ name: String) {
        let starts = table.withLockedValue { table in
            table.connectFailed(name, at: Clock.now)
            return table.starts()
        }
        begin(starts)
    }

    /// Each lookup runs on its own thread, so that a lookup that hangs does not delay others.
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
