import Testing

@testable import Wire

@Suite("The multipart scanner")
struct MultipartScannerTests {
    /// Reads the body in pieces of `size` bytes.
    private func facts(_ body: [UInt8], pieces size: Int = .max) throws(RequestScanProblem) -> RequestFacts {
        var scanner = MultipartScanner(boundary: "XX")
        var index = 0
        while index < body.count {
            let end = index + min(size, body.count - index)
            scanner.feed(Array(body[index..<end]).span.bytes)
            index = end
        }
        return try scanner.finish()
    }

    private func facts(_ body: String, pieces size: Int = .max) throws(RequestScanProblem) -> RequestFacts {
        try facts(Array(body.utf8), pieces: size)
    }

    /// Why a form is refused; nil when it is not.
    private func refusal(of body: String, pieces size: Int = .max) -> String? {
        do {
            _ = try facts(body, pieces: size)
            return nil
        } catch { return error.message }
    }

    private func part(_ head: String, _ content: String) -> String { "--XX\r\n\(head)\r\n\r\n\(content)\r\n" }

    private func field(_ name: String, _ value: String) -> String {
        part("Content-Disposition: form-data; name=\"\(name)\"", value)
    }

    private let file = "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav"

    @Test(
        "finds the boundary of a content type",
        arguments: [
            ("multipart/form-data; boundary=abc", "abc"), ("multipart/form-data;boundary=\"a:b=c?\"", "a:b=c?"),
            ("Multipart/Form-Data; charset=utf-8; BOUNDARY=x ", "x"), ("multipart/form-data; boundary=a=b", "a=b"),
            ("multipart/form-data; boundary=\"a b;c\"; x=y", "a b;c"),
            ("multipart/form-data; boundary=\"a \"", nil), ("multipart/form-data; boundary=a b", "a b"),
            ("multipart/form-data", nil), ("multipart/form-data; boundary=", nil), ("multipart/form-data; boundary=\"\"", nil),
            ("multipart/mixed; boundary=abc", nil), ("application/json; boundary=abc", nil), ("", nil), (";;;", nil),
            ("multipart/form-data; boundary=a\u{7}b", nil), ("multipart/form-data; boundary=ü", nil),
        ])
    func boundaries(contentType: String, expected: String?) {
        #expect(MultipartScanner.boundary(contentType: contentType) == expected)
    }

    @Test("a boundary has at most 70 characters")
    func boundaryLength() {
        let longest = String(repeating: "b", count: 70)
        #expect(MultipartScanner.boundary(contentType: "multipart/form-data; boundary=\(longest)") == longest)
        #expect(MultipartScanner.boundary(contentType: "multipart/form-data; boundary=\(longest)b") == nil)
    }

    @Test("finds the model before and after the file, and its bytes", arguments: [true, false])
    func order(modelFirst: Bool) throws {
        let model = field("model", "whisper-1")
        let audio = part(file, "RIFF\0\u{1}--X\r\n--\r\n")
        let body = (modelFirst ? model + audio : audio + model) + "--XX--\r\n"
        let found = try facts(body)
        #expect(found.model == "whisper-1")
        let range = try #require(found.modelRange)
        #expect(String(decoding: Array(body.utf8)[range], as: UTF8.self) == "whisper-1")
        #expect(found.bodyLength == body.utf8.count)
    }

    @Test("a field's name may stand without quotes, its header in any case")
    func spellings() throws {
        #expect(try facts(part("CONTENT-DISPOSITION: form-data;  NAME=model", "m") + "--XX--").model == "m")
        #expect(try facts(part("X: y\r\ncontent-disposition:form-data;name=\"model\"", "m") + "--XX--").model == "m")
    }

    @Test(
        "is not fooled by files, other fields and the file's own bytes",
        arguments: [
            "Content-Disposition: form-data; name=\"model\"; filename=\"model\"",
            "Content-Disposition: form-data; filename=\"x\"; name=\"model\"",
            "Content-Disposition: form-data; name=\"model \"", "Content-Disposition: form-data; name=\"xmodel\"",
            "Content-Disposition: form-data; name=\"Model\"", "X-Disposition: form-data; name=\"model\"",
        ])
    func others(head: String) throws {
        #expect(try facts(part(head, "wrong") + "--XX--").model == nil)
        #expect(try facts(part(head, "wrong") + field("model", "right") + part(head, "wrong") + "--XX--").model == "right")
    }

