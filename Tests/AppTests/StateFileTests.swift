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

    @Test("a program that was killed while it wrote leaves one file behind, which the next one replaces")
    func killed() throws {
        try inFolder {
            let file = StateFile(path: folder.appendingPathComponent("state.json").path)
            try Data("{".utf8).write(to: URL(fileURLWithPath: file.path + ".new"))
            try file.write([SavedFigures(server: "PC1", model: "m", tokenSeconds: 0.01)])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["state.json"])
            #expect(try file.read().map(\.server) == ["PC1"])
        }
    }

    @Test("one that cannot be written, or replaced, is a problem that names it")
    func unwritable() throws {
        let nowhere = StateFile(path: folder.appendingPathComponent("state.json").path)
        #expect(#expect(throws: StateFile.Problem.self) { try nowhere.write([]) }?.description.contains("state.json") == true)
        try inFolder {
            try FileManager.default.createDirectory(at: URL(fileURLWithPath: nowhere.path), withIntermediateDirectories: true)
            let problem = #expect(throws: StateFile.Problem.self) { try nowhere.write([]) }
            #expect(problem?.description.contains("state.json cannot be replaced") == true)
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
