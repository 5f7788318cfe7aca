/// A fault whose text could not be understood.
package struct FaultProblem: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
}

extension Fault: CustomStringConvertible {
    /// Reads `name` or `name=value`.
    package init(parsing text: String) throws(FaultProblem) {
        let parts = text.split(separator: "=", maxSplits: 1)
        let name = parts.first.map(String.init) ?? ""
        let value = parts.count == 2 ? String(parts[1]) : nil
        guard let fault = try Fault(name: name, value: value) else {
            throw FaultProblem(description: "fault '\(text)': unknown; one of \(Fault.examples.joined(separator: " "))")
        }
        self = fault
    }

    private init?(name: String, value: String?) throws(FaultProblem) {
        func number(orElse fallback: Int? = nil) throws(FaultProblem) -> Int {
            if value == nil, let fallback { return fallback }
            guard let number = value.flatMap({ Int($0) }), number >= 0 else {
                throw FaultProblem(description: "fault '\(name)': needs a whole number, such as \(name)=3")
            }
            return number
        }
        switch name {
        case "refuse": self = .refuse
        case "accept-never": self = .acceptNever
        case "read-slow": self = .readSlow(bytesPerSecond: max(1, try number()))
        case "reset-before-answer": self = .resetBeforeAnswer
        case "close-before-answer": self = .closeBeforeAnswer
        case "stall-before-answer": self = .stallBeforeAnswer
        case "reset-after-headers": self = .resetAfterHeaders
        case "reset-after-events": self = .resetAfterEvents(try number())
        case "close-after-events": self = .closeAfterEvents(try number())
        case "stall-after-events": self = .stallAfterEvents(try number())
        case "lose-process-after-events": self = .loseProcessAfterEvents(try number())
        case "status": self = .status(try number())
        case "context-exceeded": self = .contextExceeded
        case "big-answer": self = .bigAnswer(bytes: try number())
        case "no-content": self = .noContent
        case "not-modified": self = .notModified
        case "gzip": self = .gzip
        case "slow-headers": self = .slowHeaders(milliseconds: try number())
        case "slow-body": self = .slowBody(milliseconds: try number(orElse: 1))
        case "split-events": self = .splitEvents
        case "wrong-length": self = .wrongLength
        case "two-lengths": self = .twoLengths
        case "chunk-extensions": self = .chunkExtensions
        case "content-length": self = .contentLength
        case "until-close": self = .untilClose
        case "http10": self = .http10
        case "informational": self = .informational(try number(orElse: 103))
        case "malformed-head":
            guard let flaw = HeadFlaw(rawValue: value ?? HeadFlaw.statusLine.rawValue) else {
                let known = HeadFlaw.allCases.map(\.rawValue).joined(separator: ", ")
                throw FaultProblem(description: "fault 'malformed-head': one of \(known)")
            }
            self = .malformedHead(flaw)
        case "fail-rate":
            let parts = (value ?? "").split(separator: ":", maxSplits: 1)
            guard let rate = parts.first.flatMap({ Double($0) }), (0...1).contains(rate) else {
                throw FaultProblem(description: "fault 'fail-rate': needs a share from 0 to 1, such as fail-rate=0.3:status=503")
            }
            let inner = parts.count == 2 ? String(parts[1]) : "reset-before-answer"
            guard !inner.hasPrefix(name) else { throw FaultProblem(description: "fault 'fail-rate': cannot be inside another") }
            self = .sometimes(rate, try Fault(parsing: inner))
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .refuse: "refuse"
        case .acceptNever: "accept-never"
        case .readSlow(let rate): "read-slow=\(rate)"
        case .resetBeforeAnswer: "reset-before-answer"
        case .closeBeforeAnswer: "close-before-answer"
        case .stallBeforeAnswer: "stall-before-answer"
        case .resetAfterHeaders: "reset-after-headers"
        case .resetAfterEvents(let count): "reset-after-events=\(count)"
        case .closeAfterEvents(let count): "close-after-events=\(count)"
        case .stallAfterEvents(let count): "stall-after-events=\(count)"
        case .loseProcessAfterEvents(let count): "lose-process-after-events=\(count)"
        case .status(let code): "status=\(code)"
        case .contextExceeded: "context-exceeded"
        case .bigAnswer(let bytes): "big-answer=\(bytes)"
        case .noContent: "no-content"
        case .notModified: "not-modified"
        case .gzip: "gzip"
        case .slowHeaders(let milliseconds): "slow-headers=\(milliseconds)"
        case .slowBody(let milliseconds): "slow-body=\(milliseconds)"
        case .splitEvents: "split-events"
        case .wrongLength: "wrong-length"
        case .twoLengths: "two-lengths"
        case .chunkExtensions: "chunk-extensions"
        case .contentLength: "content-length"
        case .untilClose: "until-close"
        case .http10: "http10"
        case .informational(let code): "informational=\(code)"
        case .malformedHead(let flaw): "malformed-head=\(flaw.rawValue)"
        case .sometimes(let rate, let fault): "fail-rate=\(rate):\(fault)"
        }
    }

    /// One of each, for messages and for tests that go through them all.
    package static let examples = [
        "refuse", "accept-never", "read-slow=1000", "reset-before-answer", "close-before-answer", "stall-before-answer",
        "reset-after-headers", "reset-after-events=3", "close-after-events=3", "stall-after-events=3",
        "lose-process-after-events=3", "status=503",
        "context-exceeded", "big-answer=1000000", "no-content", "not-modified", "gzip", "slow-headers=100", "slow-body=1",
        "split-events",
        "wrong-length", "two-lengths", "chunk-extensions", "content-length", "until-close", "http10", "informational=103",
        "malformed-head=status-line", "fail-rate=0.3:status=503",
    ]
}
