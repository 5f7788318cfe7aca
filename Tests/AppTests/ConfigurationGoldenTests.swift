import Foundation
import Testing

@testable import App

/// Golden files: a configuration, a line of ten dashes, and what `check` says to it. `UPDATE_GOLDEN=1 swift test` writes the
/// second part anew; read the difference before you keep it.
@Suite("Golden configurations") struct ConfigurationGoldenTests {
    static let environment = [
        "PC2_KEY": "sk-very-secret", "PORT": "8081", "EMPTY": "", "LINES": "sk-one\nsk-two", "HOST": "192.168.1.20",
    ]

    @Test("what a file says is understood, or reported with place, reason and remedy", arguments: try ProjectFiles.goldenNames())
    func matchesGolden(name: String) throws {
        let file = ProjectFiles.golden.appending(path: name)
        let parts = try String(contentsOf: file, encoding: .utf8).split(separator: "\n----------\n", maxSplits: 1)
        let input = try #require(parts.first.map(String.init))
        let label = String(name.dropLast(".txt".count))
        let answer =
            switch ConfigurationLoader.load(text: input, file: label, environment: Self.environment) {
            case .success(let configuration): configuration.summary
            case .failure(let problems): problems.description
            }
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            try (input + "\n----------\n" + answer + "\n").write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(parts.count == 2, "the file has no line of dashes")
            #expect(answer + "\n" == parts.last.map(String.init))
        }
        #expect(!answer.contains("sk-"), "a secret is shown")
    }
}

/// The files of this repository that tests look at.
enum ProjectFiles {
    static let tests = URL(filePath: #filePath).deletingLastPathComponent()
    static let root = tests.deletingLastPathComponent().deletingLastPathComponent()
    static let golden = tests.appending(path: "Golden")
    static let examples = ["server-list.json", "server-list.yaml", "gpt-oss-rules.yaml"]

    static func goldenNames() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: golden.path).filter { $0.hasSuffix(".txt") }.sorted()
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }
}
