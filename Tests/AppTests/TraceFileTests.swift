import ArgumentParser
import Foundation
import Simulation
import Testing

@testable import App

@Suite("Traces") struct TraceFileTests {
    private func withFile<Result>(_ text: String, _ use: (String) throws -> Result) throws -> Result {
        let path = FileManager.default.temporaryDirectory.appending(path: "trace-\(UUID()).jsonl").path
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try use(path)
    }

    /// The trace's requests, from a file with this text.
    private func read(_ text: String) throws -> [TraceWorkload.Entry] {
        try withFile(text) { path in
            do {
                guard case .trace(let entries) = try RequestFile.read(path) else {
                    Issue.record("no trace: \(text)")
                    return []
                }
                return entries
            } catch let problem as RequestFileProblem {
                throw RequestFileProblem(
                    file: problem.file == path ? "FILE" : problem.file, line: problem.line, message: problem.message)
            }
        }
    }

    private func problem(_ text: String) -> String {
        do {
            _ = try read(text)
            Issue.record("accepted: \(text)")
            return ""
        } catch {
            return "\(error)"
        }
    }

    private let good = #"{"timestamp": 0, "input_length": 600, "output_length": 50, "hash_ids": [0, 18446744073709551615]}"#

    @Test("a trace is read in order of time, which begins with its first request; blank lines and further fields do not matter")
    func reads() throws {
        let entries = try read(
            """
            {"timestamp": 1764288000500, "input_length": 512, "output_length": 0, "hash_ids": [7], "turn": 3}\r

            {"hash_ids": [0, 1], "output_length": 2, "input_length": 513, "timestamp": 1764288000000}
            """)
        #expect(
            entries == [
                .init(milliseconds: 0, promptTokens: 513, answerTokens: 2, blocks: [0, 1]),
                .init(milliseconds: 500, promptTokens: 512, answerTokens: 0, blocks: [7]),
            ])
        #expect(try read(good + "\n").first?.blocks == [0, .max])
    }

    @Test("long files are read in pieces")
    func pieces() throws {
        let lines = (0..<3000).map {
            #"{"timestamp": \#($0), "input_length": 1024, "output_length": 9, "hash_ids": [\#($0), \#($0 + 1)]}"#
        }
        let entries = try read(lines.joined(separator: "\n"))
        #expect(entries.map(\.milliseconds) == (0..<3000).map { Double($0) })
        #expect(entries.map { $0.blocks[1] } == (1...3000).map { UInt64($0) })
    }

    @Test("a bad line is named with its number and what is wrong with it")
    func badLines() {
        func second(_ line: String) -> String { problem("\(good)\n\(line)\n\(good)\n") }
        #expect(second("{").hasPrefix("FILE:2: error: not JSON: "))
        #expect(second("[]").hasPrefix("FILE:2: error: no JSON object"))
        #expect(second(#"{"timestamp": 1}"#).hasPrefix("FILE:2: error: lacks \"input_length\"; a line is like {\"timestamp\""))
        let wrongs = [
            (#""timestamp": "now""#, "\"timestamp\" is not a number of milliseconds"),
            (#""timestamp": 1e300"#, "\"timestamp\" is 1e300, not a number of milliseconds"),
            (#""input_length": 0, "hash_ids": []"#, "\"input_length\" is 0, not a whole number of tokens from 1 to 100000000"),
            (#""input_length": 1e18"#, "\"input_length\" is 1e18, not"),
            (#""output_length": -1"#, "\"output_length\" is -1, not"),
            (#""output_length": 1.5"#, "\"output_length\" is 1.5, not"), (#""hash_ids": 3"#, "\"hash_ids\" is 3, not an array"),
            (#""hash_ids": [0, -1]"#, "\"hash_ids\" has something else than whole numbers"),
            (#""hash_ids": [0, "secret"]"#, "\"hash_ids\" has something else than whole numbers"),
            (#""hash_ids": [0, 1, 2]"#, "\"hash_ids\" has 3 numbers, but 600 tokens are 2 blocks of 512 tokens"),
        ]
        for (fields, message) in wrongs {
            // Of several members with one name, the last one counts.
            let said = second(good.dropLast() + ", \(fields)}")
            #expect(said.hasPrefix("FILE:2: error: \(message)"), "\(said)")
            #expect(!said.contains("secret") && !said.contains("now"))
        }
    }

    @Test("files that are no trace are refused, and how they are read is bounded")
    func otherFiles() {
        for empty in ["", "\n \n"] {
            let said = problem(empty)
            #expect(said.hasPrefix("FILE: error: is empty. A recording (serve --record) is written when that balancer ends"))
            #expect(said.contains("access log") && said.contains(TraceLine.example))
        }
        for foreign in ["<html>", "{", "[]", #"{"level":"info"}"#, "time,client,model"] {
            let said = problem(foreign + "\n" + good)
            #expect(
                said.hasPrefix(
                    "FILE:1: error: the first line has none of the forms that can be played: the balancer's access log,"))
            #expect(said.contains("serve --record") && said.contains(TraceLine.example))
        }
        let long = String(repeating: " ", count: LineReader.longestLine + 1)
        #expect(
            problem("\(good)\n\(long)")
                == "FILE:2: error: longer than 1048576 bytes, so no line of a trace, an access log or a recording")
        #expect(throws: RequestFileProblem(file: "/nowhere/x", line: nil, message: "cannot be read: No such file or directory")) {
            try RequestFile.read("/nowhere/x")
        }
        #expect(throws: RequestFileProblem(file: "/", line: nil, message: "cannot be read: Is a directory")) {
            try RequestFile.read("/")
        }
    }

    @Test("a trace is played with its options, unless these make no sense for it")
    func commandLine() throws {
        let lines = [0, 4000, 10_000].map {
            #"{"timestamp": \#($0), "input_length": 700, "output_length": 9, "hash_ids": [0, \#($0)]}"#
        }
        try withFile(lines.joined(separator: "\n")) { path in
            func load(_ options: String...) throws -> SimulatedLoad {
                let arguments = ["simulate", "--trace", path, "--servers", "1000"] + options
                return try #require(try Program.parseAsRoot(arguments) as? Simulate).load.load()
            }
            let plain = try load()
            #expect(plain.summary == "3 requests of a trace in 10 s")
            #expect((plain.countedFrom, plain.countedUntil) == (0, nil))
            let slow = try load("--time-scale", "1.5", "--warm-up", "5", "--conversation-clients")
            #expect(slow.summary == "3 requests of a trace in 15 s (times x 1.5), counted after 5 s")
            var workload = slow.workload(seed: 1)
            let requests = workload.start()
            #expect(requests.map(\.arrivesAt) == [0, 6, 15])
            #expect(Set(requests.map(\.client)).count == 3)
            #expect(throws: ValidationError.self) { try load("--warm-up", "10") }
            #expect(throws: ExitCode(1), "more than a month") { try load("--time-scale", "1000000") }
        }
    }

    @Test("a trace that cannot be played ends the command with 1")
    func exitCode() throws {
        let simulate = try #require(
            try Program.parseAsRoot(["simulate", "--trace", "/nowhere/x", "--servers", "1000"]) as? Simulate)
        #expect(throws: ExitCode(1)) { try simulate.load.load() }
    }
}
