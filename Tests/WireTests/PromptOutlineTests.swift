import Testing

@testable import Wire

/// The prompt of a body, as far as it can be compared.
struct Outline: Equatable {
    struct Link: Equatable {
        var hash: UInt64
        var end: Int
    }

    var links: [Link] = []
    var length = 0
    var lastMessageStart = 0
    var images = 0

    /// The last link's hash: of the whole prompt.
    var whole: UInt64? { links.last?.hash }

    /// Whether this prompt begins with all of the other.
    func extends(_ other: Outline) -> Bool {
        links.count >= other.links.count && links.prefix(other.links.count).elementsEqual(other.links) && !other.links.isEmpty
    }

    /// The links that both begin with.
    func common(with other: Outline) -> Int { zip(links, other.links).prefix { $0 == $1 }.count }

    init() {}

    /// Scans the body in pieces that end at the cuts.
    init(_ body: some Collection<UInt8>, cuts: [Int] = []) throws {
        var scanner = RequestScanner()
        try self.init(body, cuts: cuts, scanner: &scanner)
    }

    init(_ body: some Collection<UInt8>, cuts: [Int] = [], scanner: inout RequestScanner) throws {
        let bytes = Array(body)
        scanner.reset()
        var start = 0
        for end in cuts + [bytes.count] {
            scanner.feed(Array(bytes[start..<end]).span.bytes)
            start = end
        }
        _ = try scanner.finish()
        guard let prompt = scanner.prompt else { return }
        length = prompt.length
        lastMessageStart = prompt.lastMessageStart
        images = prompt.images
        prompt.forEachLink { hash, end, _ in links.append(Link(hash: hash, end: end)) }
        #expect(prompt.linkCount == links.count)
    }

    init(_ text: String) throws { try self.init(text.utf8) }
}

