import ArgumentParser
import Foundation
import Routing
import Simulation
import Testing

@testable import App

@Suite("Recorded requests in files") struct RequestFileTests {
    private func withFile<Result>(_ text: String, _ use: (String) throws -> Result) throws -> Result {
        let path = FileManager.default.temporaryDirectory.appending(path: "recorded-\(UUID()).jsonl").path
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try use(path)
    }

    private func read(_ text: String) throws -> RecordedRequests {
        try withFile(text) { path in
            guard case .recorded(let recorded) = try RequestFile.read(path) else {
                Issue.record("a trace: \(text)")
                return RecordedRequests(.accessLog)
            }
            return recorded
        }
    }

    private func problem(_ text: String) -> String {
        do {
            _ = try read(text)
            Issue.record("accepted: \(text)")
            return ""
        } catch let problem as RequestFileProblem {
            return RequestFileProblem(file: "FILE", line: problem.line, message: problem.message).description
        } catch {
            return "\(error)"
        }
    }

    // MARK: The access log

    private func line(_ second: Int, _ fields: String = "", status: Int = 200, client: String = "10.0.0.7") -> String {
        """
        {"time":"2026-11-28T20:15:\(second < 10 ? "0" : "")\(second).250Z","id":"r","client":"\(client)","model":"m","status":\(status),\
        "ending":"complete","bytes_in":10,"bytes_out":20,"prompt_bytes":9000,"last_message_bytes":1000\(fields)}
        """
    }

