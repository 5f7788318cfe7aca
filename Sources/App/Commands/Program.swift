package import ArgumentParser
import CHeap
import Dispatch
import Foundation
import Logging

/// `llama-balancer` and its commands.
package struct Program: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "llama-balancer",
        abstract: "A load balancer for llama-server and other OpenAI-compatible servers.",
        discussion: """
            Examples:
              llama-balancer demo                            try it: needs nothing else
              llama-balancer http://192.168.1.20:8080 http://192.168.1.21:8080
              llama-balancer --config server-list.yaml
              llama-balancer check --config server-list.yaml
              llama-balancer status --watch
              llama-balancer key new alice
              llama-balancer usage --by key
              llama-balancer simulate --agents 6 --servers 4000,2500,1500,800
            """,
        version: version,
        subcommands: [Serve.self, Demo.self, Check.self, Status.self, Usage.self, KeyCommand.self, Simulate.self],
        defaultSubcommand: Serve.self)

    package static let version = "0.1.0"

    package init() {}

    /// Parses the command line, runs the command and ends the process.
    ///
    /// Not `async`: an asynchronous main begins by opening descriptors for its queue, and the first of them would become
    /// standard output if the caller has closed standard output.
    package static func start() -> Never {
        OutputDescriptor.prepareStandardDescriptors()
        keep_freed_memory()
        Task { await run() }
        dispatchMain()
    }

    private static func run() async -> Never {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            Foundation.exit(0)
        } catch {
            end(with: error)
        }
    }

    /// Like `exit(withError:)`, but notices when help or version could not be written.
    private static func end(with error: any Error) -> Never {
        let code = exitCode(for: error)
        let message = fullMessage(for: error)
        if !message.isEmpty {
            if code.isSuccess {
                do { try say(message) } catch { Foundation.exit(exitCode(for: error).rawValue) }
            } else {
                complain(message)
            }
        }
        Foundation.exit(code.rawValue)
    }
}

/// How a command ends when it cannot do its work; the numbers are those of sysexits.h.
enum CommandFailure {
    static func usage(_ message: String) -> ExitCode { report(message, 64) }
    static func configuration(_ problems: Problems) -> ExitCode { report(problems.description, 78) }
    static func failed(_ message: String) -> ExitCode { report(message, 1) }

    /// The result of a command could not be printed.
    static func output(_ problem: OutputProblem) -> ExitCode {
        // No message if the reader stopped reading on purpose (`check | head`).
        if problem.reason != .failed(EPIPE) { complain(problem.description) }
        return ExitCode(74)
    }

    private static func report(_ message: String, _ code: Int32) -> ExitCode {
        complain(message.split(separator: "\n", omittingEmptySubsequences: false).map(TerminalText.plain).joined(separator: "\n"))
        return ExitCode(code)
    }
}

/// Text of engines and files on a terminal.
enum TerminalText {
    /// Without control characters, with which such text could control the terminal.
    static func plain(_ text: some StringProtocol) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) }))
    }
}

extension Logger {
    /// Goes to standard error, so that standard output stays free for the access log.
    static func program(level: Logger.Level) -> Logger {
        var logger = Logger(label: "llama-balancer") { StreamLogHandler(label: $0, stream: StandardErrorStream()) }
        logger.logLevel = level
        return logger
    }
}

/// For log lines. A line that cannot be written is lost, and the program does not wait long for it.
private struct StandardErrorStream: TextOutputStream, Sendable {
    mutating func write(_ text: String) {
        try? OutputDescriptor.standardError.write(text, patience: .milliseconds(100))
    }
}

/// Prints the result of a command at once, also into a pipe with a slow reader.
///
/// - Throws: the exit code of a command whose result could not be printed.
func say(_ text: String) throws(ExitCode) {
    do { try OutputDescriptor.standardOutput.write(Array((text + "\n").utf8)) } catch { throw CommandFailure.output(error) }
}

/// Prints the messages of a server at its start. If they cannot be written, the server goes on and logs this once.
func announce(_ text: String, logger: Logger) {
    do {
        try OutputDescriptor.standardOutput.write(text + "\n", patience: .seconds(1))
    } catch {
        logger.warning("the start message could not be printed", metadata: ["reason": "\(error)"])
    }
}

/// Says on standard error why a command has failed. If standard error is closed or full, only the exit status shows the
/// failure.
private func complain(_ message: String) {
    try? OutputDescriptor.standardError.write(message + "\n", patience: .seconds(10))
}
