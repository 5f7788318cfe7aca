import Testing

@testable import Wire

@Suite("The request scanner")
struct RequestScannerTests {
    /// Scans the text in pieces of `size` bytes.
    private func scan(_ text: String, pieces size: Int = .max) throws(RequestScanProblem) -> RequestFacts {
        var scanner = RequestScanner()
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            let end = index + min(size, bytes.count - index)
            scanner.feed(Array(bytes[index..<end]).span.bytes)
            index = end
        }
        return try scanner.finish()
    }

    @Test("finds the top-level model and its bytes")
    func findsModel() throws {
        let text = #"{"messages":[{"role":"user","content":"hi"}],"model": "qwen:7b","stream":true}"#
        let facts = try scan(text)
        #expect(facts.model == "qwen:7b")
        #expect(facts.stream == true)
        let range = try #require(facts.modelRange)
        #expect(String(decoding: Array(text.utf8)[range], as: UTF8.self) == #""qwen:7b""#)
    }

    @Test(
        "is not fooled by the same key deeper down, in a string, in an array or as a value",
        arguments: [
            #"{"metadata":{"model":"wrong"},"model":"right"}"#,
            #"{"model":"right","tools":[{"model":"wrong"}]}"#,
            #"{"a":"\"model\":\"wrong\"","model":"right"}"#,
            #"{"model":"right","b":["model","wrong"]}"#,
            #"{"x":"model","y":{"model":{"model":"wrong"}},"model":"right","z":[[{"model":"wrong"}]]}"#,
            #"{"model ":"wrong","mode":"wrong","models":"wrong","model":"right"}"#,
        ])
    func deeperKeys(text: String) throws {
        for size in 1...7 { #expect(try scan(text, pieces: size).model == "right") }
        #expect(try scan(text).model == "right")
    }

    @Test("reads a key and a value that are spelled with escapes")
    func escapes() throws {
        #expect(try scan(#"{"\u006dodel":"a\u002fb\n"}"#).model == "a/b\n")
        #expect(try scan(#"{"mod\u0065l":"\ud83d\ude00"}"#, pieces: 1).model == "😀")
    }

    @Test("passes over a byte order mark in front, and NULs and white space behind", arguments: [1, 2, 3, .max])
    func padding(size: Int) throws {
        let facts = try scan("\u{FEFF}{\"model\":\"m\"}\u{0} \n\u{0}", pieces: size)
        #expect(facts.model == "m" && facts.modelRange == 12..<15)
    }

    @Test(
        "does not pass over them elsewhere",
        arguments: ["{\u{0}}", "{}\u{FEFF}", "{\u{FEFF}}", "\u{0}{}", "{}\u{0}{}", "\u{FEFF}"])
    func paddingElsewhere(text: String) {
        #expect(throws: RequestScanProblem.self) { try scan(text) }
    }

    @Test("finds the name under which Ollama's requests speak of a model")
    func name() throws {
        #expect(try scan(#"{"name":"llama3"}"#).name == "llama3")
        #expect(try scan(#"{"source":"llama3","destination":"x"}"#).name == "llama3")
        #expect(try scan(#"{"tools":[{"name":"f"}],"name":5}"#).name == nil)
    }

    @Test("lets the last of several equal keys count")
    func duplicates() throws {
        #expect(try scan(#"{"model":"first","model":"last"}"#).model == "last")
        #expect(try scan(#"{"model":"first","model":null}"#).model == nil)
        #expect(try scan(#"{"stream":true,"stream":false}"#).stream == false)
    }

    @Test(
        "notices several fields that an engine may take for the model's name",
        arguments: [
            (#"{"model":"a"}"#, false), (#"{"model":"a","model":"a"}"#, true), (#"{"model":"a","Model":"b"}"#, true),
            (#"{"MODEL":"b"}"#, true), (#"{"m\u006fdel":"a","model":"b"}"#, true), (#"{"model":"a","name":"b"}"#, false),
            (#"{"name":"a","Name":"b"}"#, true), (#"{"x":{"model":"b"},"model":"a"}"#, false),
            (#"{"tools":[{"Model":1,"name":2}],"model":"a"}"#, false), (#"{"models":"b","model":"a","mode":1}"#, false),
        ])
    func severalModels(text: String, expected: Bool) throws { #expect(try scan(text).hasSeveralModels == expected) }

    @Test("gives the same facts wherever the bytes are cut")
    func everySplit() throws {
        let text = #"""
            { "messages" : [ {"role":"system","content":"日本語 \"q\" text"}, {"content":[{"type":"text","text":"part 1"},
            {"text":"part 2","type":"text"}],"role":"developer"}, {"role":"user","content":"no"} ] , "user":"me",
            "n":-1.5e+3, "f": 0, "prompt_cache_key":"k1", "model":"größe-ü", "stream" : true }
            """#
        let whole = try scan(text)
        let bytes = Array(text.utf8)
        #expect(whole.model == "größe-ü")
        #expect(whole.user == "me")
        #expect(whole.promptCacheKey == "k1")
        #expect(whole.systemText(in: bytes.span.bytes, limit: 4096) == "日本語 \"q\" text\npart 1\npart 2")
        for size in 1..<bytes.count { #expect(try scan(text, pieces: size) == whole) }
        for cut in 1..<bytes.count {
            var scanner = RequestScanner()
            scanner.feed(Array(bytes[..<cut]).span.bytes)
            scanner.feed(Array(bytes[cut...]).span.bytes)
            #expect(try scanner.finish() == whole)
        }
    }

    @Test("finds Anthropic's and the Responses API's system texts")
    func otherSystemTexts() throws {
        for text in [
            #"{"system":"You are X","messages":[{"role":"user","content":"hi"}]}"#,
            #"{"system":[{"type":"text","text":"You are X"}],"messages":[]}"#,
            #"{"instructions":"You are X","input":"hi"}"#,
        ] {
            #expect(try scan(text).systemText(in: Array(text.utf8).span.bytes, limit: 100) == "You are X")
        }
    }

    @Test("cuts a long system text at the limit without breaking a character or an escape")
    func cutSystemText() throws {
        let text = #"{"system":"abc日\u65e5def"}"#
        let bytes = Array(text.utf8)
        let facts = try scan(text)
        #expect(facts.systemText(in: bytes.span.bytes, limit: 4) == "abc")
        #expect(facts.systemText(in: bytes.span.bytes, limit: 6) == "abc日")
        #expect(facts.systemText(in: bytes.span.bytes, limit: 9) == "abc日")
        #expect(facts.systemText(in: bytes.span.bytes, limit: 12) == "abc日日")
        let emoji = Array(#"{"system":"a😀"}"#.utf8)
        let emojiFacts = try scan(#"{"system":"a😀"}"#)
        for limit in 1...4 { #expect(emojiFacts.systemText(in: emoji.span.bytes, limit: limit) == "a") }
        #expect(emojiFacts.systemText(in: emoji.span.bytes, limit: 5) == "a😀")
    }

    @Test(
        "accepts every valid document",
        arguments: [
            "{}", "[]", "null", " true ", "0", "-0.5e-7", #""text""#, #"{"a":[1,2,{"b":[]}]}"#, "[[[[[[]]]]]]",
            #"{"a":"\u0000\/\b\f\n\r\t\\\""}"#, "\r\n\t {} \n", "[1E5,0e1,12.25]", "[true,false,null]",
        ])
    func valid(text: String) throws {
        for size in [1, 2, 3, 1000] { _ = try scan(text, pieces: size) }
    }

    @Test(
        "refuses what is not JSON",
        arguments: [
            "", " ", "{", "}", "[", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, "[1,]", #"{a:1}"#, "{'a':1}", "01", "1.", "1e",
            "-", "+1", ".5", "tru", "nul", "truex", "[1 2]", #"{"a":1 "b":2}"#, #"{"a":1}}"#, "{}{}", #"["\x"]"#,
            #"["\u12g4"]"#, "[\"a\nb\"]", "[\"\t\"]", #"["abc]"#, "NaN", "Infinity", "[}", "{]", "// c\n{}",
            "model=abc",
        ])
    func malformed(text: String) {
        for size in [1, 3, 1000] {
            #expect(throws: RequestScanProblem.self, "\(text)") { try scan(text, pieces: size) }
        }
    }

    @Test("refuses malformed UTF-8 inside strings")
    func badUTF8() {
        let sequences: [[UInt8]] = [
            [0x80], [0xC0, 0x80], [0xC3], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
        ]
        for sequence in sequences {
            var scanner = RequestScanner()
            scanner.feed((Array(#"{"a":""#.utf8) + sequence + Array(#""}"#.utf8)).span.bytes)
            #expect(throws: RequestScanProblem.self, "\(sequence)") { try scanner.finish() }
        }
    }

    @Test("refuses nesting deeper than its limit and a model name longer than its limit")
    func limits() throws {
        let deep = RequestScanner.maximumDepth - 1
        _ = try scan(String(repeating: "[", count: deep) + String(repeating: "]", count: deep))
        #expect(throws: RequestScanProblem.self) {
            try scan(String(repeating: "[", count: deep + 1) + String(repeating: "]", count: deep + 1))
        }
        let longest = String(repeating: "m", count: RequestScanner.maximumModelLength)
        #expect(try scan(#"{"model":"\#(longest)"}"#, pieces: 100).model == longest)
        #expect(throws: RequestScanProblem.self) { try scan(#"{"model":"\#(longest)m"}"#) }
        #expect(throws: RequestScanProblem.self) { try scan(#"{"model":"\#(longest)\#(longest)"}"#, pieces: 1) }
    }

    @Test(
        "a model of one byte too many is refused, in one piece and in many, with escapes and without",
        arguments: [1, 100, 1 << 20])
    func modelLength(size: Int) throws {
        let longest = String(repeating: "m", count: RequestScanner.maximumModelLength - 2)
        #expect(try scan(#"{"model":"\#(longest)\n"}"#, pieces: size).model == longest + "\n")
        for longer in [longest + "\\nm", longest + "mmm", String(repeating: longest, count: 100)] {
            #expect(throws: RequestScanProblem.self) { try scan(#"{"model":"\#(longer)"}"#, pieces: size) }
        }
    }

    @Test("a long value of another field is no reason to refuse, and is not kept", arguments: [1, 100, 1 << 20])
    func longOtherValues(size: Int) throws {
        let longest = String(repeating: "x", count: RequestScanner.maximumCapturedLength)
        #expect(try scan(#"{"user":"\#(longest)"}"#, pieces: size).user == longest)
        let long = longest + "x"
        let facts = try scan(
            #"{"\#(long)":"\#(long)","user":"\#(long)","prompt_cache_key":"\#(long)","model":"m"}"#, pieces: size)
        #expect(facts.model == "m")
        #expect(facts.user == nil)
        #expect(facts.promptCacheKey == nil)
    }

    @Test(
        "of a long string no more is kept than its limit, be it a key or a value",
        arguments: [#"{""#, #"{"user":""#, #"{"model":""#])
    func keptBytes(beginning: String) {
        var scanner = RequestScanner()
        scanner.feed(Array(beginning.utf8).span.bytes)
        for _ in 0..<100 {
            scanner.feed(Array(repeating: UInt8(ascii: "x"), count: 1000).span.bytes)
            #expect(scanner.carriedCount <= RequestScanner.maximumCapturedLength)
        }
    }

    @Test("the first 64 system texts are remembered, however they are spread over messages and parts")
    func systemTexts() throws {
        let limit = RequestScanner.maximumSystemTexts
        func ranges(_ text: String) throws -> Int { try scan(text).systemTexts.count }
        func list(_ item: String, _ count: Int) -> String { Array(repeating: item, count: count).joined(separator: ",") }
        let part = #"{"type":"text","text":"t"}"#
        let message = #"{"role":"system","content":"t"}"#
        for count in [limit - 1, limit, limit + 1, 3 * limit] {
            let most = min(count, limit)
            #expect(try ranges(#"{"messages":[\#(list(message, count))]}"#) == most)
            #expect(try ranges(#"{"messages":[{"role":"system","content":[\#(list(part, count))]}]}"#) == most)
            #expect(try ranges(#"{"system":[\#(list(part, count))]}"#) == most)
            #expect(try ranges(#"{"system":[\#(list(part, limit))],"messages":[\#(list(message, count))]}"#) == limit)
            #expect(try ranges("{" + list(#""system":"t""#, count) + "}") == most)
        }
        // A message whose role is not known before its content: what it has may not be kept without bound either.
        #expect(try ranges(#"{"messages":[{"content":[\#(list(part, 3 * limit))],"role":"system"}]}"#) == limit)
        let text = #"{"messages":[{"role":"system","content":"first"},\#(list(message, 3 * limit))]}"#
        #expect(try scan(text).systemText(in: Array(text.utf8).span.bytes, limit: 5) == "first")
    }

    @Test("can be used again after reset")
    func reset() throws {
        var scanner = RequestScanner()
        scanner.feed(Array(#"{"model":"a","stream":tr"#.utf8).span.bytes)
        scanner.reset()
        scanner.feed(Array(#"{"model":"b"}"#.utf8).span.bytes)
        #expect(try scanner.finish().model == "b")
    }
}
