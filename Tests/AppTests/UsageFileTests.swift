import Control
import Foundation
import Logging
import Testing
import Wire

@testable import App

@Suite("The file with what keys have used")
struct UsageFileTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func add(_ activity: ActivityLog, _ key: String, times: Int = 1) {
        activity.withUsage { ledger in
            for _ in 0..<times {
                ledger.add(
                    .init(requests: 1, promptTokens: 3, cachedTokens: 2, outputTokens: 1), day: 20_000, key: key, model: "m")
            }
        }
    }

    private func requests(_ activity: ActivityLog) -> [Int] { activity.withUsage { $0.rows(by: .key).map(\.amount.requests) } }

    @Test("survives a restart, also one in the middle of a line, and lies beside the state file")
    func survives() throws {
        let folder = try Folder()
        let state = StateFile(path: folder.url.path + "/server-list.state.json")
        let path = folder.url.path + "/server-list.usage.jsonl"
        let first = ActivityLog()
        let file = UsageFile(beside: state, activity: first, logger: logger)
        add(first, "a", times: 2)
        file.write()
        add(first, "a")
        add(first, "b")
        file.close()
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
        #expect(mode?.intValue == 0o600)

        let second = ActivityLog()
        let again = UsageFile(beside: state, activity: second, logger: logger)
        #expect(requests(second) == [3, 1])
        add(second, "b")
        again.close()
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try String(text.dropLast(20)).write(toFile: path, atomically: true, encoding: .utf8)
        let third = ActivityLog()
        UsageFile(beside: state, activity: third, logger: logger).close()
        #expect(requests(third) == [3, 1], "the last line is cut off")
        // What is written next does not continue it.
        let fourth = ActivityLog()
        let next = UsageFile(beside: state, activity: fourth, logger: logger)
        add(fourth, "c")
        next.close()
        let fifth = ActivityLog()
        UsageFile(beside: state, activity: fifth, logger: logger).close()
        #expect(requests(fifth) == [3, 1, 1])
    }

    @Test("is written by one balancer at a time, and loses nothing while it cannot be written")
    func guarded() throws {
        let folder = try Folder()
        let state = StateFile(path: folder.url.path + "/s.state.json")
        let path = folder.url.path + "/s.usage.jsonl"
        let (first, second) = (ActivityLog(), ActivityLog())
        let file = UsageFile(beside: state, activity: first, logger: logger)
        let other = UsageFile(beside: state, activity: second, logger: logger)
        add(second, "other")
        other.close()
        #expect(!FileManager.default.fileExists(atPath: path))
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        add(first, "a")
        file.write()
        try FileManager.default.removeItem(atPath: path)
        add(first, "b")
        file.close()
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.contains(#""key":"a""#) && text.contains(#""key":"b""#) && !text.contains("other"))
    }

    @Test("is written anew when most of it is outdated")
    func compacted() throws {
        let folder = try Folder()
        let state = StateFile(path: folder.url.path + "/s.state.json")
        let path = folder.url.path + "/s.usage.jsonl"
        let line = UsageLedger.Place(day: 20_000, key: "a", model: "m").json(.init(requests: 1)).text + "\n"
        try String(repeating: line, count: 15_000).write(toFile: path, atomically: true, encoding: .utf8)
        let activity = ActivityLog()
        let file = UsageFile(beside: state, activity: activity, logger: logger)
        add(activity, "a")
        file.close()
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0 < 300)
        let again = ActivityLog()
        UsageFile(beside: state, activity: again, logger: logger).close()
        #expect(requests(again) == [2])
    }

    @Test("nothing in a table steers a terminal")
    func terminal() {
        let entry: JSON = ["day": "2026-11-28", "key": "a", "model": .string("\u{1B}[2Jevil\nx"), "requests": 1]
        #expect(!Usage.table([entry], by: nil).joined().contains { $0.contains { $0 == "\u{1B}" || $0 == "\n" } })
    }

    @Test("a table for people and for spreadsheets")
    func tables() throws {
        let activity = ActivityLog()
        add(activity, "a,b")
        activity.withUsage { $0.add(.init(requests: 1), day: 20_000, key: "=HYPERLINK(1)", model: "say \"m\"") }
        let rows = activity.withUsage { $0.rows(by: nil) }.map { $0.place.json($0.amount) }
        let table = Usage.table(rows, by: nil)
        #expect(table[0] == ["day", "key", "model", "requests", "prompt_tokens", "cached_tokens", "output_tokens"])
        let csv = Usage.csv(table)
        #expect(csv.contains(#"2024-10-04,"a,b",m,1,3,2,1"#))
        #expect(csv.contains(#"'=HYPERLINK(1),"say ""m""",1"#))
        #expect(Usage.table([], by: .key) == [["key", "requests", "prompt_tokens", "cached_tokens", "output_tokens"]])
    }
}
