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

    @Test("a pattern sees the first 256 bytes of a line, and a thousand lines")
    func limits() throws {
        let long = String(repeating: "x", count: 300)
        #expect(try replaced(#"{"system":"\#(long)7"}"#, patterns: ["7"]).hasSuffix(#"x7"}"#))
        let cut = String(repeating: "x", count: 255) + "äöü"
        #expect(try replaced(#"{"system":"\#(cut)"}"#, patterns: ["[a-z]"]).contains("äöü"))
        let many = String(repeating: #"\n"#, count: 2000)
        #expect(try replaced(#"{"system":"7\#(many)7"}"#, patterns: ["7"]) == #"{"system":"0\#(many)7"}"#)
    }

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
