import ArgumentParser
import Proxy
import Wire

/// `llama-balancer key`.
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Makes keys for clients.",
        discussion: """
            Examples:
              llama-balancer key new alice
              llama-balancer key new operator --admin
            """, subcommands: [New.self])

    /// `llama-balancer key new`.
    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a key, prints it once, and prints the lines for the configuration.",
            discussion: """
                The key itself is stored nowhere. The configuration has only its SHA-256, from which nobody can find the key.

                Examples:
                  llama-balancer key new alice
                  llama-balancer key new ci --models 'qwen3.*' --expires 2027-01-31
                  llama-balancer key new operator --admin
                """)

        @Argument(help: "Whose key it is. Logs show this name.")
        var name: String

        @Option(help: "A model that the key is good for, as a regular expression. May be repeated. Default: all models.")
        var models: [String] = []

        @Option(help: "The day after which the key is refused, such as 2027-01-31.")
        var expires: String?

        @Flag(help: "The key may also see and steer the balancer.")
        var admin = false

        init() {}

        /// What the configuration would refuse is refused here.
        func validate() throws {
            let digest = KeyDigest(of: [])
            let file = "servers: { a: { url: 'http://a' } }\nkeys:\n" + lines(digest: digest)
            guard case .failure(let problems) = ConfigurationLoader.load(text: file, file: "", environment: [:]) else { return }
            throw ValidationError(problems.list.map { "\($0.keyPath): \($0.message)" }.joined(separator: "\n"))
        }

        func run() throws {
            var generator = SystemRandomNumberGenerator()
            let key = Self.key(using: &generator)
            try say(
                """
                The key, which is shown this once:

                  \(key)

                For the configuration, below "keys:":

                \(lines(digest: KeyDigest(of: key.utf8)))
                """)
        }

        /// `lb-` and 256 random bits, in digits that need no escaping anywhere.
        static func key(using generator: inout some RandomNumberGenerator) -> String {
            let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
            return "lb-"
                + String(decoding: (0..<43).map { _ in digits[Int(generator.next(upperBound: UInt64(64)))] }, as: UTF8.self)
        }

        /// What to write below `keys:`.
        func lines(digest: KeyDigest) -> String {
            var lines = ["  - name: \(quoted(name))", "    key-sha256: \(digest.hexadecimal)"]
            if !models.isEmpty { lines.append("    models: [\(models.map(quoted).joined(separator: ", "))]") }
            if let expires { lines.append("    expires: \(quoted(expires))") }
            if admin { lines.append("    admin: true") }
            return lines.joined(separator: "\n")
        }

        private func quoted(_ text: String) -> String { String(decoding: JSON.string(text).bytes, as: UTF8.self) }
    }
}
