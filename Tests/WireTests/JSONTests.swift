import Testing

@testable import Wire

@Suite("JSON trees")
struct JSONTests {
    private func parse(_ text: String) throws(JSON.ParseError) -> JSON { try JSON(parsing: Array(text.utf8)) }

    @Test(
        "come out as they went in, without the spaces",
        arguments: [
            ("null", "null"), (" [ 1 , 2 ] ", "[1,2]"), ("{\"a\" : {\"b\":[]}, \"a\":1}", "{\"a\":{\"b\":[]},\"a\":1}"),
            ("1e3", "1e3"), ("-0.50E+07", "-0.50E+07"), ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("{}", "{}"), ("[[],{}]", "[[],{}]"), ("\"\\u0041\\/\"", "\"A/\""), ("\"\\ud83d\\ude00\"", "\"😀\""),
            ("\"\\b\\f\\n\\r\\t\\\"\\\\\\u0000\\u007f\"", "\"\\u0008\\u000c\\n\\r\\t\\\"\\\\\\u0000\\u007f\""),
            ("\t\r\n true\n", "true"), ("[true,false,null]", "[true,false,null]"),
        ])
    func roundTrip(text: String, expected: String) throws {
        let value = try parse(text)
        #expect(value.text == expected)
        #expect(try parse(value.text) == value)
    }

    @Test(
        "are not made of anything else",
        arguments: [
            "", " ", "{", "}", "[", "]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[,1]", "[1 2]", "{a:1}", "{'a':1}",
            "{1:2}",
            "01", "1.", ".5", "1e", "1e+", "-", "+1", "--1", "0x10", "NaN", "Infinity", "nul", "tru", "falsey", "True",
            "\"", "\"\\", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "\"\t\"", "\"\\\u{1}\"",
            "{}{}", "1 1", "[}", "{]", "\u{FEFF}{}", "// c\n1", "{\"a\":1 \"b\":2}", "[1]]", "null,",
        ])
    func malformed(text: String) {
        do {
            let value = try parse(text)
            Issue.record("\(text) was read as \(value)")
        } catch {
            #expect((0...text.utf8.count).contains(error.offset), "\(error)")
            #expect(!error.message.isEmpty)
        }
    }

    @Test("are not made of malformed UTF-8")
    func badUTF8() {
        let sequences: [[UInt8]] = [
            [0x80], [0xC0, 0x80], [0xC3], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
        ]
        for sequence in sequences {
            #expect(throws: JSON.ParseError.self) { try JSON(parsing: [0x22] + sequence + [0x22]) }
        }
    }

    @Test("tell at which byte a text goes wrong")
    func offsets() {
        #expect(throws: JSON.ParseError(offset: 6, message: "unexpected character")) { try parse("[1, 2,]") }
        #expect(throws: JSON.ParseError(offset: 1, message: "unexpected end of the document")) { try parse("[") }
        #expect("\(JSON.ParseError(offset: 3, message: "bad"))" == "bad at byte 3")
    }

    @Test("are at most 128 levels deep")
    func depth() throws {
        func nested(_ depth: Int, _ open: String, _ close: String) -> String {
            String(repeating: open, count: depth) + String(repeating: close, count: depth)
        }
        _ = try parse(nested(128, "[", "]"))
        #expect(throws: JSON.ParseError.self) { try parse(nested(129, "[", "]")) }
        #expect(throws: JSON.ParseError.self) { try parse(nested(100_000, "[", "]")) }
        #expect(throws: JSON.ParseError.self) { try parse(String(repeating: "{\"a\":", count: 100_000)) }
    }

