package import Routing
import NIOConcurrencyHelpers

/// The current configuration, for display, and the function that reloads it.
package final class ConfigurationBoard: Sendable {
    package struct Server: Sendable, Equatable {
        package var id: BackendID
        package var name: String
        /// The engine's base URL, without secrets.
        package var modelURL: String
        /// The base URL of the health check, and the URL that is requested.
        package var healthURL: String
        package var probedURL: String
        package var requestMax: Int?

        package init(id: BackendID, name: String, modelURL: String, healthURL: String, probedURL: String, requestMax: Int?) {
            self.id = id
            self.name = name
            self.modelURL = modelURL
            self.healthURL = healthURL
            self.probedURL = probedURL
            self.requestMax = requestMax
        }
    }

    package struct Pattern: Sendable, Equatable {
        package var pattern: String
        package var servers: [String]

        package init(pattern: String, servers: [String]) {
            self.pattern = pattern
            self.servers = servers
        }
    }

    /// With what a listener proves who it is.
    package struct Certificate: Sendable, Equatable {
        package var listener: String
        /// Its file.
        package var path: String
        /// Milliseconds since 1970.
        package var validUntilMilliseconds: Int

        package init(listener: String, path: String, validUntilMilliseconds: Int) {
            self.listener = listener
            self.path = path
            self.validUntilMilliseconds = validUntilMilliseconds
        }

        /// Negative when it has ended.
        package func daysLeft(at wallMilliseconds: Int) -> Double {
            Double(validUntilMilliseconds - wallMilliseconds) / 86_400_000
        }
    }

    package struct Contents: Sendable, Equatable {
        package var servers: [Server] = []
        package var patterns: [Pattern] = []
        /// The configuration's own names for models.
        package var aliases: [String] = []
        package var certificates: [Certificate] = []
        /// Nil when there is no file (URLs on the command line).
        package var file: String?
        /// Milliseconds since 1970.
        package var loadedAt = 0
        /// `privacy: hide-clients`
        package var hidesClients = false
        /// Why the last attempt to read the file had no effect.
        package var problems: String?

        package init() {}
    }

    private let contents = NIOLockedValueBox(Contents())
    private let reloader = NIOLockedValueBox<(@Sendable () async -> String?)?>(nil)

    package init() {}

    var current: Contents { contents.withLockedValue { $0 } }

    package func publish(_ new: Contents) { contents.withLockedValue { $0 = new } }

    package func note(problems: String) { contents.withLockedValue { $0.problems = problems } }

    /// Sets the function that reloads the configuration. The function returns the problems, or nil on success.
    package func onReload(_ action: @escaping @Sendable () async -> String?) { reloader.withLockedValue { $0 = action } }

    func reload() async -> String? {
        guard let action = reloader.withLockedValue({ $0 }) else { return "There is no configuration file to read again." }
        return await action()
    }
}
