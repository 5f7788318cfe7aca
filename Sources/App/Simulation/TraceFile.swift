import Foundation
import Simulation
import Wire

/// Reads recorded arrivals in Mooncake's form.
enum TraceFile {
    /// Of all requests together: some hundred megabytes in memory.
    static let mostBlocks = 10_000_000

    /// The requests in order of time, which begins with the first.
    static func read(_ path: String) throws(TraceProblem) -> [TraceWorkload.Entry] {
        var entries: [TraceWorkload.Entry] = []
        var (line, blocks) = (0, 0)
        do {
            let reader = try LineReader(path)
            while let bytes = try reader.next() {
                line += 1
                guard bytes.contains(where: { $0 > 0x20 }) else { continue }
                let entry = try TraceLine.entry(bytes)
                blocks += entry.blocks.count
                guard blocks <= mostBlocks else {
                    throw TraceLine.Problem(
                        message: "the trace has more than \(mostBlocks) blocks up to here; use its first \(line - 1) lines")
                }
                entries.append(entry)
            }
        } catch LineReader.Problem.tooLong {
            throw TraceProblem(
                file: path, line: line + 1, message: "longer than \(LineReader.longestLine) bytes, so no line of a trace")
        } catch LineReader.Problem.unreadable(let code) {
            throw TraceProblem(file: path, line: nil, message: "cannot be read: \(String(cString: strerror(code)))")
        } catch let problem as TraceLine.Problem {
            throw TraceProblem(file: path, line: line, message: problem.message)
        } catch {
            throw TraceProblem(file: path, line: nil, message: "\(error)")
        }
        guard let start = entries.map(\.milliseconds).min() else {
            throw TraceProblem(file: path, line: nil, message: "has no requests; a line is like \(TraceLine.example)")
        }
        let inOrder = entries.enumerated().sorted { ($0.element.milliseconds, $0.offset) < ($1.element.milliseconds, $1.offset) }
        return inOrder.map { _, entry in
            var entry = entry
            entry.milliseconds -= start
            return entry
        }
    }
}

/// Why a trace cannot be played.
struct TraceProblem: Error, Equatable, CustomStringConvertible {
    var file: String
    /// Counted from 1; nil when it is about the file.
    var line: Int?
    var message: String

    var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): error: \(message)" }
}

/// A line of a trace.
enum TraceLine {
    /// What is wrong with it.
    struct Problem: Error, Equatable {
        var message: String
    }

    static let example = #"{"timestamp": 0, "input_length": 600, "output_length": 50, "hash_ids": [0, 1]}"#

    /// Of a prompt or an answer, in tokens; more is a mistake.
    private static let mostTokens = 100_000_000
    /// In milliseconds; fits the time since 1970 a few thousand times.
    private static let latest = 1e16

    static func entry(_ bytes: [UInt8]) throws(Problem) -> TraceWorkload.Entry {
        let line: JSON
        do { line = try JSON(parsing: bytes) } catch { throw Problem(message: "not JSON: \(error); a line is like \(example)") }
        guard line.objectValue != nil else { throw Problem(message: "no JSON object; a line is like \(example)") }
        guard line["hash_ids"] != nil || line["bytes_in"] == nil || line["ending"] == nil else {
            throw Problem(
                message: "a line of the balancer's access log, which does not say which prompts begin alike, so it cannot be "
                    + "played; a line of a trace is like \(example)")
        }
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
                throw Problem(message: "\"hash_ids\" has something else than whole numbers from 0 to \(UInt64.max)")
            }
            blocks.append(block)
        }
        let size = TraceWorkload.blockTokens
        let expected = (prompt + size - 1) / size
        guard blocks.count == expected else {
            throw Problem(
                message:
                    "\"hash_ids\" has \(blocks.count) numbers, but \(prompt) tokens are \(expected) blocks of \(size) tokens: "
                    + "were the blocks of another size?")
        }
        return .init(milliseconds: milliseconds, promptTokens: prompt, answerTokens: answer, blocks: blocks)
    }

    private static func field(_ name: String, of line: JSON) throws(Problem) -> JSON {
        guard let value = line[name] else { throw Problem(message: "lacks \"\(name)\"; a line is like \(example)") }
        return value
    }

    private static func tokens(_ name: String, of line: JSON, from least: Int) throws(Problem) -> Int {
        guard let tokens = try field(name, of: line).intValue, (least...mostTokens).contains(tokens) else {
            throw wrong(name, line, "a whole number of tokens from \(least) to \(mostTokens)")
        }
        return tokens
    }

    /// Shows numbers, never texts.
    private static func wrong(_ name: String, _ line: JSON, _ expected: String) -> Problem {
        if case .number(let text) = line[name] { return Problem(message: "\"\(name)\" is \(text.prefix(40)), not \(expected)") }
        return Problem(message: "\"\(name)\" is not \(expected)")
    }
}
