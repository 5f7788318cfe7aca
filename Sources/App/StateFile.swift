import Foundation
import Routing
import Wire

/// What the balancer has learned of its servers, kept over a restart in a small file beside the configuration.
struct StateFile: Sendable {
    /// Larger files are not ours.
    private static let largest = 1 << 20
    private static let mostFigures = 10_000

    let path: String

    init(path: String) { self.path = path }

    /// `server-list.yaml` has `server-list.state.json` beside it. Nil when the configuration is no regular file, such as a pipe.
    init?(besideConfiguration file: String) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), !isFolder.boolValue,
            (try? FileManager.default.attributesOfItem(atPath: file)[.type]) as? FileAttributeType == .typeRegular
        else { return nil }
        path = URL(fileURLWithPath: file).deletingPathExtension().path + ".state.json"
    }

    /// The file that a configuration means; nil when it means none, or one that cannot be used and that nobody has named.
    ///
    /// - Parameters:
    ///   - file: the configuration's.
    ///   - warn: told why nothing will be kept.
    /// - Throws: why the file that the configuration names cannot be used.
    static func usable(
        _ settings: Configuration, configuration file: String?, warn: (String) -> Void
    ) throws(Problem) -> StateFile? {
        switch settings.stateFile {
        case .off: return nil
        case .file(let path):
            let file = StateFile(path: path)
            do { try file.check() } catch { throw Problem(description: "state-file: \(error)") }
            return file
        case .besideConfiguration:
            guard let file = file.flatMap({ StateFile(besideConfiguration: $0) }) else { return nil }
            // A folder that others write is an ordinary place for a configuration.
            do { try file.check() } catch {
                warn("what is learned of the servers is lost with a restart: \(error)")
                return nil
            }
            return file
        }
    }

    /// Finds out early what `write` would fail with: it replaces the file, and must not replace a device, a pipe or a folder.
    func check() throws(Problem) {
        let target = target
        var information = stat()
        if stat(target, &information) == 0 {
            if let kind = NamedFile.otherKind(information) {
                throw Problem(description: "\(path) is \(kind), not a file; name a file, or write off to keep nothing")
            }
        } else if errno != ENOENT {
            throw Problem(description: "\(path) cannot be used: \(String(cString: strerror(errno)))")
        }
        let folder = URL(fileURLWithPath: target).deletingLastPathComponent().path
        guard access(folder, W_OK | X_OK) == 0 else {
            throw Problem(
                description: "\(path) cannot be written, because of its folder \(folder): \(String(cString: strerror(errno)))")
        }
    }

    /// Where symbolic links lead from `path`, even if there is no file yet.
    private var target: String {
        var path = path
        // Like the system's own limit. What is left behind a longer chain cannot be opened.
        for _ in 0..<40 {
            guard let link = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else { break }
            path = URL(fileURLWithPath: link, relativeTo: URL(fileURLWithPath: path).deletingLastPathComponent()).path
        }
        return path
    }

    /// Empty when there is no file yet.
    func read() throws(Problem) -> [SavedFigures] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let data: Data
        do { data = try NamedFile.read(path, limit: Self.largest) } catch {
            throw Problem(description: "\(path) cannot be read: \(error)")
        }
        guard data.count <= Self.largest else { throw Problem(description: "\(path) has more than 1 MB") }
        guard let json = try? JSON(parsing: Array(data)), json["version"]?.intValue == 1, let list = json["figures"]?.arrayValue
        else { throw Problem(description: "\(path) is not a state file of this version") }
        return list.prefix(Self.mostFigures).compactMap { entry in
            guard let server = entry["server"]?.stringValue, let model = entry["model"]?.stringValue else { return nil }
            return SavedFigures(
                server: server, model: model, prefillTokensPerSecond: entry["prefill_tokens_per_second"]?.doubleValue,
                tokenSeconds: entry["token_seconds"]?.doubleValue, bytesPerToken: entry["bytes_per_token"]?.doubleValue,
                loadSeconds: entry["load_seconds"]?.doubleValue, cacheTokens: entry["cache_tokens"]?.doubleValue)
        }
    }

    /// Replaces the file at once: a reader sees the old one or the new one. The new one is written under a name of its own, always the
    /// same, so that a program that is killed meanwhile leaves no more than that one behind. A symbolic link stays, and its file is replaced.
    func write(_ figures: [SavedFigures]) throws(Problem) {
        // What is there may have changed since the start.
        try check()
        let list = figures.prefix(Self.mostFigures).map { figures -> JSON in
            [
                "server": .string(figures.server), "model": .string(figures.model),
                "prefill_tokens_per_second": number(figures.prefillTokensPerSecond),
                "token_seconds": number(figures.tokenSeconds), "bytes_per_token": number(figures.bytesPerToken),
                "load_seconds": number(figures.loadSeconds), "cache_tokens": number(figures.cacheTokens),
            ]
        }
        let text = (["version": 1, "figures": .array(list)] as JSON).text + "\n"
        let target = target
        let new = target + ".new"
        do {
            let number = try NamedFile.openRegular(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o644)
            try OutputDescriptor(number, name: new, isOwned: true).write(Array(text.utf8))
        } catch {
            throw Problem(description: "\(new) cannot be written: \(error)")
        }
        guard rename(new, target) == 0 else {
            throw Problem(description: "\(path) cannot be replaced: \(String(cString: strerror(errno)))")
        }
    }

    private func number(_ value: Double?) -> JSON { value.map { JSON($0) } ?? .null }

    struct Problem: Error, CustomStringConvertible {
        var description: String
    }
}
