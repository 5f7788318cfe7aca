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
        /// Held until the end, so that no other balancer writes the file.
        var lock: OutputDescriptor?
        var size = 0
        /// Of the file without outdated lines, when it was read or written anew.
        var liveSize = 0
        /// The last line has no end: it was cut off.
        var isOpenEnded = false
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
        do {
            let lock = try Self.lock(path + ".lock")
            state.withLockedValue { $0.lock = lock }
            try load()
        } catch {
            // What is there must not be replaced by the little that this run knows.
            logger.warning("\(path): what keys use is not kept over a restart: \(error)")
            state.withLockedValue { ($0.isClosed, $0.lock) = (true, nil) }
            return
        }
        let running = Task.detached { [weak self] in
            while (try? await Task.sleep(for: Self.interval)) != nil { self?.write() }
        }
        task.withLockedValue { $0 = running }
    }

    private static func lock(_ path: String) throws -> OutputDescriptor {
        let number = try NamedFile.openRegular(path, O_WRONLY | O_CREAT | O_NOFOLLOW, mode: 0o600)
        let descriptor = OutputDescriptor(number, name: path, isOwned: true)
        guard flock(number, LOCK_EX | LOCK_NB) == 0 else {
            throw NamedFile.Problem(description: "another balancer writes it; give each one a state-file of its own")
        }
        return descriptor
    }

    private func load() throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let data = try NamedFile.read(path, limit: Self.largest)
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
        let live = lines(activity.withUsage { $0 }.rows(by: nil)).utf8.count
        state.withLockedValue {
            ($0.size, $0.liveSize, $0.isOpenEnded) = (data.count, live, data.last.map { $0 != UInt8(ascii: "\n") } ?? false)
        }
    }

    /// Writes what has changed.
    func write() { state.withLockedValue { write(&$0) } }

    /// The lock is held while the file is written, so that nobody else writes it at the same time.
    private func write(_ state: inout State) {
        guard !state.isClosed else { return }
        let changes = activity.withUsage { $0.takeChanges() }
        guard !changes.isEmpty else { return }
        do {
            if state.size > max(Self.smallest, Self.mostOutdated * state.liveSize), writeAnew(&state) { return }
            let text = (state.isOpenEnded ? "\n" : "") + lines(changes)
            // Until all of it is there, its last line may be cut off.
            state.isOpenEnded = true
            try write(text, O_APPEND, to: path)
            state.size += text.utf8.count
            (state.isOpenEnded, state.hasWarned) = (false, false)
        } catch {
            activity.withUsage { $0.noteUnwritten(changes.map(\.place)) }
            if !state.hasWarned { logger.warning("\(path): what keys use cannot be written: \(error)") }
            state.hasWarned = true
        }
    }

    /// False when that is not possible, as in a folder that may not be written; then lines are appended as before.
    private func writeAnew(_ state: inout State) -> Bool {
        let text = lines(activity.withUsage { $0 }.rows(by: nil))
        let new = path + ".new"
        guard (try? write(text, O_TRUNC | O_NOFOLLOW, to: new, synchronises: true)) != nil, rename(new, path) == 0 else {
            return false
        }
        state.size = text.utf8.count
        (state.liveSize, state.isOpenEnded, state.hasWarned) = (state.size, false, false)
        return true
    }

    private func write(_ text: String, _ flags: CInt, to path: String, synchronises: Bool = false) throws {
        let number = try NamedFile.openRegular(path, O_WRONLY | O_CREAT | flags, mode: 0o600)
        let descriptor = OutputDescriptor(number, name: path, isOwned: true)
        // Who uses how much is nobody else's business.
        fchmod(number, 0o600)
        try descriptor.write(Array(text.utf8))
        if synchronises, fsync(number) != 0 { throw NamedFile.Problem(description: String(cString: strerror(errno))) }
    }

    private func lines(_ changes: [(place: UsageLedger.Place, amount: UsageLedger.Amount)]) -> String {
        changes.map { $0.place.json($0.amount).text + "\n" }.joined()
    }

    /// Writes for the last time.
    func close() {
        task.withLockedValue { $0 }?.cancel()
        state.withLockedValue { state in
            write(&state)
            (state.isClosed, state.lock) = (true, nil)
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