    @Test("a line of the access log says who asked what, when and for how much")
    func accessLog() throws {
        let chain =
            #","chain":"6144:AAAAAAAB 8000.AAAAAABA 9000.-_09azAZ","prompt_tokens":300,"cached_tokens":1900,"output_tokens":42"#
        let recorded = try read(
            [line(10, chain), line(9, #","session":"s","user":"u""#), line(11, #","user":"u""#)].joined(separator: "\n"))
        #expect(recorded.source == .accessLog && recorded.unanswered == 0 && recorded.milliseconds == 2000)
        #expect(recorded.requests.map(\.client) == ["s", "10.0.0.7", "u"], "in order of time")
        let request = recorded.requests[1]
        #expect(request.milliseconds - recorded.requests[0].milliseconds == 1000)
        #expect((request.model, request.promptTokens, request.answerTokens) == ("m", 2200, 42))
        #expect((request.prompt.length, request.prompt.lastMessageStart) == (9000, 8000))
        #expect(request.prompt.links.map(\.end) == [6144, 8000, 9000])
        #expect(request.prompt.links.map(\.endsMessage) == [false, true, true])
        #expect(request.prompt.links.map(\.hash).prefix(2) == [1, 64])
        #expect(recorded.requests[2].promptTokens == nil && recorded.requests[2].prompt.links.isEmpty)
    }

    @Test("a line of the access log tells the request's class")
    func priorities() throws {
        let recorded = try read(
            [line(1), line(2, #","priority":"bulk""#), line(3, #","priority":"odd""#)].joined(separator: "\n"))
        #expect(recorded.requests.map(\.priority) == [nil, .bulk, nil])
    }

    @Test("an access log that another program has written anew is still one")
    func rewritten() throws {
        let members = line(1).dropFirst().dropLast().split(separator: ",").map { $0.replacing("\":", with: "\" : ") }
        // Another order, spaces, and without what the simulation does not need.
        let text = "{ " + members.reversed().filter { !$0.contains("bytes_in") }.joined(separator: ", ") + " }"
        #expect(try read(text).requests.count == 1)
        #expect(try read(text).source == .accessLog)
    }

    @Test("requests that make no engine compute are left out, and so are those without an answer, which are counted")
    func unanswered() throws {
        let light = line(1).replacing(#","prompt_bytes":9000,"last_message_bytes":1000"#, with: "")
        let recorded = try read([light, line(2), line(3, status: 503), light, line(4, status: 404), ""].joined(separator: "\n"))
        #expect(recorded.requests.count == 1 && recorded.unanswered == 2)
        #expect(problem(light).hasPrefix("FILE: error: no line has \"prompt_bytes\""))
        #expect(problem(line(1, status: 429)) == "FILE: error: none of its requests was answered")
    }

    @Test("a bad line of an access log is named with its number and what is wrong with it")
    func badLines() {
        func second(_ fields: String) -> String { problem("\(line(1))\n\(line(2, "," + fields))\n") }
        let wrongs = [
            (#""time":"today""#, "\"time\" is not like 2026-11-28T20:15:07.250Z"),
            (#""prompt_bytes":-1"#, "\"prompt_bytes\" is not a whole number from 0 to 4294967295"),
            (#""last_message_bytes":9001"#, "\"last_message_bytes\" is not a whole number from 0 to 9000"),
            (#""output_tokens":1e12"#, "\"output_tokens\" is not a whole number from 0 to 100000000"),
            (#""model":7"#, "\"model\" is no text of at most 4096 bytes"),
            (#""session":"\#(String(repeating: "s", count: 4097))""#, "\"session\" is no text of at most 4096 bytes"),
            (#""chain":[]"#, "\"chain\" is no text"), (#""chain":"secret""#, "\"chain\" has something else than entries like"),
            (#""chain":"5.AAAA""#, "\"chain\" has something else"), (#""chain":"5.AAAA!AAA""#, "\"chain\" has something else"),
            (#""chain":"9001.AAAAAAAA""#, "\"chain\" has an entry for byte 9001, which is out of order or behind the prompt"),
            (#""chain":"500.AAAAAAAA 400.AAAAAAAB""#, "\"chain\" has an entry for byte 400"),
            (
                #""chain":"\#((0...1024).map { "\($0).AAAAAAAA" }.joined(separator: " "))""#,
                "\"chain\" has more than 1024 entries"
            ),
        ]
        for (fields, message) in wrongs {
            // Of several members with one name, the last one counts.
            let said = second(fields)
            #expect(said.hasPrefix("FILE:2: error: \(message)"), "\(said)")
            #expect(!said.contains("secret") && !said.contains("today"))
        }
        #expect(problem("\(line(1))\nlistening").hasPrefix("FILE:2: error: not JSON: "))
        #expect(problem("\(line(1))\n{}").hasPrefix("FILE:2: error: no line of an access log, unlike those before it"))
    }

    @Test("more models than the router is made for are refused, with what to do")
    func bounded() {
        let lines = (0...RecordedRequests.mostModels).map { line(1, #","model":"m\#($0)""#) }
        #expect(
            problem(lines.joined(separator: "\n"))
                == "FILE:257: error: an access log with more than 256 models up to here; use its first 256 lines")
    }

    @Test("an access log is played with its options, unless these make no sense for it")
    func commandLine() throws {
        let text = [line(1), line(3, client: "b"), line(5, status: 429), line(11)].joined(separator: "\n")
        try withFile(text) { path in
            func load(_ options: String...) throws -> SimulatedLoad {
                try #require(
                    try Program.parseAsRoot(["simulate", "--trace", path, "--servers", "1000"] + options) as? Simulate
                ).load.load()
            }
            #expect(try load().summary == "3 requests of an access log in 10 s, without 1 that had no answer")
            let slow = try load("--time-scale", "1.5", "--warm-up", "5")
            #expect(
                slow.summary
                    == "3 requests of an access log in 15 s (times x 1.5), without 1 that had no answer, counted after 5 s"
            )
            #expect((slow.lastArrival, slow.timeScale) == (15, 1.5))
            var workload = slow.workload(seed: 1)
            let requests = workload.start()
            #expect(requests.map(\.arrivesAt) == [0, 3, 15] && requests.map(\.client) == ["10.0.0.7", "b", "10.0.0.7"])
            #expect(throws: ExitCode(1)) { try load("--conversation-clients") }
            #expect(throws: ValidationError.self) { try load("--warm-up", "10") }
        }
    }

    // MARK: A recording

    private func recording(_ events: [(Int64, Event)]) throws -> String {
        var recording = Recording(limit: 100)
        for (seconds, event) in events { recording.record(event, at: Moment(nanoseconds: seconds * 1_000_000_000)) }
        let path = FileManager.default.temporaryDirectory.appending(path: "recording-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try RecordingFile(path: path).write(recording)
        let rights = try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
        #expect(rights & 0o077 == 0, "nobody else may read it")
        return try String(contentsOfFile: path, encoding: .utf8)
    }

    private func arrived(_ number: UInt64, _ prompt: PromptChain?) -> Event {
        .requestArrived(
            Ticket(owner: 0, sequence: number),
            RequestTraits(destination: .model("m"), client: "c\(number)", counts: prompt != nil, prompt: prompt))
    }

    @Test("the requests of a recording are those that were answered")
    func reads() throws {
        let prompt = PromptChain(
            links: [.init(hash: .max, end: 3000, endsMessage: true)], length: 3000, lastMessageStart: 0)
        let timings = Timings(
            cachedTokens: 100, promptTokens: 650, promptMilliseconds: 5, predictedTokens: 30, predictedMilliseconds: 9)
        func ends(_ number: UInt64, _ outcome: Outcome) -> Event { .finished(Ticket(owner: 0, sequence: number), outcome) }
        let text = try recording([
            (1, .probeFailed(BackendID(rawValue: 1), reason: "x")), (2, arrived(1, prompt)), (3, arrived(2, prompt)),
            (4, arrived(3, nil)), (5, ends(2, Outcome(.complete, timings: timings))), (6, arrived(4, prompt)),
            (6, arrived(5, prompt)),
            (7, ends(1, Outcome(.complete))), (8, .requestCancelled(Ticket(owner: 0, sequence: 4))),
            (8, ends(3, Outcome(.complete))),
            (9, ends(5, Outcome(.broken("x")))), (9, arrived(6, prompt)),
        ])
        let recorded = try read(text)
        #expect(recorded.source == .recording && recorded.unanswered == 3)
        #expect(recorded.requests.map(\.client) == ["c1", "c2"] && recorded.milliseconds == 1000)
        #expect(recorded.requests.map(\.promptTokens) == [nil, 750] && recorded.requests.map(\.answerTokens) == [0, 30])
        #expect(recorded.requests.allSatisfy { $0.prompt == prompt && $0.model == "m" })
    }

    @Test("a bad line of a recording is named with its number and what is wrong with it")
    func badRecordings() throws {
        let good = try recording([(1, arrived(1, PromptChain(length: 9)))])
        #expect(problem(good) == "FILE: error: none of its requests was answered")
        #expect(
            problem(good + #"{"at":{"nanoseconds":1},"event":{"flood":{}}}"#).hasPrefix(
                "FILE:2: error: no event of this version's"))
        let late = try recording([(1, arrived(2, PromptChain(links: [.init(hash: 1, end: 10)], length: 9)))])
        #expect(problem(good + late).hasPrefix("FILE:2: error: a prompt whose boundaries are not in order, or behind its end"))
    }

    @Test("a recording replaces what is in a file, and closes it to others before anything is written")
    func rights() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "recording-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try #require(
            FileManager.default.createFile(atPath: path, contents: Data("old".utf8), attributes: [.posixPermissions: 0o644]))
        _ = try RecordingFile(path: path)
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(attributes[.size] as? Int == 0)
    }

    @Test("a recording that cannot be written is told of at the start")
    func unwritable() {
        #expect {
            try RecordingFile(path: "/nowhere/x")
        } throws: {
            Serve.explain($0) == "--record: cannot open /nowhere/x: No such file or directory"
        }
    }
}
