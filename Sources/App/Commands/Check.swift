import ArgumentParser
import Foundation

/// `llama-balancer check`.
struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Validates the configuration and shows what it means.",
        discussion: """
            Every problem is printed as FILE:LINE:COLUMN: error: …; the exit status is 0 or 1.

            Examples:
              llama-balancer check
              llama-balancer check --config server-list.yaml
              llama-balancer check --online       asks each server what it is, and which models it has
            """)

    @Option(help: "The configuration file, JSON or YAML.")
    var config: String?

    @Flag(help: "Also ask every server; the exit status is 1 if one of them cannot be used.")
    var online = false

    init() {}

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        guard let file = ConfigurationLoader.locate(option: config, environment: environment) else {
            throw CommandFailure.usage(ConfigurationLoader.nothingConfigured)
        }
        switch ConfigurationLoader.load(file: file, environment: environment) {
        case .success(let settings):
            var warnings = settings.warnings + settings.exposures
            warnings += settings.expiryWarnings(atSeconds: Int(Date().timeIntervalSince1970))
            do { _ = try StateFile.usable(settings, configuration: file) { warnings.append($0) } } catch {
                throw CommandFailure.failed("\(file): error: \(error)")
            }
            try say("\(file) is valid.\n\n\(settings.summary)" + warnings.map { "\n\nwarning: \($0)" }.joined())
            guard online else { return }
            let (text, isGood) = try await OnlineCheck.report(on: settings)
            try say("\nservers, asked just now\n\(text)")
            if !isGood { throw ExitCode(1) }
        case .failure(let problems): throw CommandFailure.failed(problems.description)
        }
    }
}
