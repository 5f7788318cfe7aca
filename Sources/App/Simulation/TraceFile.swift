import Simulation
import Wire

/// Reads recorded arrivals in Mooncake's form.
struct TraceReader {
    /// Of all requests together: some hundred megabytes in memory.
    static let mostBlocks = 10_000_000

    private var entries: [TraceWorkload.Entry] = []
    private var blocks = 0

    mutating func take(_ bytes: [UInt8], line: Int) throws(LineProblem) {
        let entry = try TraceLine.entry(bytes)
        blocks += entry.blocks.count
        guard blocks <= Self.mostBlocks else {
            throw LineProblem(
                message: "the trace has more than \(Self.mostBlocks) blocks up to here; use its first \(line - 1) lines")
        }
        entries.append(entry)
    }

    /// The requests in order of time, which begins with the first.
    func requests(of file: String) throws(RequestFileProblem) -> [TraceWorkload.Entry] {
        guard let start = entries.map(\.milliseconds).min() else {
            throw RequestFileProblem(
                file: file, line: nil, message: "has no requests; a line of a trace is like \(TraceLine.example)")
        }
        let inOrder = entries.enumerated().sorted { ($0.element.milliseconds, $0.offset) < ($1.element.milliseconds, $1.offset) }
        return inOrder.map { _, entry in
            var entry = entry
            entry.milliseconds -= start
            return entry
        }
    }
}

/// A line of a trace.
enum TraceLine {
    static let example = #"{"timestamp": 0, "input_length": 600, "output_length": 50, "hash_ids": [0, 1]}"#

    /// Of a prompt or an answer, in tokens; more is a mistake.
    private static let mostTokens = 100_000_000
    /// In milliseconds; fits the time since 1970 a few thousand times.
    private static let latest = 1e16

    static func entry(_ bytes: [UInt8]) throws(LineProblem) -> TraceWorkload.Entry {
        let line: JSON
        do { line = try JSON(parsing: bytes) } catch {
            throw LineProblem(message: "not JSON: \(error); a line is like \(example)")
        }
        guard line.objectValue != nil else { throw LineProblem(message: "no JSON object; a line is like \(example)") }
        guard let milliseconds = try field("timestamp", of: line).doubleValue, abs(milliseconds) <= latest else {
            throw wrong("timestamp", line, "a number of milliseconds")
        }
        let prompt = try tokens("input_length", of: line, from: 1)
        let answer = try tokens("output_length", of: line, from: 0)
        guard let numbers = try field("hash_ids", of: line).arrayValue else {
            throw wrong("hash_ids", line, "an array of numbers, one for each block")
        }
        var blocks: [UInt64] = []
        blocks.reserveCapacity(numbers.count)
        for number in numbers {
            guard case .number(let text) = number, let block = UInt64(text) else {
                throw LineProblem(message: "\"hash_ids\" has something else than whole numbers from 0 to \(UInt64.max)")
            }
            blocks.append(block)
        }
        let size = TraceWorkload.blockTokens
        let expected = (prompt + size - 1) / size
        guard blocks.count == expected else {
            throw LineProblem(
                message:
                    "\"hash_ids\" has \(blocks.count) numbers, but \(prompt) tokens are \(expected) blocks of \(size) tokens: "
                    + "were the blocks of another size?")
        }
        return .init(milliseconds: milliseconds, promptTokens: prompt, answerTokens: answer, blocks: blocks)
    }

    private static func field(_ name: String, of line: JSON) throws(LineProblem) -> JSON {
        guard let value = line[name] else { throw LineProblem(message: "lacks \"\(name)\"; a line is like \(example)") }
        return value
    }

    private static func tokens(_ name: String, of line: JSON, from least: Int) throws(LineProblem) -> Int {
        guard let tokens = try field(name, of: line).intValue, (least...mostTokens).contains(tokens) else {
            throw wrong(name, line, "a whole number of tokens from \(least) to \(mostTokens)")
        }
        return tokens
    }

    /// Shows numbers, never texts.
    private static func wrong(_ name: String, _ line: JSON, _ expected: String) -> LineProblem {
        if case .number(let text) = line[name] {
            return LineProblem(message: "\"\(name)\" is \(text.prefix(40)), not \(expected)")
        }
        return LineProblem(message: "\"\(name)\" is not \(expected)")
    }
}
