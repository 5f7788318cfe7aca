import Foundation
import Simulation
import Wire

/// The requests of a file that `simulate --trace` plays. Its first line tells its form.
enum RequestFile: Sendable {
    /// Mooncake's form.
    case trace([TraceWorkload.Entry])
    /// The balancer's access log, or a recording of its events.
    case recorded(RecordedRequests)

    private enum Form {
        case trace, accessLog, recording

        /// What is none of them is read as a trace, and then refused.
        init(of line: [UInt8]) {
            guard let line = try? JSON(parsing: line) else {
                self = .trace
                return
            }
            if line["event"] != nil, line["at"] != nil {
                self = .recording
            } else if line["hash_ids"] == nil, line["bytes_in"] != nil, line["ending"] != nil {
                self = .accessLog
            } else {
                self = .trace
            }
        }
    }

    static func read(_ path: String) throws(RequestFileProblem) -> RequestFile {
        var form: Form?
        var (trace, log, recording) = (TraceReader(), AccessLogReader(), RecordingReader())
        try forEachLine(of: path) { bytes, line throws(LineProblem) in
            let known = form ?? Form(of: bytes)
            form = known
            switch known {
            case .trace: try trace.take(bytes, line: line)
            case .accessLog: try log.take(bytes, line: line)
            case .recording: try recording.take(bytes, line: line)
            }
        }
        switch form ?? .trace {
        case .trace: return .trace(try trace.requests(of: path))
        case .accessLog: return .recorded(try log.requests(of: path))
        case .recording: return .recorded(try recording.requests(of: path))
        }
    }

    /// Lines count from 1. Blank ones are left out.
    private static func forEachLine(
        of path: String, _ body: (_ bytes: [UInt8], _ line: Int) throws(LineProblem) -> Void
    ) throws(RequestFileProblem) {
        var line = 0
        do {
            let reader = try LineReader(path)
            while let bytes = try reader.next() {
                line += 1
                if bytes.contains(where: { $0 > 0x20 }) { try body(bytes, line) }
            }
        } catch LineReader.Problem.tooLong {
            throw RequestFileProblem(
                file: path, line: line + 1,
                message: "longer than \(LineReader.longestLine) bytes, so no line of a trace, an access log or a recording")
        } catch LineReader.Problem.unreadable(let code) {
            throw RequestFileProblem(file: path, line: nil, message: "cannot be read: \(String(cString: strerror(code)))")
        } catch let problem as LineProblem {
            throw RequestFileProblem(file: path, line: line, message: problem.message)
        } catch {
            throw RequestFileProblem(file: path, line: nil, message: "\(error)")
        }
    }
}

/// Why a file of requests cannot be played.
struct RequestFileProblem: Error, Equatable, CustomStringConvertible {
    var file: String
    /// Counted from 1; nil when it is about the file.
    var line: Int?
    var message: String

    var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): error: \(message)" }
}

/// What is wrong with a line.
struct LineProblem: Error, Equatable {
    var message: String
}
