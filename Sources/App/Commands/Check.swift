import ArgumentParser
import Foundation

/// `llama-balancer check`.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Validates the configuration and shows what it means.",
        discussion: """
            Every problem is printed as FILE:LINE:COLUMN: error: …; the exit status is 0 or 1.

            Examples:
              llama-balancer check
              llama-balancer check --config server-list.yaml
            """)

    @Option(help: "The configuration file, JSON or YAML.")
    var config: String?

    init() {}

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        guard let file = ConfigurationLoader.locate(option: config, environment: environment) else {
            throw CommandFailure.usage(ConfigurationLoader.nothingConfigured)
        }
        switch ConfigurationLoader.load(file: file, environment: environment) {
        case .success(let settings): try say("\(file) is valid.\n\n\(settings.summary)")
        case .failure(let problems): throw CommandFailure.failed(problems.description)
        }
    }
}
