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

    /// Empty when there is no file yet.
    func read() throws(Problem) -> [SavedFigures] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        guard let handle = FileHandle(forReadingAtPath: path), let data = try? handle.read(upToCount: Self.largest + 1) else {
            throw Problem(description: "\(path) cannot be read")
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
    /// same, so that a program that is killed meanwhile leaves no more than that one behind.
    func write(_ figures: [SavedFigures]) throws(Problem) {
        let list = figures.prefix(Self.mostFigures).map { figures -> JSON in
            [
                "server": .string(figures.server), "model": .string(figures.model),
                "prefill_tokens_per_second": number(figures.prefillTokensPerSecond),
                "token_seconds": number(figures.tokenSeconds), "bytes_per_token": number(figures.bytesPerToken),
                "load_seconds": number(figures.loadSeconds), "cache_tokens": number(figures.cacheTokens),
            ]
        }
        let text = (["version": 1, "figures": .array(list)] as JSON).text + "\n"
        let new = path + ".new"
        do { try Data(text.utf8).write(to: URL(fileURLWithPath: new)) } catch {
            throw Problem(description: "\(new) cannot be written: \(error.localizedDescription)")
        }
        guard rename(new, path) == 0 else {
            throw Problem(description: "\(path) cannot be replaced: \(String(cString: strerror(errno)))")
        }
    }

    private func number(_ value: Double?) -> JSON { value.map { JSON($0) } ?? .null }

    struct Problem: Error, CustomStringConvertible {
        var description: String
    }
}
