import Testing
import Wire

@testable import App

@Suite("The table of `status`") struct StatusTableTests {
    private let backend: JSON = [
        "name": "gaming-pc", "state": "up", "status": "idle", "total_inflight": 2, "limit": 4,
        "slots": ["total": 4, "busy": 3], "prefill_tokens_per_second": 3999.6, "decode_tokens_per_second": nil,
        "kind": "llama-server", "reason": nil, "draining": true,
    ]

    private func snapshot(_ backends: JSON..., error: JSON = nil, sticky: JSON = []) -> JSON {
        [
            "backends": .array(backends), "waiting": ["count": 5], "running": 2, "sticky_count": 7, "sticky": sticky,
            "config": ["error": error], "now": "2026-11-23T20:15:00Z",
        ]
    }

    @Test("shows a line for each server, and the totals")
    func lines() {
        #expect(
            StatusTable.text(snapshot(backend)) == """
                SERVER     STATE         LOAD  IN FLIGHT  SLOTS  PREFILL/S  DECODE/S  KIND          REASON
                gaming-pc  up, draining  idle  2 of 4     3/4    4000       –         llama-server

                waiting 5, running 2, sticky 7, at 2026-11-23T20:15:00Z
                """)
    }

    @Test("columns are as wide as their widest text, whatever the script")
    func widths() {
        let lines = StatusTable.text(snapshot(["name": "é"], ["name": "a-much-longer-name"])).split(separator: "\n")
        let columns = lines.prefix(3).map { Array($0).firstIndex(of: "?") ?? Array($0).count }
        #expect(columns[1] == columns[2])
    }

    @Test("shows who is held where, and why the configuration could not be read")
    func sticky() {
        let text = StatusTable.text(
            snapshot(
                backend, error: "f.yaml:1:1: error: one\nf.yaml:2:2: error: two",
                sticky: [["key": "anna|m", "model": "m-2", "backend": "http://10.0.0.1:8080"]]))
        #expect(text.contains("CLIENT|MODEL  INSTANCE  SERVER\nanna|m        m-2       http://10.0.0.1:8080"))
        #expect(text.hasSuffix("could not be read again:\nf.yaml:1:1: error: one\nf.yaml:2:2: error: two"))
    }

    @Test("no text of a server can steer the terminal")
    func controlCharacters() {
        let evil: JSON = "x\u{1B}[2J\u{7}\r\n\u{9B}31m\u{7F}y"
        let entry: JSON = ["name": evil, "state": evil, "status": evil, "kind": evil, "reason": evil]
        var document = snapshot(entry, error: evil, sticky: [["key": evil, "model": evil, "backend": evil]]).objectValue ?? []
        document.append(.init(name: "now", value: evil))
        let text = StatusTable.text(.object(document))
        #expect(text.contains("x[2J31my"))
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value)) })
        #expect(!text.contains("\r"))
    }

    @Test(
        "numbers that no integer can hold, and other kinds of values, are no crash",
        arguments: [
            "1e400", "-1e400", "1e19", "1e308", "\"x\"", "null", "[]", "{}",
        ])
    func oddNumbers(text: String) throws {
        let value = try JSON(parsing: Array(text.utf8))
        let entry: JSON = [
            "name": value, "state": value, "total_inflight": value, "limit": value, "slots": ["total": value, "busy": value],
            "prefill_tokens_per_second": value, "decode_tokens_per_second": value,
        ]
        #expect(StatusTable.text(snapshot(entry, error: value, sticky: [value])).contains("SERVER"))
        #expect(StatusTable.text(value).contains("waiting 0"))
    }
}
