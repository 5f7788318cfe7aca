import Testing

@testable import Wire

@Suite("Finding a head's end")
struct HeadEndScannerTests {
    private func scan(_ text: String, limit: Int = 65_536) -> HeadEndScanner.Outcome {
        var scanner = HeadEndScanner()
        return scanner.scan(Array(text.utf8).span.bytes, limit: limit)
    }

    @Test("finds the empty line and leaves what follows alone")
    func complete() {
        #expect(scan("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\n\0") == .complete(length: 27))
        #expect(scan("GET / HTTP/1.1\r\n\r\n") == .complete(length: 18))
        #expect(scan("\r\nGET") == .complete(length: 2))
    }

    @Test("wants more until the last byte has come", arguments: ["", "G", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n\r"])
    func needMore(text: String) {
        #expect(scan(text) == .needMore)
    }

    @Test(
        "refuses what parsers disagree about",
        arguments: [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", .bareLineFeed), ("\n", .bareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed), ("GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
            ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", .bareCarriageReturn), ("\r\r\n", .bareCarriageReturn),
            ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", .bareCarriageReturn), ("GET /\0 HTTP/1.1\r\n\r\n", .nul),
        ] as [(String, HeadProblem)])
    func refused(text: String, problem: HeadProblem) {
        #expect(scan(text) == .refused(problem))
    }

    @Test("refuses a head over the limit, and takes one that just fits")
    func limit() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(scan(head, limit: 27) == .complete(length: 27))
        #expect(scan(head + "body", limit: 27) == .complete(length: 27))
        #expect(scan(head, limit: 26) == .refused(.headTooLarge))
        #expect(scan(String(repeating: "x", count: 26), limit: 26) == .refused(.headTooLarge))
        #expect(scan(String(repeating: "x", count: 25), limit: 26) == .needMore)
    }

    @Test(
        "gives the same answer wherever the bytes are cut",
        arguments: [
            "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\nbody", "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET /\r\nA\rB\r\n\r\n", "a\r\n\0\r\n\r\n",
        ])
    func everySplit(text: String) {
        let bytes = Array(text.utf8)
        let whole = scan(text)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var scanner = HeadEndScanner()
                var outcome = HeadEndScanner.Outcome.needMore
                for end in [first, second, bytes.count] where outcome == .needMore {
                    outcome = scanner.scan(Array(bytes[..<end]).span.bytes, limit: 1000)
                }
                #expect(outcome == whole, "cut at \(first) and \(second)")
            }
        }
    }
}
