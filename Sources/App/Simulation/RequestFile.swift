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

        init(of line: [UInt8]) throws(LineProblem) {
            let line = try? JSON(parsing: line)
            if line?["event"] != nil, line?["at"] != nil {
                self = .recording
            } else if line?["hash_ids"] != nil || line?["input_length"] != nil || line?["timestamp"] != nil {
                self = .trace
            } else if line?["ending"] != nil {
                self = .accessLog
            } else {
                throw LineProblem(message: "the first line has none of the forms that can be played: \(RequestFile.forms)")
            }
        }
    }

    private static let forms =
        "the balancer's access log, what serve --record wrote, or a trace with lines like \(TraceLine.example)"

    static func read(_ path: String) throws(RequestFileProblem) -> RequestFile {
        var form: Form?
        var (trace, log, recording) = (TraceReader(), AccessLogReader(), RecordingReader())
        try forEachLine(of: path) { bytes, line throws(LineProblem) in
            let known: Form
            if let form { known = form } else { known = try Form(of: bytes) }
            form = known
            switch known {
            case .trace: try trace.take(bytes, line: line)
            case .accessLog: try log.take(bytes, line: line)
            case .recording: try recording.take(bytes, line: line)
            }
        }
        switch form {
        case nil:
            throw RequestFileProblem(
                file: path, line: nil,
                message:
                    "is empty. A recording (serve --record) is written when that balancer ends, and not if it is killed. What can "
                    + "be played: \(forms)")
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