    @Test("a model inside the file's bytes does not count")
    func modelInFile() throws {
        let trap = "x--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwrong\r\nx--XX"
        #expect(try facts(part(file, trap) + "--XX--").model == nil)
        #expect(try facts(field("model", "right") + part(file, trap) + "--XX--").model == "right")
    }

    @Test("the last of two models counts; empty ones are empty; text before the first boundary is skipped")
    func oddForms() throws {
        #expect(try facts(field("model", "a") + field("model", "b") + "--XX--").model == "b")
        #expect(try facts(field("model", "") + "--XX--").model == "")
        #expect(try facts("preamble\r\n" + field("model", "a") + "--XX--\r\nepilogue").model == "a")
        #expect(try facts("--XX--").model == nil)
    }

    @Test(
        "what is not the promised form is refused",
        arguments: [
            "", "no boundary at all", "-XX--", "--XX", "--XX\r\n", "--XXY\r\n",
            "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm",
            "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n--XX--",
        ])
    func refused(body: String) {
        #expect(throws: RequestScanProblem.self) { try facts(body) }
    }

    @Test("cut off anywhere it is refused, never wrong")
    func everyPrefix() throws {
        let body = field("model", "whisper-1") + part(file, "RIFF\r\n\r\nxyz") + "--XX--"
        let bytes = Array(body.utf8)
        for end in bytes.indices {
            #expect(throws: RequestScanProblem.self, "\(end)") {
                try facts(Array(bytes[..<end]))
            }
        }
        #expect(try facts(body).model == "whisper-1")
    }

    /// A form with everything in it that the scanner looks at.
    private var sample: String {
        "preamble --XX\r\n" + part("X-First: 1\r\n" + file, "RIFF\r\r\n--X\r\n--\r\r\n-") + field("model", "a")
            + field("model", "größe-1")
            + field("prompt", "") + part("Content-Disposition: form-data; name=\"x\"; filename=\"model\"", "no")
            + "--XX--\r\n--XX\r\nepilogue"
    }

    @Test("says the same wherever the bytes are cut")
    func everySplit() throws {
        let bytes = Array(sample.utf8)
        let whole = try facts(bytes)
        #expect(whole.model == "größe-1")
        for cut in 0...bytes.count {
            var scanner = MultipartScanner(boundary: "XX")
            scanner.feed(Array(bytes[..<cut]).span.bytes)
            scanner.feed(Array(bytes[cut...]).span.bytes)
            #expect(try scanner.finish() == whole, "cut at \(cut)")
        }
        for size in 1...80 { #expect(try facts(bytes, pieces: size) == whole, "pieces of \(size)") }
    }

    @Test("what is known so far is known as soon as the field has ended")
    func soFar() {
        let bytes = Array((field("model", "m") + part(file, "RIFF")).utf8)
        let end = Array((field("model", "m") + "--XX").utf8).count
        var scanner = MultipartScanner(boundary: "XX")
        scanner.feed(Array(bytes[..<(end - 1)]).span.bytes)
        #expect(scanner.facts.model == nil)
        scanner.feed(Array(bytes[(end - 1)..<end]).span.bytes)
        #expect(scanner.facts.model == "m")
        #expect(!scanner.hasFailed)
    }

    @Test("a part without a head is a part, and no model")
    func noHead() throws {
        #expect(try facts("--XX\r\n\r\nmodel\r\n" + field("model", "m") + "--XX--").model == "m")
        #expect(try facts("--XX\r\n\r\n--XX--").model == nil)
    }

    @Test(
        "a semicolon in quotes ends no parameter",
        arguments: [#"a=";name=model""#, #"a="\";name=model""#, #"a="\\\";name=model""#])
    func quotedSemicolon(parameter: String) throws {
        #expect(try facts(part("Content-Disposition: form-data; \(parameter)", "wrong") + "--XX--").model == nil)
        #expect(try facts(part("Content-Disposition: form-data; \(parameter); name=model", "m") + "--XX--").model == "m")
    }

    @Test("a line of a part's head that does not end with CR LF is refused", arguments: ["\n", "\r", "\r\r\n"])
    func bareLineEnds(end: String) {
        let body = part("X: y\(end)Content-Disposition: form-data; name=\"model\"", "m") + "--XX--"
        #expect(refusal(of: body) == "a line in the head of a part does not end with CR LF")
    }

    @Test("a boundary inside a part's head is refused")
    func boundaryInHead() {
        let body = "--XX\r\nX: y\r\n" + field("model", "m") + "--XX--"
        #expect(refusal(of: body) == "a part of the multipart body has no empty line after its head")
    }

    // MARK: Bounds

    @Test("a form may have 1,000 parts and no more", arguments: [1, 7, 1 << 20])
    func parts(size: Int) throws {
        let most = String(repeating: field("a", "b"), count: MultipartScanner.maximumParts - 1) + field("model", "m")
        #expect(try facts(most + "--XX--", pieces: size).model == "m")
        #expect(refusal(of: field("a", "b") + most + "--XX--", pieces: size) == "the form has more than 1000 parts")
    }

    @Test("after a form has been refused nothing more of it is looked at")
    func afterRefusal() throws {
        var scanner = MultipartScanner(boundary: "XX")
        for text in ["--XXY", field("model", "m") + "--XX--"] {
            let mayGoOn = scanner.feed(Array(text.utf8).span.bytes)
            #expect(!mayGoOn)
        }
        #expect(scanner.hasFailed)
        #expect(scanner.facts.model == nil)
        #expect(throws: RequestScanProblem.self) { try scanner.finish() }
    }

    @Test("the head of a part may have 4,096 bytes and no more", arguments: [1, 100, 1 << 20])
    func headLength(size: Int) throws {
        let disposition = "Content-Disposition: form-data; name=\"model\"\r\nX: "
        let padding = String(repeating: "x", count: MultipartScanner.maximumHeadLength - disposition.utf8.count - 4)
        #expect(try facts(part(disposition + padding, "m") + "--XX--", pieces: size).model == "m")
        for longer in [disposition + padding + "x", disposition + padding + padding] {
            #expect(
                refusal(of: part(longer, "m") + "--XX--", pieces: size) == "the head of a part is longer than 4096 bytes")
        }
        // The limit holds for one part, not for all of them.
        let parts = String(repeating: part(disposition + padding, "m"), count: 3)
        #expect(try facts(parts + "--XX--", pieces: size).model == "m")
    }

    @Test("a model may have 1,024 bytes and no more", arguments: [1, 100, 1 << 20])
    func modelLength(size: Int) throws {
        let longest = String(repeating: "m", count: RequestScanner.maximumModelLength)
        #expect(try facts(field("model", longest) + "--XX--", pieces: size).model == longest)
        for longer in [longest + "m", longest + longest] {
            #expect(
                refusal(of: field("model", longer) + "--XX--", pieces: size) == "the value of `model` is longer than 1024 bytes")
        }
        #expect(try facts(field("prompt", longest + longest) + field("model", "m") + "--XX--", pieces: size).model == "m")
    }

    @Test("random forms say the same in one piece and in many", arguments: 0..<100)
    func random(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let samples = [sample, field("model", "m") + part(file, "x") + "--XX--", "--XX--"].map { Array($0.utf8) }
        for _ in 0..<20 {
            let body = random.bytes(like: samples, alphabet: Array("-X\r\n:;=\"\\model".utf8))
            var pieces = MultipartScanner(boundary: "XX")
            var start = 0
            while start < body.count {
                let end = min(body.count, start + 1 + random.below(random.below(2) == 0 ? 4 : 60))
                pieces.feed(Array(body[start..<end]).span.bytes)
                start = end
            }
            let whole = Result { () throws(RequestScanProblem) in try facts(body) }
            #expect(
                Result { () throws(RequestScanProblem) in try pieces.finish() } == whole,
                "\(String(decoding: body, as: UTF8.self))")
            guard case .success(let found) = whole, let range = found.modelRange else { continue }
            #expect(found.model == String(decoding: body[range], as: UTF8.self))
        }
    }
}
