import NIOConcurrencyHelpers
import Synchronization

/// Limits the number of connected clients (`limits.connections`).
final class ConnectionLimit: Sendable {
    private let maximum: Int
    private let open = Atomic(0)
    /// A listener has stopped accepting and waits for `onRoom`.
    private let isAwaited = Atomic(false)
    private let onRoom = NIOLockedValueBox<[@Sendable () -> Void]>([])

    init(_ maximum: Int) { self.maximum = maximum }

    private var isReached: Bool { open.load(ordering: .sequentiallyConsistent) >= maximum }

    /// Each listener may accept one client more than it should.
    var isExceeded: Bool { open.load(ordering: .sequentiallyConsistent) > maximum }

    func opened() { open.add(1, ordering: .sequentiallyConsistent) }

    func closed() {
        open.subtract(1, ordering: .sequentiallyConsistent)
        guard isAwaited.load(ordering: .sequentiallyConsistent), !isReached else { return }
        if isAwaited.exchange(false, ordering: .sequentiallyConsistent) {
            for action in onRoom.withLockedValue({ $0 }) { action() }
        }
    }

    /// Adds an action to call when there is room again after `hasRoom` returned false. It is called on any thread.
    func onRoom(_ action: @escaping @Sendable () -> Void) { onRoom.withLockedValue { $0.append(action) } }

    /// Whether another client may connect. If not, all listeners are told when there is room.
    func hasRoom() -> Bool {
        guard isReached else { return true }
        isAwaited.store(true, ordering: .sequentiallyConsistent)
        // A client may have disconnected in between, without seeing that the listener waits.
        return !isReached && isAwaited.exchange(false, ordering: .sequentiallyConsistent)
    }
}
