import Testing

@testable import Wire

@Suite("Pictures in a prompt, and its bounds")
struct PromptPicturesTests {
    private func message(_ parts: String) throws -> Outline {
        try Outline(#"{"messages":[{"role":"user","content":[\#(parts)]}]}"#)
    }

    @Test("a picture counts with a fixed length, whatever the length of its data")
    func fixedLength() throws {
        let text = #"{"type":"text","text":"what is it?"}"#
        let forms = [
            #"{"type":"image_url","image_url":{"url":"DATA","detail":"auto"}}"#,
            #"{"type":"input_image","image_url":"DATA","detail":"auto"}"#,
            #"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"DATA"}}"#,
            #"{"type":"image","source":{"type":"url","url":"DATA"}}"#,
        ]
        for form in forms {
            let long = String(repeating: "iVBORw0KGgo+", count: 5000)
            let outlines = try ["", "aGk=", long, long + "A"].map { try message(text + "," + form.replacing("DATA", with: $0)) }
            for outline in outlines {
                #expect(outline.images == 1 && outline.length == 11 + 3000 && outline.links.count == 1, "\(form)")
            }
            #expect(Set(outlines.map(\.whole)).count == outlines.count)
            #expect(
                try message(text + "," + form.replacing("DATA", with: "a/b"))
                    == message(text + "," + form.replacing("DATA", with: #"a\/\u0062"#)))
        }
        let pictures = try message([forms[0], forms[2]].joined(separator: ",") + "," + text)
        #expect(pictures.images == 2 && pictures.length == 6011)
    }

    @Test("Ollama's pictures count, in a message and beside a prompt")
    func ollama() throws {
        let chat = try Outline(#"{"messages":[{"role":"user","content":"hi","images":["aGk=","aG8="]}]}"#)
        #expect(chat.images == 2 && chat.length == 6002)
        let generate = try Outline(#"{"prompt":"hi","images":["aGk=","aG8="]}"#)
        #expect(generate.images == 2 && generate.length == 6002)
        #expect(try Outline(#"{"images":["aGk=","aG8="],"prompt":"hi"}"#) == generate)
        #expect(try Outline(#"{"images":["aGk="],"images":null,"prompt":"hi"}"#).images == 0)
    }

    @Test("a sound counts like a picture, but is none")
    func sound() throws {
        let outline = try message(
            #"{"type":"input_audio","input_audio":{"data":"\#(String(repeating: "A", count: 9000))","format":"wav"}}"#)
        #expect(outline.images == 0 && outline.length == 3000)
    }

    @Test("the text behind a picture has boundaries that depend on the picture's content alone")
    func linksBehind() throws {
        let text = String(repeating: "0123456789abcdef", count: 500)
        func outline(_ data: String) throws -> Outline { try message(#"{"image_url":{"url":"\#(data)"}},{"text":"\#(text)"}"#) }
        let (one, other) = (try outline("aGk="), try outline(String(repeating: "aGk=", count: 1000)))
        #expect(one.links.count > 4 && one.links.map(\.end) == other.links.map(\.end) && one.common(with: other) == 0)
        #expect(
            try message(#"{"image_url":{"url":"aGk="}},{"text":"\#(text)"},{"text":"\#(text)"}"#).common(with: one) == one.links
                .count - 1)
    }

    @Test("there is no prompt in bodies of other kinds")
    func none() throws {
        for text in [
            "{}", "[]", "5", #""messages""#, #"{"model":"m","x":{"messages":[{"content":"a"}]}}"#, #"{"messages":[]}"#,
            #"{"prompt":null}"#, #"[{"messages":[{"content":"a"}]}]"#,
        ] {
            let outline = try Outline(text)
            #expect(outline == Outline(), "\(text)")
        }
        var scanner = RequestScanner()
        scanner.feed(Array(#"{"prompt":"a"}}"#.utf8).span.bytes)
        #expect(scanner.prompt == nil)
        scanner.reset()
        scanner.feed(Array(#"{"prompt":"a\u"#.utf8).span.bytes)
        #expect(scanner.prompt == nil)
        // Nothing of a body that was cut off remains.
        let expected = try Outline(#"{"prompt":"b"}"#)
        #expect(try Outline(#"{"prompt":"b"}"#.utf8, cuts: [3], scanner: &scanner) == expected)
    }

    @Test("what is behind too many messages belongs to the last one")
    func manyMessages() throws {
        let most = PromptOutline.maximumUnits
        func outline(_ count: Int, _ last: String = "b") throws -> Outline {
            let messages =
                Array(repeating: #"{"role":"user","content":"a"}"#, count: count - 1) + [#"{"role":"user","content":"\#(last)"}"#]
            return try Outline(#"{"system":"s","messages":[\#(messages.joined(separator: ","))],"suffix":"c"}"#)
        }
        // The system text is a unit, and so is the suffix.
        let fits = try outline(most - 1)
        #expect(fits.links.count == most + 1 && fits.length == most - 1 + 2)
        let more = try outline(most + 500)
        #expect(more.links.count == most + 1 && more.length == most + 500 + 2 && more.lastMessageStart == most - 1)
        #expect(more.whole != (try outline(most + 500, "c").whole) && more.whole != fits.whole)
        let bytes = Array(
            #"{"messages":[\#(Array(repeating: "{\"content\":\"a\"}", count: most + 5).joined(separator: ","))]}"#.utf8)
        #expect(try Outline(bytes, cuts: [bytes.count - 50, bytes.count - 20]) == Outline(bytes))
    }

    @Test("a prompt has no more links than the limit, and memory of a long one is not kept")
    func manyLinks() throws {
        let text = String(repeating: "a", count: 1024 * 6)
        let messages = Array(repeating: #"{"content":"\#(text)"}"#, count: 2000).joined(separator: ",")
        var scanner = RequestScanner()
        let outline = try Outline(#"{"messages":[\#(messages)]}"#.utf8, scanner: &scanner)
        #expect(outline.links.count == PromptOutline.maximumLinks && outline.length == text.utf8.count * 2000)
        scanner.reset()
        #expect(scanner.promptMemory < 2048)
        #expect(
            try Outline(#"{"messages":[{"content":"a"}]}"#.utf8, scanner: &scanner) == Outline(#"{"messages":[{"content":"a"}]}"#)
        )
    }
}
