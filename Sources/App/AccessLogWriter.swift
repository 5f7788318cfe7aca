import Foundation
import NIOPosix
import Proxy
import NIOConcurrencyHelpers

/// Writes the access log's lines from one thread of its own, so that a slow disk or pipe never holds up a loop.
final class AccessLogWriter: AccessLogSink {
    private struct State {
        var file: FileHandle
        /// Bytes handed over and not yet written; past a limit lines are dropped rather than memory eaten.
        var pending = 0
    }

    private static let pendingLimit = 64 << 20

    private let path: String?
    private let state: NIOLockedValueBox<State>
    private let queue = DispatchQueue(label: "access-log")

    /// Nil when the log is off.
    ///
    /// - Throws: when the file cannot be opened.
    init?(_ setting: Configuration.AccessLog) throws {
        switch setting {
        case .off: return nil
        case .standardOutput:
            path = nil
            state = NIOLockedValueBox(State(file: .standardOutput))
        case .file(let path):
            self.path = path
            state = NIOLockedValueBox(State(file: try Self.open(path)))
        }
    }

    func write(_ lines: [UInt8]) {
        let fits = state.withLockedValue { state in
            guard state.pending + lines.count <= Self.pendingLimit else { return false }
            state.pending += lines.count
            return true
        }
        guard fits else { return }
        queue.async { [self] in
            let file = state.withLockedValue { state in
                state.pending -= lines.count
                return state.file
            }
            try? file.write(contentsOf: lines)
        }
    }

    /// Opens the file anew, for those who move logs away.
    func reopen() {
        guard let path, let file = try? Self.open(path) else { return }
        state.withLockedValue { $0.file = file }
    }

    /// Returns when everything is written.
    func close() { queue.sync {} }

    private static func open(_ path: String) throws -> FileHandle {
        let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw AccessLogProblem(description: "access-log: cannot open \(path): \(String(cString: strerror(errno)))")
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
}

struct AccessLogProblem: Error, CustomStringConvertible {
    var description: String
}
