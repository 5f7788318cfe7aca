import Foundation
import Routing
import Testing

@testable import App

@Suite("The state file")
struct StateFileTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("state-\(UUID().uuidString)")

    private var path: String { folder.appendingPathComponent("server-list.yaml").path }

    private func inFolder(_ body: () throws -> Void) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body()
    }

    @Test("stands beside the configuration, and gives back what was written")
    func roundTrip() throws {
        try inFolder {
            try Data("servers: {}".utf8).write(to: URL(fileURLWithPath: path))
            let file = try #require(StateFile(besideConfiguration: path))
            #expect(file.path.hasSuffix("/server-list.state.json"))
            #expect(try file.read() == [])
            let figures = [
                SavedFigures(
                    server: "PC1", model: "m", prefillTokensPerSecond: 2000.5, tokenSeconds: 0.015, bytesPerToken: 3.9,
                    loadSeconds: 21.5, cacheTokens: 40_000),
                SavedFigures(server: "PC2", model: "", prefillTokensPerSecond: 800),
            ]
            try file.write(figures)
            #expect(try file.read() == figures)
        }
    }

    @Test(
        "a broken file is a problem that names the file, and no figures",
        arguments: ["", "{", "[]", #"{"version":2,"figures":[]}"#, #"{"version":1}"#, "\u{0}"])
    func broken(text: String) throws {
        try inFolder {
            let file = StateFile(path: folder.appendingPathComponent("state.json").path)
            try Data(text.utf8).write(to: URL(fileURLWithPath: file.path))
            let problem = #expect(throws: StateFile.Problem.self) { try file.read() }
            #expect(problem?.description.contains("state.json") == true)
        }
    }

    @Test("there is none beside a configuration that is no file")
    func noFile() {
        #expect(StateFile(besideConfiguration: "/dev/null") == nil)
        #expect(StateFile(besideConfiguration: "/nowhere/server-list.yaml") == nil)
    }
}
