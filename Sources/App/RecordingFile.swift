import Foundation
import Routing

/// Where `serve --record` keeps the router's events: a line of JSON for each, written at the end.
struct RecordingFile: Sendable {
    /// Two servers that are probed each second make about ten thousand events in an hour, a request two or three.
    static let mostEvents = 200_000

    let path: String
    private let output: OutputDescriptor

    /// Opens the file at once: who records wants to know at the start that it cannot be written.
    ///
    /// Names and addresses of clients are nobody else's business, and neither are the hashes: they show whether a prompt is the one that
    /// somebody guesses.
    init(path: String) throws(RecordingProblem) {
        do {
            let number = try NamedFile.open(path, O_WRONLY | O_CREAT, mode: 0o600)
            self.path = path
            output = OutputDescriptor(number, name: path, isOwned: true)
            // A file that was there already keeps its rights otherwise. A pipe or a terminal keeps them.
            guard NamedFile.otherKind(number) != nil || fchmod(number, 0o600) == 0 && ftruncate(number, 0) == 0 else {
                throw NamedFile.Problem(description: "others can read it, and its rights cannot be changed; name another file")
            }
        } catch {
            throw RecordingProblem(description: "--record: cannot open \(path): \(error)")
        }
    }

    func write(_ recording: Recording) throws(RecordingProblem) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            for step in recording.steps { try output.write(Array(try encoder.encode(step)) + [UInt8(ascii: "\n")]) }
        } catch {
            throw RecordingProblem(description: "\(error)")
        }
    }
}

struct RecordingProblem: Error, CustomStringConvertible {
    var description: String
}
