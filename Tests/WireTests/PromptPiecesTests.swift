import Testing

@testable import Wire

/// The outline must not depend on the pieces in which a body arrives, nor on how a client writes it.
@Suite("What a prompt is, however its body comes")
struct PromptPiecesTests {
    private static let bodies = [
        #"""
        { "tools" : [ {"type":"function","n\u0061me":"f\/","cache_control":{"a":[1,"x"]},"x":[1.5e3,null,true,-0],"y":{}} ], "stream":true,
        "messages":[{"role":"system","content":"日本語 \"q\" \u65e5\ud83d\ude00 \ud83d \/x\\u0041 \u000a\u001F\u005c\n"},
        {"content":[{"type":"text","text":"part 1"},{"type":"image_url","image_url":{"url":"data:\/image","detail":"low"}},
        {"text":"part 2"}],"role":"us\u0065r", "odd":12.5,"odder":null,"r":[{"role":"x"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":{"a":[1,{"id":2.5}],"\u0062":"c\/d"}}}]}],
        "system":"x-anthropic-billing-header: a=b;\nxyz" , "max_tokens":100}
        """#,
        #"""
        {"prompt":[1,23,-4.5,"x\u006f",[true,false,null]],"suffix":"x-anthropic-billing-header: all","images":["aGk=","aG8="],"input":5,
        "input":[{"role":"user","content":[{"type":"input_image","image_url":"data:x"},{"type":"input_audio","input_audio":{"data":"aaaa","format":"wav"}}]},
        {"type":"function_call","call_id":"a","name":"f","arguments":"{\"a\":\"\\u00e9\"}"},"x"],"documents":["a",{"b":"c"}]}
        """#,
        #"{"messages":[{"role":"user","content":"\#(String(repeating: #"0123456789\n\/abcdefg\u00e9\""#, count: 55))"}]}"#,
    ]

    @Test("every split of a body gives the same", arguments: 0..<3)
    func splits(number: Int) throws {
        let bytes = Array(Self.bodies[number].utf8)
        let whole = try Outline(bytes)
        #expect(whole.links.count >= 2 && whole.length > 0)
        var scanner = RequestScanner()
        for cut in 1..<bytes.count {
            let outline = try Outline(bytes, cuts: [cut], scanner: &scanner)
            if outline != whole { Issue.record("cut at \(cut)") }
        }
        for size in [1, 2, 3, 7, 16, 17, 100] {
            let cuts = Array(stride(from: size, to: bytes.count, by: size))
            #expect(try Outline(bytes, cuts: cuts, scanner: &scanner) == whole, "pieces of \(size)")
        }
        for cut in stride(from: 1, to: bytes.count - 8, by: 7) {
            let outline = try Outline(bytes, cuts: [cut, cut + 1, cut + 4, cut + 7], scanner: &scanner)
            if outline != whole { Issue.record("cut at \(cut), and 1, 4 and 7 behind") }
        }
    }

    @Test("a line that does not count is found wherever the body is cut")
    func volatileLine() throws {
        let header = "x-anthropic-billing-header: cc_version=2.1.177.01c; cch=36ee5;"
        for text in [
            header, header + #"\nYou are"#, header + String(repeating: "a", count: 450),
            header + String(repeating: "a", count: 448) + #"\nb"#,
        ] {
            let bytes = Array(#"{"system":"\#(text)","prompt":"hi"}"#.utf8)
            let whole = try Outline(bytes)
            for cut in 1..<bytes.count where try Outline(bytes, cuts: [cut]) != whole { Issue.record("cut at \(cut): \(text)") }
        }
    }

    @Test("text is the same text in every spelling", arguments: [false, true])
    func spellings(isLong: Bool) throws {
        var random = SplitMix64(seed: 11)
        let characters: [Unicode.Scalar] = [
            "a", "z", "/", "\\", "\"", "\n", "\t", "\r", "\u{8}", "\u{C}", "\u{0}", "\u{1F}", "\u{7F}", "é", "日", "\u{FFFD}", "😀",
            "\u{10FFFF}", "u",
        ]
        func spell(_ text: [Unicode.Scalar], _ random: inout SplitMix64) -> String {
            var spelled = ""
            for character in text {
                let units = Array(String(character).utf16)
                if random.below(3) == 0 || character.value < 0x20 && ![8, 9, 10, 12, 13].contains(character.value) {
                    for unit in units {
                        let digits = String(unit, radix: 16, uppercase: random.below(2) == 0)
                        spelled += #"\u"# + String(repeating: "0", count: 4 - digits.count) + digits
                    }
                    continue
                }
                switch character {
                case "\"": spelled += #"\""#
                case "\\": spelled += #"\\"#
                case "\n": spelled += #"\n"#
                case "\r": spelled += #"\r"#
                case "\t": spelled += #"\t"#
                case "\u{8}": spelled += #"\b"#
                case "\u{C}": spelled += #"\f"#
                case "/" where random.below(2) == 0: spelled += #"\/"#
                default: spelled.unicodeScalars.append(character)
                }
            }
            return spelled
        }
        var scanner = RequestScanner()
        for _ in 0..<(isLong ? 8 : 400) {
            let text = (0..<(isLong ? 5000 : random.below(40))).map { _ in characters[random.below(characters.count)] }
            func outline(_ random: inout SplitMix64) throws -> Outline {
                let body = Array(#"{"messages":[{"role":"user","content":"\#(spell(text, &random))"}]}"#.utf8)
                return try Outline(body, cuts: [random.below(body.count)].sorted(), scanner: &scanner)
            }
            let first = try outline(&random)
            for _ in 0..<3 where try outline(&random) != first { Issue.record("\(text)") }
        }
    }

    @Test(
        "half of a surrogate pair is the replacement character",
        arguments: [#"\ud83d"#, #"\ude00"#, #"\ud83d\u0041"#, #"\ud83d\ud83d"#])
    func loneSurrogates(text: String) throws {
        let replaced = text.replacing(#"\u0041"#, with: "A").replacing(#"\ud83d"#, with: "\u{FFFD}").replacing(
            #"\ude00"#, with: "\u{FFFD}")
        for after in ["", "x", #"\n"#, #"\/"#] {
            #expect(try Outline(#"{"prompt":"a\#(text)\#(after)"}"#) == Outline(#"{"prompt":"a\#(replaced)\#(after)"}"#))
        }
    }

    @Test("the chain of a longer conversation begins with that of a shorter one")
    func conversations() throws {
        var random = SplitMix64(seed: 12)
        var scanner = RequestScanner()
        for _ in 0..<100 {
            let messages = (0..<(2 + random.below(12))).map { _ in Self.message(&random) }
            let systems = [#""system":"be kind","#, #""tools":[{"name":"f"}],"#, ""]
            let beginning = systems[random.below(systems.count)]
            func outline(_ count: Int, _ random: inout SplitMix64) throws -> Outline {
                let rest = random.below(2) == 0 ? #","stream":true,"temperature":0.\#(random.below(10))"# : ""
                let body = Array(#"{\#(beginning)"messages":[\#(messages[..<count].joined(separator: ","))]\#(rest)}"#.utf8)
                return try Outline(body, cuts: random.below(2) == 0 ? [] : [random.below(body.count)], scanner: &scanner)
            }
            let whole = try outline(messages.count, &random)
            for _ in 0..<4 {
                let count = 1 + random.below(messages.count)
                let shorter = try outline(count, &random)
                #expect(whole.extends(shorter))
                #expect(shorter.links.map(\.end) == shorter.links.map(\.end).sorted())
                #expect(shorter.links.last?.end == shorter.length)
            }
        }
    }

    private static func message(_ random: inout SplitMix64) -> String {
        let text = String(
            (0..<(random.below(3) == 0 ? random.below(9000) : random.below(60))).map { _ in
                "abcdefg 日\u{E9}".randomCharacter(&random)
            })
        switch random.below(6) {
        case 0:
            return
                #"{"role":"assistant","content":null,"tool_calls":[{"id":"\#(random.below(9))","function":{"name":"f","arguments":"\#(text)"}}]}"#
        case 1: return #"{"content":[{"type":"text","text":"\#(text)"},{"type":"text","text":"more"}],"role":"user"}"#
        case 2: return #"{"role":"tool","tool_call_id":"5","content":"\#(text)"}"#
        case 3:
            return
                #"{"role":"user","content":[{"type":"image_url","image_url":{"url":"\#(text)"}},{"type":"text","text":"\#(text)"}]}"#
        case 4:
            return #"{"role":"assistant","content":[{"type":"tool_use","name":"f","id":"1","input":{"a":[1,true,"\#(text)"]}}]}"#
        default: return #"{"role":"user","content":"\#(text)"}"#
        }
    }

    @Test("whatever the bytes are, the pieces do not matter and nothing traps")
    func mutations() {
        var random = SplitMix64(seed: 13)
        let samples =
            Self.bodies.dropLast().map { Array($0.utf8) } + [
                Array(#"{"messages":[{"role":"user","content":"a\/\u0041"}],"system":"x-anth"}"#.utf8)
            ]
        let alphabet = Array("{}[]:,\"\\ n0123-.eutfals".utf8)
        var (accepted, scanner) = (0, RequestScanner())
        for _ in 0..<10_000 {
            let bytes = random.bytes(like: samples, alphabet: alphabet)
            let cut = random.below(bytes.count + 1)
            let whole = try? Outline(bytes, scanner: &scanner)
            let pieces = try? Outline(bytes, cuts: [cut, cut + random.below(bytes.count - cut + 1)], scanner: &scanner)
            if whole != nil { accepted += 1 }
            guard whole == pieces else {
                Issue.record("cut at \(cut): \(String(decoding: bytes, as: UTF8.self).debugDescription)")
                return
            }
        }
        #expect(accepted > 1_000, "too few of the inputs were JSON for this to say much")
    }
}

extension String {
    fileprivate func randomCharacter(_ random: inout SplitMix64) -> Character {
        let characters = Array(self)
        return characters[random.below(characters.count)]
    }
}
