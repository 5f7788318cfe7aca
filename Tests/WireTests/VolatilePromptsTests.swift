import Testing

@testable import Wire

@Suite("Volatile parts of system prompts") struct VolatilePromptsTests {
    private static let line = "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;"
    private static let constant = "x-anthropic-billing-header: cc_version=2.1.177.000; cc_entrypoint=cli; cch=00000;"

    /// The body with the volatile characters replaced.
    private func replaced(_ body: String, patterns: [String] = []) throws -> String {
        let bytes = Array(body.utf8)
        var scanner = RequestScanner()
        scanner.feed(bytes.span.bytes)
        let facts = try scanner.finish()
        var output = bytes
        for range in VolatilePrompts(patterns: patterns).ranges(in: facts, body: bytes.span.bytes) {
            for index in range { output[index] = VolatilePrompts.replacement }
        }
        #expect(output.count == bytes.count)
        return String(decoding: output, as: UTF8.self)
    }

    @Test(
        "Claude Code's line becomes constant, wherever an API has its system prompt",
        arguments: [
            #"{"system":"LINE"}"#, #"{"system":[{"type":"text","text":"LINE"},{"type":"text","text":"You are"}]}"#,
            #"{"messages":[{"role":"system","content":"LINE"},{"role":"user","content":"cch=36ee5;"}]}"#,
            #"{"messages":[{"role":"system","content":[{"type":"text","text":"LINE\nYou are cch=36ee5;"}]}]}"#,
            #"{"model":"m","system":"LINE\n\nYou are an agent of version 1.2.3.4x;"}"#,
        ])
    func billingLine(body: String) throws {
        #expect(
            try replaced(body.replacingOccurrences("LINE", Self.line)) == body.replacingOccurrences("LINE", Self.constant))
    }

    @Test(
        "whatever else there is stays as it is",
        arguments: [
            #"{"messages":[{"role":"user","content":"LINE"}]}"#, #"{"system":"You quote: LINE"}"#, #"{"system":""}"#,
            #"{"other":"LINE"}"#, #"{"system":"x-anthropic-billing-header: "}"#,
            #"{"system":"x-anthropic-billing-header: cch=;cc_version=2.1.177;"}"#,
            #"{"system":"x-anthropic-billing-header:\ncch=36ee5;"}"#,
        ])
    func others(body: String) throws {
        let body = body.replacingOccurrences("LINE", Self.line)
        #expect(try replaced(body) == body)
    }

    @Test("a line without its last semicolon, and values of any length, are understood")
    func forms() throws {
        #expect(
            try replaced(#"{"system":"x-anthropic-billing-header: cch=ab"}"#)
                == #"{"system":"x-anthropic-billing-header: cch=00"}"#)
        #expect(
            try replaced(#"{"system":"x-anthropic-billing-header: cc_version=2.1.9.a.b; cch=0123456789"}"#)
                == #"{"system":"x-anthropic-billing-header: cc_version=2.1.9.0.0; cch=0000000000"}"#)
    }

    @Test(
        "patterns of the configuration take further parts: the first group, or all of it, letters and digits alone",
        arguments: [
            (#"Now: (.*)"#, #"Hello\nNow: 12:30:59, Mon\nBye"#, #"Hello\nNow: 00:00:00, 000\nBye"#),
            (#"nonce-\w+"#, "a nonce-12ab, a nonce-x", "a 00000-0000, a 00000-0"),
            (#"id=(.*)"#, #"id=\u0041\"b\\"#, #"id=\u0041\"0\\"#),
            (#"q(.)"#, "ä q7 ö qä", "ä q0 ö qä"),
            ("(", "broken pattern", "broken pattern"), (#"(\w+) left"#, #"a\t500 left"#, #"a\t000 left"#),
            (#"(\w+) left"#, #"\u0041bc left"#, #"\u004100 left"#),
        ])
    func patterns(pattern: String, text: String, expected: String) throws {
        #expect(try replaced(#"{"system":"\#(text)"}"#, patterns: [pattern]) == #"{"system":"\#(expected)"}"#)
    }

    @Test("a value that is longer than any of Claude Code's stays, and the work is bounded")
    func longValue() throws {
        let body = #"{"system":"x-anthropic-billing-header: cch=\#(String(repeating: "a-", count: 100_000))"}"#
        #expect(try replaced(body) == body)
    }

    /// How many digits 7 of a system text have been replaced.
    private func found(_ text: String, _ patterns: String...) throws -> Int {
        let body = try replaced(#"{"system":"\#(text)"}"#, patterns: patterns)
        return text.count { $0 == "7" } - body.count { $0 == "7" }
    }

    @Test("a pattern with literal text in front is tried where that text occurs, 16 times in a request, in any line")
    func anchored() throws {
        let lines = (0..<100).map { _ in #"Hello, now: 7."# }.joined(separator: #"\n"#)
        for pattern in [#"now: (\d)"#, #"now: (.*)"#, #"now: \d"#] { #expect(try found(lines, pattern) == 16, "\(pattern)") }
        let failing = String(repeating: #"now: x "#, count: 15)
        #expect(try found(failing + "now: 7", #"now: (\d)"#) == 1)
        #expect(try found(failing + "now: x now: 7", #"now: (\d)"#) == 0)
        let far = String(repeating: #"a line\n"#, count: 5000)
        #expect(try found(far + "now: 7", #"now: (\d)"#) == 1)
        #expect(try found(far + "now: 7", #"^now: (\d)"#) == 1)
        #expect(try found(far + "It is now: 7", #"^now: (\d)"#) == 0, "not at the beginning of the line")
        #expect(try found(String(repeating: "x", count: VolatilePattern.searchedBytes) + "now: 7", #"now: (\d)"#) == 0)
    }

    @Test("any other pattern is searched for in the first 16 lines that are not empty")
    func searched() throws {
        let lines = (0..<100).map { _ in #"\nHello, now: 7."# }.joined(separator: #"\n"#)
        for pattern in [#"[n]ow: (\d)"#, #"\d"#, #"x|now: (\d)"#] { #expect(try found(lines, pattern) == 16, "\(pattern)") }
    }

    @Test("no piece has more than 64 bytes behind the literal text in front, and none ends inside a character")
    func pieces() throws {
        func line(_ count: Int) -> String { "now: " + String(repeating: "x", count: count) + "7" }
        #expect(try found(line(63), #"now: x*(\d)"#) == 1)
        #expect(try found(line(64), #"now: x*(\d)"#) == 0)
        #expect(try found(line(58), #"[n]ow: x*(\d)"#) == 1)
        #expect(try found(line(59), #"[n]ow: x*(\d)"#) == 0)
        let cut = String(repeating: "x", count: 63) + "äöü"
        #expect(try replaced(#"{"system":"\#(cut)"}"#, patterns: ["[a-z]+"]).contains("0äöü"))
    }

    @Test("many patterns share what is tried in a request")
    func shared() throws {
        let lines = (0..<100).map { _ in "now: 7" }.joined(separator: #"\n"#)
        let patterns = (0..<8).map { #"now: {1,\#($0 + 1)}(\d)"# }
        let body = #"{"system":"\#(lines)"}"#
        #expect(try replaced(body, patterns: patterns).count { $0 == "7" } == 100 - 4)
        let many = (0..<100).map { #"now: {1,\#($0 + 1)}(\d)"# }
        #expect(try replaced(body, patterns: many).count { $0 == "7" } == 100 - 1)
    }

    @Test(
        "literal text in front is found, and only where every match begins with it",
        arguments: [
            ("now: (.*)", "now: "), ("nonce-\\w+", "nonce-"), ("ab?c", "a"), ("a|b", ""), ("(a|b)c", ""), ("a(b|c)", "a"),
            ("[ab]c", ""), ("a{2}", ""), ("\\d", ""), (".*x", ""), (#"\Qa.\E"#, ""), ("x+", "x"),
        ])
    func literal(pattern: String, prefix: String) { #expect(LiteralPrefix.of(pattern) == prefix) }

    @Test("any body is the same JSON afterwards, but for letters and digits in its system texts")
    func random() throws {
        var random = SplitMix64(seed: 7)
        let parts = ["LINE", #"\n"#, #"\""#, #"\u00e4"#, "ä", "cch=", "x", ";", "7", "\\\\", " "]
        for _ in 0..<500 {
            let text = (0..<random.next() % 12).map { _ in parts[Int(random.next() % UInt64(parts.count))] }.joined()
            let body = #"{"system":"\#(text)","messages":[{"role":"system","content":"\#(text)"}]}"#
                .replacingOccurrences("LINE", Self.line)
            let output = try replaced(body, patterns: ["x(.*)7", "c+"])
            _ = try JSON(parsing: Array(output.utf8))
            for (old, new) in zip(body.utf8, output.utf8) where old != new { #expect(new == VolatilePrompts.replacement) }
        }
    }
}

extension String {
    fileprivate func replacingOccurrences(_ part: String, _ other: String) -> String {
        split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
    }
}
