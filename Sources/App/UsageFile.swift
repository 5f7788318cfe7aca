import Control
import Foundation
import Logging
import NIOConcurrencyHelpers
import Wire

/// Keeps what keys have used over a restart: a line of JSON for each change, of which the last one for a day, key and model counts. When
/// most lines are outdated, the file is written anew.
final class UsageFile: Sendable {
    /// After a crash, so much is lost at most.
    private static let interval = Duration.seconds(15)
    /// Larger files are not ours.
    private static let largest = 256 << 20
    /// A smaller file is never written anew.
    private static let smallest = 1 << 20
    /// The longest file, in multiples of what it has to have.
    private static let mostOutdated = 4

    private struct State {
        var size = 0
        /// Of the file without outdated lines, when it was read or written anew.
        var liveSize = 0
        var hasWarned = false
        var isClosed = false
    }

    private let path: String
    private let activity: ActivityLog
    private let logger: Logger
    private let state = NIOLockedValueBox(State())
    private let task = NIOLockedValueBox<Task<Void, Never>?>(nil)

    /// `server-list.state.json` has `server-list.usage.jsonl` beside it.
    init(beside stateFile: StateFile, activity: ActivityLog, logger: Logger) {
        var name = stateFile.path
        for ending in [".json", ".state"] where name.hasSuffix(ending) { name.removeLast(ending.count) }
        path = name + ".usage.jsonl"
        self.activity = activity
        self.logger = logger
        do { try load() } catch { logger.warning("\(path): what keys have used before is not known: \(error)") }
        let running = Task.detached { [weak self] in
            while (try? await Task.sleep(for: Self.interval)) != nil { self?.write() }
        }
        task.withLockedValue { $0 = running }
    }

    private func load() throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let handle = FileHandle(fileDescriptor: try NamedFile.openRegular(path, O_RDONLY), closeOnDealloc: true)
        let data = try handle.read(upToCount: Self.largest + 1) ?? Data()
        guard data.count <= Self.largest else { throw NamedFile.Problem(description: "it has more than 256 MB") }
        var days = DayNumbers()
        var unreadable = 0
        activity.withUsage { ledger in
            for line in data.split(separator: UInt8(ascii: "\n")) {
                guard let json = try? JSON(parsing: Array(line)),
                    let (place, amount) = UsageLedger.Place.read(json, days: { days.number(of: $0) })
                else {
                    unreadable += 1
                    continue
                }
                ledger.restore(amount, at: place)
            }
        }
        if unreadable > 0 { logger.warning("\(path): \(unreadable) lines cannot be read and are left out") }
        let live = lines(activity.withUsage { $0.rows(by: nil) }).utf8.count
        state.withLockedValue { ($0.size, $0.liveSize) = (data.count, live) }
    }

    /// Writes what has changed.
    func write() { state.withLockedValue { write(&$0) } }

    /// The lock is held while the file is written, so that nobody else writes it at the same time.
    private func write(_ state: inout State) {
        guard !state.isClosed else { return }
        let changes = activity.withUsage { $0.takeChanges() }
        guard !changes.isEmpty else { return }
        do {
            if state.size > max(Self.smallest, Self.mostOutdated * state.liveSize) {
                try writeAnew(&state)
            } else {
                let text = lines(changes)
                try append(text, O_CREAT | O_APPEND, to: path)
                state.size += text.utf8.count
            }
        } catch {
            if !state.hasWarned { logger.warning("\(path): what keys use is lost with a restart: \(error)") }
            state.hasWarned = true
        }
    }

    private func writeAnew(_ state: inout State) throws {
        let text = lines(activity.withUsage { $0.rows(by: nil) })
        let new = path + ".new"
        try append(text, O_CREAT | O_TRUNC | O_NOFOLLOW, to: new)
        guard rename(new, path) == 0 else { throw NamedFile.Problem(description: String(cString: strerror(errno))) }
        (state.size, state.liveSize) = (text.utf8.count, text.utf8.count)
    }

    private func append(_ text: String, _ flags: CInt, to path: String) throws {
        // Who uses how much is nobody else's business.
        let number = try NamedFile.openRegular(path, O_WRONLY | flags, mode: 0o600)
        try OutputDescriptor(number, name: path, isOwned: true).write(Array(text.utf8))
    }

    private func lines(_ changes: [(place: UsageLedger.Place, amount: UsageLedger.Amount)]) -> String {
        changes.map { $0.place.json($0.amount).text + "\n" }.joined()
    }

    /// Writes for the last time.
    func close() {
        task.withLockedValue { $0 }?.cancel()
        state.withLockedValue { state in
            write(&state)
            state.isClosed = true
        }
    }
}

/// The numbers of days by their texts. A file has many lines of few days.
private struct DayNumbers {
    private var known: [String: Int] = [:]

    mutating func number(of text: String) -> Int? {
        if let known = known[text] { return known }
        guard let date = try? Date(text, strategy: Date.ISO8601FormatStyle().year().month().day()) else { return nil }
        let number = Int(date.timeIntervalSince1970 / 86_400)
        known[text] = number
        return number
    }
}
