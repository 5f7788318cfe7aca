import Dispatch
import Foundation
import Logging
import NIOConcurrencyHelpers
import Proxy

/// Writes the access log's lines from one thread of its own, so that a slow disk, or a pipe that nobody reads, never holds up a
/// loop. Lines that cannot be written are dropped, counted and reported, not kept for ever.
final class AccessLogWriter: AccessLogSink {
    private struct State {
        var output: OutputDescriptor
        /// Bytes handed over and not yet written.
        var pending = 0
        /// Lines that were never written, since the start.
        var dropped = 0
        /// How many of these have been reported, and when.
        var told = 0
        var toldAt: ContinuousClock.Instant?
        /// The moment after which the writer no longer waits for room. Nil until the program ends.
        var deadline: ContinuousClock.Instant?
    }

    private let path: String?
    private let state: NIOLockedValueBox<State>
    private let pendingLimit: Int
    private let reportInterval: Duration
    private let logger: Logger
    private let queue = DispatchQueue(label: "access-log")

    /// Nil when the log is off.
    ///
    /// - Throws: `AccessLogProblem` when the file cannot be opened.
    convenience init?(_ setting: Configuration.AccessLog, logger: Logger) throws {
        switch setting {
        case .off: return nil
        case .standardOutput: self.init(to: .standardOutput, path: nil, logger: logger)
        case .file(let path): self.init(to: try Self.open(path), path: path, logger: logger)
        }
    }

    /// - Parameters:
    ///   - path: the file that `reopen` opens; nil: it opens nothing.
    ///   - pendingLimit: bytes kept for an output that does not accept them; beyond this limit, lines are dropped.
    ///   - reportInterval: the time between two reports of dropped lines, so that a failing access log does not fill the program's log.
    init(
        to output: OutputDescriptor, path: String?, pendingLimit: Int = 64 << 20, reportInterval: Duration = .seconds(60),
        logger: Logger
    ) {
        self.path = path
        self.pendingLimit = pendingLimit
        self.reportInterval = reportInterval
        self.logger = logger
        state = NIOLockedValueBox(State(output: output))
    }

    /// Lines that could not be written, since the start.
    var droppedLines: Int { state.withLockedValue { $0.dropped } }

    func write(_ lines: [UInt8]) {
        let fits = state.withLockedValue { state in
            guard state.pending + lines.count <= pendingLimit else { return false }
            state.pending += lines.count
            return true
        }
        if fits { queue.async { [self] in put(lines) } } else { drop(lines) }
    }

    private func drop(_ lines: [UInt8]) {
        let count = lines.reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
        state.withLockedValue { $0.dropped += count }
    }

    /// Runs on the log's own thread.
    private func put(_ lines: [UInt8]) {
        let output = state.withLockedValue { $0.output }
        var reason: String?
        do throws(OutputProblem) {
            try output.write(lines) {
                tellDropped(because: "they are not taken as fast as they come")
                return mayWait
            }
        } catch {
            reason = error.description
        }
        state.withLockedValue { $0.pending -= lines.count }
        if reason != nil { drop(lines) }
        tellDropped(because: reason ?? "they were not taken as fast as they came")
    }

    private var mayWait: Bool {
        state.withLockedValue { state in state.deadline.map { ContinuousClock.now < $0 } ?? true }
    }

    /// Reports the first dropped lines at once, later ones once per `reportInterval`.
    private func tellDropped(because reason: String) {
        let now = ContinuousClock.now
        let dropped: Int? = state.withLockedValue { state in
            guard state.dropped > state.told, state.toldAt.map({ $0 + reportInterval <= now }) ?? true else { return nil }
            (state.told, state.toldAt) = (state.dropped, now)
            return state.dropped
        }
        guard let dropped else { return }
        logger.warning(
            "lines of the access log are dropped", metadata: ["lines so far": "\(dropped)", "reason": "\(reason)"])
    }

    /// Opens the file again, for log rotation.
    func reopen() {
        guard let path else { return }
        do {
            let output = try Self.open(path)
            state.withLockedValue { $0.output = output }
        } catch {
            logger.warning("\(error); its lines go to where the old file is now")
        }
    }

    /// Returns when everything is written, or when the deadline has passed and nobody has taken the rest.
    func close(by deadline: ContinuousClock.Instant) async {
        state.withLockedValue { $0.deadline = deadline }
        await withCheckedContinuation { done in queue.async { done.resume() } }
        let (dropped, told) = state.withLockedValue { ($0.dropped, $0.told) }
        if dropped > told {
            logger.warning("lines of the access log were dropped", metadata: ["lines": "\(dropped)"])
        }
    }

    private static func open(_ path: String) throws(AccessLogProblem) -> OutputDescriptor {
        do {
            let number = try NamedFile.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o640)
            return OutputDescriptor(number, name: path, isOwned: true)
        } catch {
            throw AccessLogProblem(description: "access-log: cannot open \(path): \(error)")
        }
    }
}

struct AccessLogProblem: Error, CustomStringConvertible {
    var description: String
}
