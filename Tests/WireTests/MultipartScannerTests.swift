import Testing

@testable import Wire

@Suite("The multipart scanner")
struct MultipartScannerTests {
    private func facts(_ body: String, boundary: String = "XX") throws(RequestScanProblem) -> RequestFacts {
        try MultipartScanner.facts(Array(body.utf8).span.bytes, boundary: boundary)
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
                try MultipartScanner.facts(Array(bytes[..<end]).span.bytes, boundary: "XX")
            }
        }
        #expect(try facts(body).model == "whisper-1")
    }

    @Test("random bytes never crash it", arguments: 0..<200)
    func random(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let samples = [field("model", "m") + part(file, "x") + "--XX--", "--XX--"].map { Array($0.utf8) }
        let body = random.bytes(like: samples, alphabet: Array("-X\r\n:;=\"".utf8))
        guard let found = try? MultipartScanner.facts(body.span.bytes, boundary: "XX"), let range = found.modelRange else {
            return
        }
        #expect(found.model == String(decoding: body[range], as: UTF8.self))
    }
}
