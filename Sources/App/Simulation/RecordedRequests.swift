import Routing
import Simulation

/// The requests of an access log or of a recording, in order of time.
struct RecordedRequests: Sendable {
    enum Source: String, Sendable {
        case accessLog = "an access log"
        case recording = "a recording"
    }

    /// The requests of an open loop are in memory before it is played.
    static let mostRequests = 1_000_000
    static let mostModels = 256

    let source: Source
    private(set) var requests: [RecordedRequest] = []
    /// Requests that nobody answered, or that were at fault. They are not played.
    var unanswered = 0
    private var lines: [Int] = []
    private var models: Set<String> = []
    private var links = 0

    init(_ source: Source) { self.source = source }

    mutating func add(_ request: RecordedRequest, line: Int) throws(LineProblem) {
        guard requests.count < Self.mostRequests else { throw tooMuch("\(Self.mostRequests) requests", line) }
        links += request.prompt.links.count
        guard links <= RecordedWorkload.mostBoundaries else {
            throw tooMuch("\(RecordedWorkload.mostBoundaries) boundaries of prompts", line)
        }
        models.insert(request.model)
        guard models.count <= Self.mostModels else { throw tooMuch("\(Self.mostModels) models", line) }
        requests.append(request)
        lines.append(line)
    }

    private func tooMuch(_ what: String, _ line: Int) -> LineProblem {
        LineProblem(message: "\(source.rawValue) with more than \(what) up to here; use its first \(line - 1) lines")
    }

    /// The requests were in the order in which their answers ended.
    mutating func sort() {
        let order = requests.indices.sorted { (requests[$0].milliseconds, $0) < (requests[$1].milliseconds, $1) }
        (requests, lines) = (order.map { requests[$0] }, order.map { lines[$0] })
    }

    /// From the first request to the last.
    var milliseconds: Double { (requests.last?.milliseconds ?? 0) - (requests.first?.milliseconds ?? 0) }

    /// To be played.
    func workload(of file: String, timeScale: Double) throws(RequestFileProblem) -> RecordedWorkload {
        do { return try RecordedWorkload(requests, timeScale: timeScale) } catch {
            throw RequestFileProblem(
                file: file, line: lines[error.request],
                message:
                    "the prompts up to here have more than \(RecordedWorkload.mostBoundaries) boundaries; play a part of the "
                    + "file, for example its first \(lines.count / 2) lines")
        }
    }
}
