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
            #expect(problem?.description.contains("state.json is a folder, not a file") == true)
        }
    }

    @Test("a symbolic link stays one, and its file gets the figures, also when there is no file yet")
    func symbolicLink() throws {
        try inFolder {
            let figures = [SavedFigures(server: "PC1", model: "m", tokenSeconds: 0.01)]
            let target = folder.appendingPathComponent("elsewhere").path
            try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
            for link in ["relative.json", "absolute.json"] {
                let file = StateFile(path: folder.appendingPathComponent(link).path)
                let end = link.hasPrefix("relative") ? "elsewhere/\(link)" : "\(target)/\(link)"
                try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: end)
                for _ in 0..<2 {
                    try file.check()
                    try file.write(figures)
                    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: file.path) == end)
                    #expect(try StateFile(path: "\(target)/\(link)").read() == figures)
                }
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: target).count == 2)
        }
    }

    @Test(
        "what is no file is refused at the start, never waited for, and stays what it is",
        arguments: ["pipe", "socket", "folder"])
    func noRegularFile(kind: String) throws {
        try inFolder {
            let path = folder.appendingPathComponent("s").path
            try make(kind, at: path)
            let file = StateFile(path: path)
            let problem = #expect(throws: StateFile.Problem.self) { try file.check() }
            #expect(problem?.description == "\(path) is a \(kind), not a file; name a file, or write off to keep nothing")
            #expect(throws: StateFile.Problem.self) { try file.read() }
            #expect(throws: StateFile.Problem.self) { try file.write([]) }
            var information = stat()
            #expect(stat(path, &information) == 0 && NamedFile.otherKind(information) == "a \(kind)")
            // The same behind a link, and under the name of the file that is to replace it.
            let link = StateFile(path: folder.appendingPathComponent("link").path)
            try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: path)
            #expect(throws: StateFile.Problem.self) { try link.write([]) }
            let other = StateFile(path: folder.appendingPathComponent("other").path)
            try make(kind, at: other.path + ".new")
            #expect(#expect(throws: StateFile.Problem.self) { try other.write([]) }?.description.contains("other.new") == true)
        }
    }

    private func make(_ kind: String, at path: String) throws {
        switch kind {
        case "pipe": try #require(mkfifo(path, 0o600) == 0)
        case "folder": try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        default:
            let number = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
            defer { close(number) }
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            // The name of a socket is short; the test's folder need not be.
            let name = "/tmp/s-\(UUID().uuidString)"
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name.utf8) }
            let bound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            try #require(bound == 0 && rename(name, path) == 0)
        }
    }

    @Test("a named file that cannot be written is a problem at the start; one beside the configuration is a warning")
    func unusable() throws {
        try inFolder {
            try Data("servers: {}".utf8).write(to: URL(fileURLWithPath: path))
            var (settings, warnings) = (Configuration(servers: []), [String]())
            func usable() throws -> StateFile? {
                try StateFile.usable(settings, configuration: path) { warnings.append($0) }
            }
            #expect(try usable()?.path == folder.appendingPathComponent("server-list.state.json").path)
            #expect(warnings == [])
            try make("folder", at: folder.appendingPathComponent("server-list.state.json").path)
            #expect(try usable() == nil)
            #expect(warnings.count == 1 && warnings[0].contains("server-list.state.json is a folder, not a file"), "\(warnings)")
            for (file, reason) in [("nowhere/x", "No such file or directory"), ("server-list.yaml/x", "Not a directory")] {
                settings.stateFile = .file(folder.appendingPathComponent(file).path)
                let problem = #expect(throws: StateFile.Problem.self) { _ = try usable() }
                #expect(problem?.description.hasPrefix("state-file: \(folder.path)/\(file) cannot be ") == true)
                #expect(problem?.description.hasSuffix(reason) == true)
            }
            settings.stateFile = .off
            #expect(try usable() == nil && warnings.count == 1)
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
