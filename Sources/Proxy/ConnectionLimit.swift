import NIOConcurrencyHelpers
import Synchronization

/// How many clients may be connected at once (`limits.connections`).
final class ConnectionLimit: Sendable {
    private let maximum: Int
    private let open = Atomic(0)
    /// The listener has stopped accepting, and is waiting for `onRoom`.
    private let isAwaited = Atomic(false)
    private let onRoom = NIOLockedValueBox<(@Sendable () -> Void)?>(nil)

    init(_ maximum: Int) { self.maximum = maximum }

    private var isReached: Bool { open.load(ordering: .sequentiallyConsistent) >= maximum }

    func opened() { open.add(1, ordering: .sequentiallyConsistent) }

    func closed() {
        open.subtract(1, ordering: .sequentiallyConsistent)
        guard isAwaited.load(ordering: .sequentiallyConsistent), !isReached else { return }
        if isAwaited.exchange(false, ordering: .sequentiallyConsistent) { onRoom.withLockedValue { $0 }?() }
    }

    /// Who is told that there is room again, on any thread, once for each `hasRoom` that was false.
    func onRoom(_ action: @escaping @Sendable () -> Void) { onRoom.withLockedValue { $0 = action } }

    /// Whether another client may come; if not, the listener is told when.
    func hasRoom() -> Bool {
        guard isReached else { return true }
        isAwaited.store(true, ordering: .sequentiallyConsistent)
        // One may have left in between, without knowing that it is waited for.
        return !isReached && isAwaited.exchange(false, ordering: .sequentiallyConsistent)
    }
}