    @Test("are read by name, index and kind")
    func access() throws {
        let value = try parse(#"{"a":[1,-2.5,"x",true,null],"n":1e2,"a":[7],"big":1e400,"huge":9223372036854775808}"#)
        #expect(value["a"] == [7], "the last of several counts")
        #expect(value["a"]?[0]?.intValue == 7)
        #expect(value["a"]?[1] == nil)
        #expect(value["a"]?[-1] == nil)
        #expect(value["none"] == nil)
        #expect(value["n"]?.intValue == 100)
        #expect(value["n"]?.doubleValue == 100)
        #expect(value["big"]?.intValue == nil)
        #expect(value["huge"]?.intValue == nil)
        #expect(value["n"]?.stringValue == nil)
        #expect(value["n"]?["x"] == nil)
        #expect(value.objectValue?.count == 5)
        let first = value.objectValue?.first?.value
        #expect(first?.arrayValue?.count == 5)
        #expect(first?[1]?.doubleValue == -2.5)
        #expect(first?[1]?.intValue == nil)
        #expect(first?[2]?.stringValue == "x")
        #expect(first?[3]?.boolValue == true)
        #expect(first?[4] == .null)
    }

    @Test("are written from literals and values")
    func literals() {
        let value: JSON = ["a": 1, "b": [true, nil, "x", 0.5], "c": [:]]
        #expect(value.text == #"{"a":1,"b":[true,null,"x",0.5],"c":{}}"#)
        #expect(JSON(5).text == "5")
        #expect(JSON(Int.min).text == "-9223372036854775808")
        #expect(JSON(Double.nan) == .null)
        #expect(JSON(-Double.infinity) == .null)
        #expect(JSON(String?.none) == .null)
        #expect(JSON("é\u{2028}").text == "\"é\u{2028}\"")
    }

    @Test("write numbers that JSON knows", arguments: [0, -0.0, 1e300, .leastNonzeroMagnitude, 1e16, -1.5, 123_456_789.125])
    func doubles(number: Double) throws {
        #expect(try parse(JSON(number).text).doubleValue == number)
    }

    @Test("come back the same from random trees")
    func randomTrees() throws {
        var random = SplitMix64(seed: 11)
        func string() -> String {
            let scalars = (0..<random.below(6)).compactMap { _ in
                Unicode.Scalar(UInt32(random.below(random.below(2) == 0 ? 0x80 : 0x11_0000)))
            }
            return String(String.UnicodeScalarView(scalars))
        }
        func tree(_ depth: Int) -> JSON {
            switch random.below(depth > 4 ? 4 : 6) {
            case 0: [.null, true, false][random.below(3)]
            case 1: JSON(Int(truncatingIfNeeded: random.next()))
            case 2: JSON(Double(bitPattern: random.next()))
            case 3: .string(string())
            case 4: .array((0..<random.below(4)).map { _ in tree(depth + 1) })
            default: .object((0..<random.below(4)).map { _ in .init(name: string(), value: tree(depth + 1)) })
            }
        }
        for _ in 0..<2_000 {
            let value = tree(0)
            let back = try JSON(parsing: value.bytes)
            guard back == value else {
                Issue.record("\(value.text) came back as \(back.text)")
                return
            }
        }
    }
}

@Suite("JSON strings")
struct JSONStringTests {
    @Test(
        "resolve escapes",
        arguments: [
            ("", ""), ("plain", "plain"), (#"\n\r\t\b\f\/\\\""#, "\n\r\t\u{8}\u{c}/\\\""), (#"\u00e9\u00E9"#, "éé"),
            (#"\u65e5本"#, "日本"), (#"\ud83d\ude00"#, "😀"), (#"\uD83D\uDE00x"#, "😀x"), (#"\u0000"#, "\0"),
            (#"\uffff"#, "\u{ffff}"),
        ])
    func escapes(raw: String, expected: String) {
        #expect(JSONString.decode(Array(raw.utf8)) == expected)
    }

    @Test(
        "make U+FFFD of a lone surrogate",
        arguments: [
            (#"\ud83d"#, "\u{FFFD}"), (#"\ude00"#, "\u{FFFD}"), (#"\ud83dx"#, "\u{FFFD}x"), (#"\ud83d\n"#, "\u{FFFD}\n"),
            (#"\ud83d\u0041"#, "\u{FFFD}A"), (#"\ud83d\ud83d\ude00"#, "\u{FFFD}😀"), (#"\ude00\ud83d"#, "\u{FFFD}\u{FFFD}"),
            (#"\udbff\udfff"#, "\u{10FFFF}"), (#"\ud800\udc00"#, "\u{10000}"),
        ])
    func surrogates(raw: String, expected: String) {
        #expect(JSONString.decode(Array(raw.utf8)) == expected)
    }

    @Test(
        "are refused when malformed",
        arguments: [
            #"\"#, #"\x"#, #"\u"#, #"\u123"#, #"\u123g"#, #"a\u12 4"#, #"\U0041"#, #"\0"#,
        ])
    func malformed(raw: String) {
        #expect(JSONString.decode(Array(raw.utf8)) == nil)
    }

    @Test("are refused when their UTF-8 is malformed")
    func badUTF8() {
        for raw: [UInt8] in [[0xC3], [0x80], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]] {
            #expect(JSONString.decode(raw) == nil)
        }
    }

    @Test("know hexadecimal digits")
    func hexadecimal() {
        for byte in UInt8.min...UInt8.max {
            let character = Character(Unicode.Scalar(byte))
            let expected = byte < 0x80 ? character.hexDigitValue.map { UInt8($0) } : nil
            #expect(JSONString.hexadecimalValue(byte) == expected)
        }
    }
}
