import Foundation

/// Finds, reads and validates configurations. All problems are returned together, as `Problems`.
package enum ConfigurationLoader {
    /// The configuration in a text, JSON or YAML. `file` is only for messages.
    package static func load(
        text: String, file: String, environment: [String: String]
    ) -> Result<Configuration, Problems> {
        do {
            // Some editors put a byte order mark first.
            let content = try ConfigurationFile.parse(text.first == "\u{FEFF}" ? String(text.dropFirst()) : text, file: file)
            let tree = content.root
            var decoder = ConfigurationDecoder(file: file, environment: environment)
            let configuration = decoder.decode(tree)
            let problems = (content.problems + decoder.problems).enumerated().sorted {
                ($0.element.position ?? tree.position, $0.offset) < ($1.element.position ?? tree.position, $1.offset)
            }
            return problems.isEmpty ? .success(configuration) : .failure(Problems(problems.map(\.element), files: decoder.files))
        } catch {
            return .failure(error)
        }
    }

    /// The configuration in a file, which may be a pipe.
    package static func load(file: String, environment: [String: String]) -> Result<Configuration, Problems> {
        read(file).flatMap { load(text: $0, file: file, environment: environment) }
    }

    /// A file, and nothing that one could wait for.
    static func readRegular(_ path: String) -> Result<String, NamedFile.Problem> {
        do {
            let bytes = try NamedFile.read(path, limit: ConfigurationFile.largestSize)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                return .failure(NamedFile.Problem(description: "it is not UTF-8 text"))
            }
            return .success(text)
        } catch {
            return .failure(error as? NamedFile.Problem ?? NamedFile.Problem(description: "it cannot be read"))
        }
    }

    private static func read(_ file: String) -> Result<String, Problems> {
        func refuse(_ message: String, hint: String? = nil) -> Result<String, Problems> {
            .failure(Problems([Problem(file: file, message: message, hint: hint)]))
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: file, isDirectory: &isFolder) else {
            return refuse("there is no such file", hint: "see --config and the environment variable SERVER_LIST_JSON")
        }
        guard !isFolder.boolValue else { return refuse("this is a folder, not a file") }
        do {
            let handle = try FileHandle(forReadingFrom: URL(filePath: file))
            defer { try? handle.close() }
            var bytes = Data()
            while bytes.count <= ConfigurationFile.largestSize, let more = try handle.read(upToCount: 1 << 16), !more.isEmpty {
                bytes.append(more)
            }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                return refuse("the file is not UTF-8 text", hint: "save it as UTF-8")
            }
            return .success(text)
        } catch {
            return refuse("the file cannot be read: \(error.localizedDescription)", hint: "check its permissions")
        }
    }
}

// MARK: - Which file

extension ConfigurationLoader {
    /// The file names that are tried in the current folder; the first that exists is used.
    package static let defaultFiles = ["server-list.json", "server-list.yaml", "server-list.yml"]

    /// The file to read: the one of `--config`, else of the environment variable `SERVER_LIST_JSON`, else of the current
    /// folder. A file that is named explicitly is returned even if it does not exist; reading it then reports this. Nil: no
    /// file is named or found.
    package static func locate(
        option: String?, environment: [String: String],
        fileExists: (String) -> Bool = { FileManager.default.fileExists(atPath: $0) }
    ) -> String? {
        if let option { return option }
        if let named = environment["SERVER_LIST_JSON"], !named.isEmpty { return named }
        return defaultFiles.first(where: fileExists)
    }

    /// The message when there is no file and no URL.
    package static let nothingConfigured = """
        No servers are configured. Do one of these:

          Name their addresses:
            llama-balancer http://192.168.1.20:8080 http://192.168.1.21:8080

          Write server-list.yaml (or server-list.json) in this folder:
            servers:
              PC1: { url: "http://192.168.1.20:8080" }
              PC2: { url: "http://192.168.1.21:8080" }

          Try it without any server of your own:
            llama-balancer demo

        Looked for --config FILE, the environment variable SERVER_LIST_JSON, and \(defaultFiles.joined(separator: ", ")) here.
        """
}

// MARK: - Without a file

extension Configuration {
    /// The configuration for addresses given on the command line: servers named by host and port, all else by default.
    /// A missing scheme means http.
    ///
    /// - Parameter environment: for `SSL_CERT_FILE`.
    package init(urls: [String], environment: [String: String] = [:]) throws(Problems) {
        var servers: [ServerSettings] = []
        var problems: [Problem] = []
        func report(_ number: Int, _ message: String, hint: String?) {
            problems.append(Problem(file: "command line", keyPath: "URL \(number)", message: message, hint: hint))
        }
        for (index, text) in urls.enumerated() {
            if let hint = Self.hint(forWord: text) {
                // What stands before an @ may be a password, and is not repeated.
                report(index + 1, text.contains("@") ? "this is no address" : "\"\(text)\" is no address", hint: hint)
                continue
            }
            do {
                let url = try BaseURL.parse(text, assumingHTTP: true).url
                if servers.contains(where: { $0.name == url.hostAndPort }) {
                    report(
                        index + 1, "\(url.hostAndPort) is given twice",
                        hint: "a file can give such servers names of their own")
                }
                var server = ServerSettings(name: url.hostAndPort, baseURL: url)
                if url.scheme == .https { server.tls.authorities = try TLSSettings.systemAuthorities(environment) }
                servers.append(server)
            } catch let error as BaseURL.ParseError {
                report(index + 1, error.message, hint: error.hint)
            } catch let error as TLSSettings.EnvironmentProblem {
                report(index + 1, error.message, hint: error.hint)
            } catch {
                report(index + 1, "\(error)", hint: nil)
            }
        }
        if urls.isEmpty { report(1, "missing", hint: "for example http://192.168.1.20:8080") }
        guard problems.isEmpty else { throw Problems(problems) }
        self.init(servers: servers)
    }

    /// What is meant by a word that can hardly be an address: a command, a file, or an address with a mistake; else nil.
    private static func hint(forWord text: String) -> String? {
        if text.hasSuffix(".yaml") || text.hasSuffix(".yml") || text.hasSuffix(".json") { return "a file is named with --config" }
        guard !text.contains("://") else { return nil }
        if text.contains("//") { return "begin it with http:// or https://" }
        guard !text.contains(where: { ".:[/@".contains($0) }) else { return nil }
        let command = Suggestion.nearest(to: text, among: ["serve", "demo", "check", "status"])
        return command.map { "did you mean the command \"\($0)\"?" } ?? "write it with its port, such as http://\(text):8080"
    }
}
