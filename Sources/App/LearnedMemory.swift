import Logging
import NIOConcurrencyHelpers
import Proxy
import Routing

/// Keeps what the router has learned in a state file: read at the start, written once a minute if it has changed, and at the end.
final class LearnedMemory: Sendable {
    private static let interval = Duration.seconds(60)

    private struct State {
        var written: [SavedFigures] = []
        /// A file that cannot be written is reported once.
        var hasWarned = false
        /// Nothing is written any more.
        var isClosed = false
    }

    private let file: StateFile
    private let router: SharedRouter
    private let logger: Logger
    private let state = NIOLockedValueBox(State())
    private let task: NIOLockedValueBox<Task<Void, Never>?>

    init(_ file: StateFile, router: SharedRouter, logger: Logger) {
        self.file = file
        self.router = router
        self.logger = logger
        task = NIOLockedValueBox(nil)
        do {
            let saved = try file.read()
            if !saved.isEmpty { router.send(.figuresRestored(saved)) }
        } catch {
            logger.warning("what was learned before is not used, and will be replaced: \(error)")
        }
        let running = Task.detached { [weak self] in
            // Cancelled, it ends: the last writing is that of `close`.
            while (try? await Task.sleep(for: Self.interval)) != nil { self?.write() }
        }
        task.withLockedValue { $0 = running }
    }

    /// Writes what has been learned since it was written last.
    func write() { state.withLockedValue { write(&$0) } }

    /// The lock is held while the file is written, so that nobody else writes it at the same time.
    private func write(_ state: inout State) {
        let figures = router.savedFigures()
        // Nothing learned yet says nothing against what is in the file.
        guard !state.isClosed, !figures.isEmpty, state.written != figures else { return }
        do {
            try file.write(figures)
            state.written = figures
        } catch {
            if !state.hasWarned { logger.warning("what is learned of the servers is lost with a restart: \(error)") }
            state.hasWarned = true
        }
    }

    /// Writes for the last time.
    func close() {
        task.withLockedValue { $0 }?.cancel()
        state.withLockedValue { state in
            write(&state)
            state.isClosed = true
        }
    }
}