@Suite("What a prompt is")
struct PromptOutlineTests {
    private let long = String(repeating: #"    let total = values.reduce(0) + 12;\n"#, count: 100)

    @Test("the next turn of a conversation extends the chain")
    func nextTurn() throws {
        func turns(_ before: String, _ turns: [String], _ after: String) throws {
            var last: Outline?
            for count in 1...turns.count {
                let outline = try Outline(before + turns[..<count].joined(separator: ",") + after)
                #expect(!outline.links.isEmpty && outline.links.last?.end == outline.length)
                if let last {
                    #expect(outline.extends(last), "\(turns[count - 1])")
                    #expect(outline.lastMessageStart == last.length)
                }
                last = outline
            }
        }
        let call =
            #"{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}"#
        let answer = #"{"role":"tool","tool_call_id":"1","content":"\#(long)"}"#
        try turns(
            #"{"model":"m","tools":[{"type":"function"}],"messages":["#,
            [
                #"{"role":"system","content":"s"}"#, #"{"role":"user","content":"\#(long)"}"#, call, answer,
                #"{"role":"user","content":"c"}"#,
            ],
            "]}")
        try turns(
            #"{"model":"m","system":[{"type":"text","text":"\#(long)"}],"messages":["#,
            [
                #"{"role":"user","content":"\#(long)"}"#,
                #"{"role":"assistant","content":[{"type":"text","text":"x"},{"type":"tool_use","id":"1","name":"f","input":{"a":1}}]}"#,
                #"{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"y"}]}]}"#,
            ], #"],"max_tokens":5}"#)
        try turns(
            #"{"model":"m","instructions":"s","input":["#,
            [
                #"{"role":"user","content":[{"type":"input_text","text":"\#(long)"}]}"#,
                #"{"type":"function_call","call_id":"1","name":"f","arguments":"{}"}"#,
                #"{"type":"function_call_output","call_id":"1","output":"\#(long)"}"#,
            ], #"],"stream":true}"#)
        try turns(
            #"{"model":"m","options":{"num_ctx":5},"messages":["#,
            [
                #"{"role":"user","content":"x","images":["aGFsbG8="]}"#,
                #"{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}"#,
                #"{"role":"tool","tool_name":"f","content":"y"}"#,
            ], #"],"keep_alive":-1}"#)
    }

    @Test("a longer text prompt has the inner links of a shorter one", arguments: [#""stream":false"#, #""system":"s""#])
    func textPrompts(other: String) throws {
        func outline(_ text: String) throws -> Outline { try Outline(#"{"model":"m",\#(other),"prompt":"\#(text)"}"#) }
        let (short, longer) = (try outline(long), try outline(long + "and more" + long))
        #expect(short.links.count >= 4 && longer.common(with: short) == short.links.count - 1)
        #expect(short.whole != (try outline(long + " ")).whole)
    }

    @Test("links lie at the ends of messages, and inside after growing distances")
    func distances() throws {
        let text = String(repeating: "0123456789abcdef", count: 10_000)
        let outline = try Outline(#"{"messages":[{"role":"user","content":"hello"},{"role":"user","content":"\#(text)"}]}"#)
        #expect(outline.links.prefix(3).map(\.end) == [5, 5 + 1024, 5 + 2048])
        for (link, next) in zip(outline.links.dropFirst(), outline.links.dropFirst(2)).dropLast() {
            let position = link.end - 5
            #expect(next.end - link.end == (max(1024, position / 24) + 15) / 16 * 16)
        }
        #expect(outline.length == 160_005 && outline.links.last?.end == 160_005 && outline.lastMessageStart == 5)
    }

    @Test("a changed message ends what two prompts share")
    func compaction() throws {
        func outline(_ messages: [String]) throws -> Outline {
            let list = messages.map { #"{"role":"user","content":"\#($0)"}"# }.joined(separator: ",")
            return try Outline(#"{"messages":[\#(list)]}"#)
        }
        let before = try outline(["a", "b", long, "d"])
        #expect(try outline(["a", "b", "what was said before, in short", "d"]).common(with: before) == 2)
        #expect(try outline(["a", "b", long + "x", "d"]).common(with: before) == 2 + 3)
        #expect(try outline(["b", "a", long, "d"]).common(with: before) == 0)
        #expect(try outline(["ab", long, "d"]).common(with: before) == 0)
        #expect(try outline(["a", "b", long, "d", "e"]).extends(before))
    }

    @Test("the same prompt in other words of JSON is the same")
    func sameContent() throws {
        let reference = try Outline(
            #"{"messages":[{"role":"system","content":"be\nkind"},{"role":"user","content":"grüße / 😀"}]}"#)
        #expect(reference.links.count == 2 && reference.images == 0)
        for text in [
            #"{"messages":[{"content":"be\nkind","role":"system"},{"content":"grüße / 😀","role":"user"}],"model":"m","temperature":0.5}"#,
            #"{"temperature":1,"seed":5,"stop":["x"],"messages":[{"role":"developer","content":"be\u000akind"},{"role":"user","content":"gr\u00fc\u00DFe \/ \ud83d\ude00"}]}"#,
            #"{"system":"be\nkind","messages":[{"role":"user","content":"grüße / 😀"}]}"#,
            #"{"messages":[{"role":"user","content":"grüße / 😀"}],"system":[{"type":"text","text":"be\nkind","cache_control":{"type":"ephemeral"}}]}"#,
            #"{"instructions":"be\nkind","input":"grüße / 😀"}"#,
            #"{"instructions":"be\nkind","input":[{"type":"message","id":"5","role":"user","status":"done","content":[{"type":"input_text","text":"grüße / 😀"}]}]}"#,
            #"{"prompt":"grüße / 😀","system":"be\nkind"}"#,
            #"{"messages":[{"role":"system","content":[{"type":"text","text":"be\nki"},{"text":"nd","type":"text"}]},{"role":"user","content":[{"type":"text","text":"gr"},{"type":"text","text":"üße \u002f 😀"}]}]}"#,
            #" { "messages" : [ { "role" : "system" , "content" : "be\nkind" } , { "role" : "user" , "name":null, "content" : "grüße / 😀", "tool_calls":null, "whatever":null } ] } "#,
            #"{"messages":[{"r\u006fle":"system","cont\u0065nt":"be\nkind"},{"role":"us\u0065r","content":"grüße / 😀","id":{"a":[1,{"b":"c"}]},"annotations":[{"x":"y"}]}]}"#,
            #"{"messages":[{"role":"user","content":"no"}],"messages":[{"role":"system","content":"be\nkind"},{"role":"user","content":"grüße / 😀"}]}"#,
            #"{"tools":[],"functions":null,"messages":[{"role":"system","content":"be\nkind"},{"role":"user","content":"grüße / 😀"}]}"#,
        ] {
            #expect(try Outline(text) == reference, "\(text)")
        }
    }

    @Test("what the model would read otherwise is another prompt")
    func otherContent() throws {
        let texts = [
            #"{"messages":[{"role":"user","content":"ab"}]}"#,
            #"{"messages":[{"role":"assistant","content":"ab"}]}"#,
            #"{"messages":[{"role":"tool","content":"ab"}]}"#,
            #"{"messages":[{"role":"a role that is longer than sixteen bytes","content":"ab"}]}"#,
            #"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#,
            #"{"messages":[{"role":"user","content":"ab","name":"c"}]}"#,
            #"{"messages":[{"role":"user","content":"ab","unknown":""}]}"#,
            #"{"messages":[{"role":"user","content":"ab","unknown":true}]}"#,
            #"{"messages":[{"role":"user","content":"ab","unknown":12}]}"#,
            #"{"messages":[{"role":"user","content":"ab\u0000"}]}"#,
            #"{"messages":[{"role":"user","content":"ab\u001f"}]}"#,
            #"{"messages":[{"role":"user","content":"ab\\u001f"}]}"#,
            #"{"messages":[{"role":"user","content":"ab\\n"}]}"#,
            #"{"messages":[{"role":"user","content":"ab\n"}]}"#,
            #"{"messages":[{"role":"user","content":"ab"}],"tools":[{"name":"f"}]}"#,
            #"{"messages":[{"role":"user","content":"ab"}],"tools":[{"name":null}]}"#,
            #"{"messages":[{"role":"user","content":"ab"}],"tools":[{"name":["f"]}]}"#,
            #"{"messages":[{"role":"user","content":"ab"}],"system":"s"}"#,
            #"{"prompt":[1,23]}"#, #"{"prompt":[12,3]}"#, #"{"prompt":["a",1,"b"]}"#, #"{"prompt":5}"#, #"{"prompt":true}"#,
        ]
        var seen: [UInt64: String] = [:]
        for text in texts {
            let whole = try #require(try Outline(text).whole, "\(text)")
            #expect(seen[whole] == nil, "\(text) is \(seen[whole] ?? "")")
            seen[whole] = text
        }
    }

    @Test("tools come before messages wherever they stand, and their white space and cache marks do not count")
    func tools() throws {
        let messages = #""messages":[{"role":"user","content":"hi"}]"#
        let before = try Outline(
            #"{"tools":[{"type":"function","function":{"name":"f","parameters":{"id":{"type":"string"}}}}],\#(messages)}"#)
        let other = try Outline(
            #"{\#(messages),"tools":[ {"cache_control" : {"a":[1]}, "type" : "function", "function":{"name":"\u0066","parameters":{"id":{"type":"string","cache_control":null} } } } ]}"#
        )
        #expect(before == other && before.links.count == 2)
        let bare = try Outline("{\(messages)}")
        #expect(before.lastMessageStart == before.length - 2 && bare.common(with: before) == 0)
        for tools in [
            #"[{"type":"function","function":{"name":"f","parameters":{"ID":{"type":"string"}}}}]"#, #"[{"type":"function"}]"#,
        ] {
            #expect(try Outline(#"{"tools":\#(tools),\#(messages)}"#).common(with: before) == 0)
        }
        #expect(try Outline(#"{"tools":[{"type":"x"}],"tools":[],\#(messages)}"#) == bare)
    }

    @Test("the arguments of tool calls count, as text and as objects, with keys that are ids elsewhere")
    func toolCalls() throws {
        func outline(_ arguments: String, id: String = "1") throws -> UInt64? {
            try Outline(
                #"{"messages":[{"role":"assistant","tool_calls":[{"id":"\#(id)","type":"function","function":{"name":"f","arguments":\#(arguments)}},{"id":"2","function":{"name":"g"}}]}]}"#
            ).whole
        }
        var seen: Set<UInt64?> = []
        let arguments = [
            #""{\"a\":1}""#, #""{\"a\":2}""#, #"{"a":1}"#, #"{"a":2}"#, #"{"b":1}"#, #"{"id":1}"#, #"{"id":2}"#, #"{"id":"2"}"#,
            #"{"a":[1,2]}"#,
            #"{"a":[12]}"#, #"{"a":true}"#, #"{"a":null}"#, "{}", #"{"a":{"b":"c"}}"#, #"{"a":{"b":"c","type":"d"}}"#,
        ]
        for text in arguments { seen.insert(try outline(text)) }
        #expect(seen.count == arguments.count)
        #expect(try outline("{}", id: "call_7") == outline("{}"))
        #expect(try outline(#"{"a":1.5e3, "b" : [ ] }"#) == outline(#"{"a":1.5e3,"b":[]}"#))
        func anthropic(_ input: String) throws -> UInt64? {
            try Outline(
                #"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"x","name":"f","input":\#(input)}]}]}"#
            ).whole
        }
        #expect(try anthropic(#"{"id":1}"#) != anthropic(#"{"id":2}"#))
    }

    @Test("a line that changes with every request does not count")
    func volatileLine() throws {
        let messages = #""messages":[{"role":"user","content":"hi"}]"#
        func outline(_ system: String) throws -> Outline {
            try Outline(#"{"system":[{"type":"text","text":"\#(system)"},{"text":"You are"}],\#(messages)}"#)
        }
        let header = "x-anthropic-billing-header: cc_version=2.1.177.01c; cch=36ee5;"
        let bare = try outline("")
        #expect(try outline(header) == bare)
        #expect(try outline(header + #"\n"#) == bare)
        #expect(try outline(header + #"\\n\n"#) == bare)
        #expect(try outline(header + #"\nmore"#) == outline("more"))
        #expect(try outline(header + #"\nmore"#) == outline(header + #"a\nm\u006fre"#))
        #expect(try outline("x" + header) != bare)
        #expect(try outline("x-anthropic") != bare)
        #expect(try outline(header + String(repeating: "a", count: 500)) != bare)
        let late = header + String(repeating: "a", count: 500) + #"\nmore"#
        #expect(try outline(late) != outline("more"))
    }
}
