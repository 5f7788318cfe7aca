package import ArgumentParser
import CHeap
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
    package static func run() async -> Never {
        keep_freed_memory()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            Foundation.exit(0)
        } catch {
            exit(withError: error)
        }
    }
}

/// How a command ends when it cannot do its work; the numbers are those of sysexits.h.
enum CommandFailure {
    static func usage(_ message: String) -> ExitCode { report(message, 64) }
    static func configuration(_ problems: Problems) -> ExitCode { report(problems.description, 78) }
    static func failed(_ message: String) -> ExitCode { report(message, 1) }

    private static func report(_ message: String, _ code: Int32) -> ExitCode {
        FileHandle.standardError.write(Data((message + "\n").utf8))
        return ExitCode(code)
    }
}

extension Logger {
    /// Goes to standard error, so that standard output stays free for the access log.
    static func program(level: Logger.Level) -> Logger {
        var logger = Logger(label: "llama-balancer") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = level
        return logger
    }
}

/// Prints now, also into a pipe.
func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
