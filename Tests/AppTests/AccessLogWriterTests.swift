import Foundation
import Logging
import NIOConcurrencyHelpers
import Testing

@testable import App

@Suite("The access log's writer", .timeLimit(.minutes(2))) struct AccessLogWriterTests {
    private let told = LogCollector()
    private let line = Array((String(repeating: "x", count: 99) + "\n").utf8)

    private func writer(_ pipe: TestPipe, pendingLimit: Int = 1 << 20) -> AccessLogWriter {
        AccessLogWriter(
            to: pipe.output, path: nil, pendingLimit: pendingLimit, reportInterval: .seconds(3600), logger: told.logger)
    }

    @Test("a pipe that nobody reads does not keep the program from ending")
    func endsAtDeadline() async throws {
        let pipe = try TestPipe()
        let log = writer(pipe)
        for _ in 0..<10 { log.write(Array(repeatElement(line, count: 1000).joined())) }
        await log.close(by: .now + .milliseconds(50))
        #expect(log.droppedLines > 0)
        #expect(told.lines.last?.contains("\(log.droppedLines)") == true, "\(told.lines)")
    }

    @Test("what a slow reader takes before the deadline is written")
    func lastFlush() async throws {
        let pipe = try TestPipe()
        let log = writer(pipe)
        let lines = Array(repeatElement(line, count: 5000).joined())
        log.write(lines)
        async let received = Task.detached { pipe.read(count: lines.count) }.value
        await log.close(by: .now + .seconds(50))
        #expect(await received == lines)
        #expect(log.droppedLines == 0)
        #expect(told.lines.isEmpty)
    }

    @Test("a file gets its last lines even when no time is left")
    func fileAfterDeadline() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("log-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let log = try #require(try AccessLogWriter(.file(path), logger: told.logger))
        for _ in 0..<100 { log.write(line) }
        await log.close(by: .now - .seconds(1))
        #expect(try String(contentsOfFile: path, encoding: .utf8).utf8.count == 100 * line.count)
    }

    @Test("a pipe that nobody has opened for reading is refused at once, with the remedy")
    func noReader() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("pipe-\(UUID().uuidString)").path
        try #require(mkfifo(path, 0o600) == 0)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let problem = #expect(throws: AccessLogProblem.self) { try AccessLogWriter(.file(path), logger: told.logger) }
        let why = "it is a pipe or a socket that nobody reads; start its reader first, or name a file"
        #expect(problem?.description == "access-log: cannot open \(path): \(why)")
        let recording = #expect(throws: RecordingProblem.self) { try RecordingFile(path: path) }
        #expect(recording?.description == "--record: cannot open \(path): \(why)")
    }

    @Test("a pipe with a name and a reader gets the lines")
    func namedPipe() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("pipe-\(UUID().uuidString)").path
        try #require(mkfifo(path, 0o600) == 0)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let reader = FileHandle(fileDescriptor: open(path, O_RDONLY | O_NONBLOCK), closeOnDealloc: true)
        let log = try #require(try AccessLogWriter(.file(path), logger: told.logger))
        log.write(line)
        await log.close(by: .now + .seconds(50))
        #expect(try reader.read(upToCount: line.count).map(Array.init) == line)
    }

    @Test("lines that nobody takes are dropped past a limit, counted, and told once")
    func bounded() async throws {
        let pipe = try TestPipe()
        let log = writer(pipe, pendingLimit: 200_000)
        let piece = Array(repeatElement(line, count: 100).joined())
        for _ in 0..<1000 { log.write(piece) }
        // 64 KB are in the pipe, and 200 KB may wait.
        #expect(log.droppedLines > 95_000)
        let before = log.droppedLines
        // What had been accepted still comes, in order.
        async let received = Task.detached { pipe.read(count: 190_000) }.value
        #expect(await received.count == 190_000)
        #expect(log.droppedLines == before)
        await log.close(by: .now + .seconds(50))
        #expect(told.lines.count { $0.contains("are dropped") } == 1, "\(told.lines)")
    }

    @Test("a reader that has left, and a full disk, cost lines and nothing else")
    func failures() async throws {
        let pipe = try TestPipe()
        pipe.closeReader()
        let gone = writer(pipe)
        let full = AccessLogWriter(
            to: OutputDescriptor(open("/dev/full", O_WRONLY), name: "the disk", isOwned: true), path: nil, logger: told.logger)
        for log in [gone, full] {
            for _ in 0..<3 { log.write(line) }
            await log.close(by: .now + .seconds(50))
            #expect(log.droppedLines == 3)
        }
        #expect(told.lines.contains { $0.contains("Broken pipe") } && told.lines.contains { $0.contains("No space left") })
    }
}

/// Keeps what is logged.
final class LogCollector: Sendable {
    private let box = NIOLockedValueBox<[String]>([])

    var lines: [String] { box.withLockedValue { $0 } }

    var logger: Logger { Logger(label: "test") { _ in Handler(box: box) } }

    private struct Handler: LogHandler {
        let box: NIOLockedValueBox<[String]>
        var logLevel = Logger.Level.trace
        var metadata = Logger.Metadata()

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let details = (event.metadata ?? [:]).map { "\($0)=\($1)" }.sorted().joined(separator: " ")
            box.withLockedValue { $0.append("\(event.level) \(event.message) \(details)") }
        }
    }
}
