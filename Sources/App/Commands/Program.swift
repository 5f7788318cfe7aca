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
              llama-balancer demo                                      try it, nothing else needed
              llama-balancer http://192.168.1.20:8080 http://192.168.1.21:8080
              llama-balancer --config server-list.yaml
              llama-balancer check --config server-list.yaml
              llama-balancer status --watch
            """,
        version: version, subcommands: [Serve.self, Demo.self, Check.self, Status.self], defaultSubcommand: Serve.self)

    package static let version = "0.1.0"

    package init() {}

    /// Parses the command line, runs the command and ends the process.
    ///
    /// Not `async`: an asynchronous main begins by opening descriptors for its queue, and the first of them would become standard
    /// output when the caller has closed that.
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

    /// As `exit(withError:)`, which does not notice when help or version could not be written.
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

    /// Its result could not be printed.
    static func output(_ problem: OutputProblem) -> ExitCode {
        // A reader that has seen enough (`check | head`) wants to hear nothing of it.
        if problem.reason != .failed(EPIPE) { complain(problem.description) }
        return ExitCode(74)
    }

    private static func report(_ message: String, _ code: Int32) -> ExitCode {
        complain(message)
        return ExitCode(code)
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

/// For log lines: one that cannot be written is lost, and nobody waits long for it.
private struct StandardErrorStream: TextOutputStream, Sendable {
    mutating func write(_ text: String) {
        try? OutputDescriptor.standardError.write(text, patience: .milliseconds(100))
    }
}

/// Prints what a command was asked for, now, also into a pipe whose reader takes its time.
///
/// - Throws: the exit code of a command whose result could not be printed.
func say(_ text: String) throws(ExitCode) {
    do { try OutputDescriptor.standardOutput.write(Array((text + "\n").utf8)) } catch { throw CommandFailure.output(error) }
}

/// Prints what a server has to tell at its start. It goes on when nobody can hear it, and says so once in the log.
func announce(_ text: String, logger: Logger) {
    do {
        try OutputDescriptor.standardOutput.write(text + "\n", patience: .seconds(1))
    } catch {
        logger.warning("the start message could not be printed", metadata: ["reason": "\(error)"])
    }
}

/// Says on standard error why a command has failed. When that is closed or full, the exit status has to tell.
private func complain(_ message: String) {
    try? OutputDescriptor.standardError.write(message + "\n", patience: .seconds(10))
}
