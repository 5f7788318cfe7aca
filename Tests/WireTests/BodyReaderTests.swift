import Testing

@testable import Wire

/// What reading a body in pieces came to.
private struct Reading: Equatable {
    var content: [UInt8] = []
    /// Bytes of the body; what follows belongs to the next message.
    var consumed = 0
    var isFinished = false
    var isMalformed = false
}

private func read(_ bytes: [UInt8], with reader: BodyReader, cuts: [Int]) -> Reading {
    var reader = reader
    var reading = Reading()
    var start = 0
    for end in cuts.sorted() + [bytes.count] where !reading.isFinished && !reading.isMalformed {
        let piece = Array(bytes[start..<end])
        let progress = reader.read(piece.span.bytes, from: 0) { reading.content += piece[$0] }
        reading.consumed += progress.consumed
        reading.isMalformed = progress.isMalformed
        reading.isFinished = reader.isFinished
        start = end
    }
    return reading
}

private let chunkedReader: BodyReader = {
    var head = HTTPHead()
    let bytes = Array("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
    try? head.parseRequest(bytes.span.bytes)
    return BodyReader(request: head)
}()

@Suite("Chunked bodies")
struct ChunkedBodyTests {
    @Test(
        "white space after a chunk's size is accepted in an answer, and marks its chunks",
        arguments: ["5 ;a=b", "5 ", "5\t \t", "5 \t;x"])
    func spaceAfterSize(size: String) {
        let bytes = Array("\(size)\r\nhello\r\n0\r\n\r\n".utf8)
        var content: [UInt8] = []
        func read(_ reader: inout ChunkedReader) -> ChunkedReader.Step {
            var position = 0
            while true {
                let step = reader.next(bytes.span.bytes, &position)
                guard case .content(let range) = step else { return step }
                content += bytes[range]
            }
        }
        var tolerant = ChunkedReader(allowsSpace: true)
        #expect(read(&tolerant) == .finished && content == Array("hello".utf8) && tolerant.hasSpace)
        var strict = ChunkedReader()
        #expect(read(&strict) == .malformed)
    }

    @Test("that white space is limited for each chunk, not for the body")
    func manySpaces() {
        let chunks = Array((String(repeating: "1    \r\nx\r\n", count: 10_000) + "0\r\n\r\n").utf8)
        var reader = ChunkedReader(allowsSpace: true)
        var (position, step) = (0, ChunkedReader.Step.needMore)
        repeat {
            step = reader.next(chunks.span.bytes, &position)
        } while step != .finished && step != .malformed && step != .needMore
        #expect(step == .finished)
        var other = ChunkedReader(allowsSpace: true)
        position = 0
        #expect(other.next(Array("1\(String(repeating: " ", count: 65))\r\n".utf8).span.bytes, &position) == .malformed)
    }

    @Test(
        "a digit after that white space is malformed, and so is white space in front of the size",
        arguments: ["5 5", " 5", "5 x"])
    func spaceElsewhere(size: String) {
        let bytes = Array("\(size)\r\nhello\r\n".utf8)
        var reader = ChunkedReader(allowsSpace: true)
        var position = 0
        #expect(reader.next(bytes.span.bytes, &position) == .malformed)
    }

    @Test(
        "give their content and end where they end",
        arguments: [
            ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"), ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
            ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"), ("a\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"), ("003;x=y;z=\"q\"\r\nabc\r\n0;last\r\n\r\n", "abc"),
            ("3;ext\r\nabc\r\n0\r\n\r\n", "abc"), ("1\r\na\r\n0\r\nX-Trailer: 1\r\nB:\r\n\r\n", "a"),
            ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
        ])
    func accepted(text: String, content: String) {
        let next = "GET /next"
        let bytes = Array((text + next).utf8)
        let expected = Reading(content: Array(content.utf8), consumed: text.utf8.count, isFinished: true)
        #expect(read(bytes, with: chunkedReader, cuts: []) == expected)
        for cut in 0...bytes.count { #expect(read(bytes, with: chunkedReader, cuts: [cut]) == expected, "cut at \(cut)") }
        #expect(read(bytes, with: chunkedReader, cuts: Array(1..<bytes.count)) == expected, "byte by byte")
    }

    @Test(
        "are refused when malformed, wherever they are cut",
        arguments: [
            "\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\na", " 1\r\na", "1\na", "1\r\r", "1\rx", "1\r\nab", "1\r\na\n",
            "1\r\na\rx",
            "1\r\na\r\n\r\n", "0\r\n\n", "0\r\n\rx", "0\r\nA: b\n", "0\r\nA: b\rx", "0\r\n A: b\r\n", "0\r\n: b\r\n",
            "0\r\nno colon\r\n", "0\r\nA : b\r\n", "0\r\nGET / HTTP/1.1\r\n", "1;\u{1}\r\n", "1;a\nb", "1 a\r\n", "1 \r\na",
            "1\t\r\na",
            "3 ;ext\r\nabc",
            "1234567890123456\r\n", ";\r\n",
            "FFFFFFFFFFFFFFFFF\r\n", "1\u{7f}\r\n",
        ])
    func malformed(text: String) {
        let bytes = Array(text.utf8)
        let whole = read(bytes, with: chunkedReader, cuts: [])
        #expect(whole.isMalformed)
        for cut in 0...bytes.count { #expect(read(bytes, with: chunkedReader, cuts: [cut]) == whole, "cut at \(cut)") }
    }

    @Test("may have extensions and trailers of 16 KiB in all, no more")
    func overhead() {
        func body(_ size: Int) -> [UInt8] { Array("0\r\nA: \(String(repeating: "x", count: size))\r\n\r\n".utf8) }
        #expect(read(body(16_000), with: chunkedReader, cuts: []).isFinished)
        #expect(read(body(17_000), with: chunkedReader, cuts: []).isMalformed)
        let extensions = Array(String(repeating: "1;\(String(repeating: "e", count: 99))\r\na\r\n", count: 200).utf8)
        #expect(read(extensions, with: chunkedReader, cuts: []).isMalformed)
        let manyTrailers = Array(("0\r\n" + String(repeating: "A:b\r\n", count: 6000)).utf8)
        #expect(read(manyTrailers, with: chunkedReader, cuts: []).isMalformed)
        let endlessName = Array("0\r\n\(String(repeating: "A", count: 17_000))".utf8)
        #expect(read(endlessName, with: chunkedReader, cuts: []).isMalformed)
    }

    @Test("can be joined by bytes of our own only between two chunks")
    func betweenChunks() {
        var reader = chunkedReader
        let bytes = Array("1\r\na\r\n1\r\nb\r\n0\r\n\r\n".utf8)
        var positions: [Int] = []
        for (index, byte) in bytes.enumerated() {
            if reader.isBetweenChunks { positions.append(index) }
            _ = reader.read([byte].span.bytes, from: 0) { _ in }
        }
        #expect(positions == [0, 6, 12])
        #expect(!reader.isBetweenChunks)
    }

    @Test("that stop early have not ended")
    func cutOff() {
        let bytes = Array("5\r\nhello\r\n0\r\n\r\n".utf8)
        for count in 0..<bytes.count {
            var reader = chunkedReader
            let progress = reader.read(Array(bytes[..<count]).span.bytes, from: 0) { _ in }
            let ended = reader.connectionEnded()
            #expect(!progress.isMalformed && !ended)
            #expect(progress.consumed == count)
        }
    }
}

@Suite("Bodies")
struct BodyReaderTests {
    private func request(_ lines: String...) throws -> BodyReader {
        BodyReader(request: try HTTPHeadTests.request("POST / HTTP/1.1\r\nHost: a\r\n\(lines.joined())\r\n"))
    }

    private func answer(_ status: Int, _ line: String = "", toHead: Bool = false) throws -> BodyReader {
        var head = HTTPHead()
        try head.parseAnswer(Array("HTTP/1.1 \(status) x\r\n\(line)\r\n".utf8).span.bytes)
        return BodyReader(answer: head, toHead: toHead)
    }

    @Test("of a request end at once unless its head says otherwise")
    func requests() throws {
        #expect(try request().isFinished)
        #expect(try request("Content-Length: 0\r\n").isFinished)
        let five = try request("Content-Length: 5\r\n")
        let expected = Reading(content: Array("hello".utf8), consumed: 5, isFinished: true)
        for cut in 0...9 { #expect(read(Array("helloNEXT".utf8), with: five, cuts: [cut]) == expected) }
        #expect(try request("Transfer-Encoding: chunked\r\n").isChunked)
    }

    @Test(
        "of these answers are empty whatever their head says",
        arguments: [
            (204, ""), (304, "Content-Length: 10\r\n"), (100, ""), (199, ""), (200, "Content-Length: 0\r\n"),
            (204, "Transfer-Encoding: chunked\r\n"),
        ])
    func emptyAnswers(status: Int, line: String) throws {
        var reader = try answer(status, line)
        #expect(reader.isFinished)
        #expect(!reader.isUntilClose)
        #expect(reader.read(Array("next".utf8).span.bytes, from: 0) { _ in }.consumed == 0)
    }

    @Test("of an answer to HEAD are empty")
    func head() throws {
        #expect(try answer(200, "Content-Length: 10\r\n", toHead: true).isFinished)
        #expect(try answer(200, toHead: true).isFinished)
        #expect(try !answer(200, "Content-Length: 10\r\n").isFinished)
    }

    @Test("of unstated length end with the connection, and that is their proper end")
    func untilClose() throws {
        var reader = try answer(200)
        #expect(reader.isUntilClose)
        #expect(reader.isBetweenChunks)
        let bytes = Array("abc".utf8)
        var content: [UInt8] = []
        let progress = reader.read(bytes.span.bytes, from: 1) { content += bytes[$0] }
        #expect(progress.consumed == 2)
        #expect(content == Array("bc".utf8))
        #expect(!reader.isFinished)
        let ended = reader.connectionEnded()
        #expect(ended)
        #expect(!reader.isUntilClose)
    }

    @Test("of a stated length that the connection cuts off have no proper end")
    func cutOff() throws {
        var reader = try answer(200, "Content-Length: 5\r\n")
        _ = reader.read(Array("abc".utf8).span.bytes, from: 0) { _ in }
        let early = reader.connectionEnded()
        #expect(!early)
        #expect(!reader.isBetweenChunks)
        _ = reader.read(Array("de".utf8).span.bytes, from: 0) { _ in }
        let ended = reader.connectionEnded()
        #expect(ended)
    }
}
