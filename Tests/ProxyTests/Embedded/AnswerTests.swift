import Routing
import Testing
import Wire

@testable import Proxy

/// What a client receives for each way in which a server can frame its answer.
@Suite("Answers on their way, without sockets")
struct AnswerTests {
    private static let streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    /// Sends one request, gives the pieces of its answer, and returns the body as the client got it, framing included.
    private func relayed(
        _ request: String, _ pieces: [[UInt8]], endsConnection: Bool = false
    ) throws -> (head: String, body: String, isClosing: Bool) {
        var result = (head: "", body: "", isClosing: false)
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(request)
            for piece in pieces { server.receive(piece) }
            if endsConnection { server.end() }
            let end = try #require(client.sent.firstRange(of: "\r\n\r\n")?.upperBound, "no answer came: \(client.sent)")
            result = (String(client.sent[..<end]), String(client.sent[end...]), client.isOutputClosed)
            #expect(balancer.inFlight == 0)
        }
        return result
    }

    private func relayed(
        _ request: String, _ pieces: [String], endsConnection: Bool = false
    ) throws -> (head: String, body: String, isClosing: Bool) {
        try relayed(request, pieces.map { Array($0.utf8) }, endsConnection: endsConnection)
    }

    private func old(_ request: String) -> String { request.replacing("HTTP/1.1", with: "HTTP/1.0") }

    @Test("whole chunks pass byte for byte, extensions, trailers and the size's spelling included")
    func wholeChunks() throws {
        let pieces = ["00a;x=1\r\ndata: 12\n\n\r\n", "9\r\ndata: 3\n\n\r\n9\r\ndata: 4\n\n\r\n", "0\r\nX-T: 1\r\n\r\n"]
        let answer = try relayed(chat(stream: true), [Self.streamHead] + pieces)
        #expect(answer.body == pieces.joined())
        #expect(answer.head.occurrences(of: "Transfer-Encoding: chunked\r\n") == 1 && !answer.isClosing)
    }

    @Test(
        "chunks that reads cut are framed anew, so that the client's bytes end between two chunks after each read",
        arguments: 1...24)
    func cutChunks(length: Int) throws {
        let body = "9\r\ndata: 1\n\n\r\n15\r\ndata: 2345678901234\n\n\r\n1\r\n:\r\n2\r\n\n\n\r\n0\r\n\r\n"
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat(stream: true))
            server.receive(Self.streamHead)
            let pieces = body.pieces(of: length)
            for (index, piece) in pieces.enumerated() {
                server.receive(piece)
                guard let start = client.sent.firstRange(of: "\r\n\r\n")?.upperBound else { continue }
                var reader = ChunkedReader()
                let sent = Array(client.sent[start...].utf8)
                var position = 0
                reading: while true {
                    switch reader.next(sent.span.bytes, &position) {
                    case .content: continue
                    case .needMore, .finished: break reading
                    case .malformed:
                        Issue.record("malformed: \(client.sent)")
                        return
                    }
                }
                #expect(index == pieces.count - 1 || reader.isBetweenChunks, "\(client.sent)")
            }
            #expect(answers(in: client.sent).whole.map(\.text) == ["data: 1\n\ndata: 2345678901234\n\n:\n\n"])
        }
    }

    @Test("a body with a length keeps it, in pieces of any size", arguments: [1, 3, 20_000])
    func length(piece: Int) throws {
        let body = String(repeating: "0123456789", count: piece == 20_000 ? 4_100 : 3)
        let head = "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        let answer = try relayed(get("/v1/files"), [Array(head.utf8)] + body.pieces(of: piece))
        #expect(answer.body == body && !answer.isClosing)
        #expect(answer.head.contains("Content-Length: \(body.utf8.count)\r\n"))
    }

    @Test("a body until the connection's end becomes chunks")
    func untilClose() throws {
        let answer = try relayed(get("/v1/files"), ["HTTP/1.1 200 OK\r\n\r\n", "one", "three"], endsConnection: true)
        #expect(answer.body == "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n" && !answer.isClosing)
        #expect(answer.head.contains("Transfer-Encoding: chunked\r\n"))
    }

    @Test(
        "for HTTP/1.0 there are no chunks: the connection's end is the body's",
        arguments: ["HTTP/1.1 200 OK\r\n\r\none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"])
    func untilCloseForOldClient(bytes: String) throws {
        let request = old(get("/v1/files", fields: ["Connection: keep-alive"]))
        let answer = try relayed(request, [bytes], endsConnection: true)
        #expect(answer.body == "one" && answer.isClosing)
        #expect(answer.head.contains("Connection: close\r\n") && !answer.head.contains("Transfer-Encoding"))
    }

    @Test(
        "answers that have no body have none, whatever their head says",
        arguments: [("GET", 204), ("GET", 304), ("HEAD", 200)], ["", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n"])
    func noBody(request: (method: String, status: Int), field: String) throws {
        let answer = try relayed(get("/v1/files", method: request.method), ["HTTP/1.1 \(request.status) X\r\n\(field)\r\n"])
        #expect(answer.body.isEmpty && !answer.isClosing)
    }

    @Test(
        "what follows an answer on its connection reaches nobody, and the connection is not used again",
        arguments: [
            "Content-Length: 2\r\n\r\nok", "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "Content-Length: 0\r\n\r\n",
        ])
    func surplus(rest: String) throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(get("/v1/files") + get("/llmhealth"))
            server.receive("HTTP/1.1 200 OK\r\n" + rest + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
            #expect(server.isClosed && !client.sent.contains("other"))
            #expect(answers(in: client.sent).whole.count == 2)
        }
    }

    @Test("an answer that breaks ends visibly: in its length, in its chunks, and for HTTP/1.0")
    func broken() throws {
        let short = try relayed(get("/v1/files"), ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"], endsConnection: true)
        #expect(short.body == "half" && short.isClosing)
        let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"
        let chunks = try relayed(get("/v1/files"), [chunk], endsConnection: true)
        #expect(chunks.body == "4\r\nhalf\r\n" && chunks.isClosing)
        let stream = try relayed(chat(stream: true), [Self.streamHead, "9\r\ndata: 1\n\n\r\n5\r\ndata"], endsConnection: true)
        #expect(stream.body.hasPrefix("9\r\ndata: 1\n\n\r\n4\r\ndata\r\n") || stream.body.hasPrefix("d\r\ndata: 1\n\ndata\r\n"))
        #expect(stream.body.contains("\n\ndata: {\"error\"") && !stream.body.contains("\r\n0\r\n") && stream.isClosing)
    }

    @Test("early hints go on to clients that know them", arguments: [true, false])
    func interim(isOld: Bool) throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(isOld ? old(get("/v1/files")) : get("/v1/files"))
            server.receive("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
            #expect(client.sent == (isOld ? "" : "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"))
            server.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            #expect(answers(in: client.sent).whole.last?.text == "ok")
        }
    }

    // MARK: Streams that began before their answer

    /// A stream whose client has been sent a sign of life; then its server answers.
    private func committed(
        _ pieces: [[UInt8]], endsConnection: Bool = false
    ) throws -> (body: String, isClosing: Bool, records: [EndedRequest]) {
        var result: (String, Bool, [EndedRequest]) = ("", false, [])
        try withEmbeddedBalancer(settings: ProxySettings { $0.keepAliveInterval = .milliseconds(0) }) { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat(stream: true))
            #expect(client.sent.isEmpty)
            balancer.context.tick()
            #expect(client.sent.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"))
            #expect(client.sent.hasSuffix("\r\n\r\nb\r\n: prefill\n\n\r\n"))
            _ = client.takeSent()
            for piece in pieces { server.receive(piece) }
            if endsConnection { server.end() }
            #expect(balancer.inFlight == 0)
            result = (client.sent, client.isOutputClosed, balancer.notes.records)
        }
        return result
    }

    private func committed(
        _ pieces: [String], endsConnection: Bool = false
    ) throws -> (body: String, isClosing: Bool, records: [EndedRequest]) {
        try committed(pieces.map { Array($0.utf8) }, endsConnection: endsConnection)
    }

    @Test("a stream follows its signs of life without a second head")
    func committedStream() throws {
        let answer = try committed([Self.streamHead, "9\r\ndata: 1\n\n\r\n", "0\r\n\r\n"])
        #expect(answer.body == "9\r\ndata: 1\n\n\r\n0\r\n\r\n" && !answer.isClosing)
        #expect(answer.records.map(\.status) == [200])
    }

    @Test("a stream with another framing follows in chunks", arguments: [true, false])
    func committedOtherFraming(hasLength: Bool) throws {
        let length = hasLength ? "Content-Length: 9\r\n" : ""
        let answer = try committed(
            ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\(length)\r\ndata: 1\n\n"], endsConnection: !hasLength)
        #expect(answer.body == "9\r\ndata: 1\n\n\r\n0\r\n\r\n" && !answer.isClosing)
    }

    @Test("a JSON error is told as an event, and the stream has no proper end", arguments: [1, 10, 1000])
    func committedError(pieceLength: Int) throws {
        let body = #"{"error":{"message":"context too long"}}"#
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        let pieces = (head + body).pieces(of: pieceLength)
        let answer = try committed(pieces)
        #expect(answer.body.contains("data: {\"error\"") && answer.body.contains("A answered 400. context too long"))
        #expect(answer.body.occurrences(of: "data: ") == 1 && !answer.body.contains("\r\n0\r\n\r\n") && answer.isClosing)
        #expect(answer.records.map(\.status) == [400])
    }

    @Test("a whole JSON answer is told as a stream, with a proper end", arguments: [1, 50, 10_000])
    func committedWhole(pieceLength: Int) throws {
        let body = #"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}"#
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        let answer = try committed((head + body).pieces(of: pieceLength))
        #expect(answer.body.contains(#""delta":{"content":"hi"}"#) && answer.body.contains("data: [DONE]\n\n"))
        #expect(answer.body.hasSuffix("\r\n0\r\n\r\n") && !answer.isClosing && answer.records.map(\.status) == [200])
    }

    @Test("a compressed stream is reported, not passed on as text")
    func committedCompressed() throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"
        let answer = try committed([head + "\u{1f}xy"])
        #expect(answer.body.contains("data: {\"error\"") && !answer.body.contains("\u{1f}") && answer.isClosing)
    }

    @Test("an answer that breaks, or none at all, is told as an event")
    func committedBroken() throws {
        let broken = try committed([Self.streamHead, "9\r\ndata: 1\n\n\r\n"], endsConnection: true)
        #expect(broken.body.hasPrefix("9\r\ndata: 1\n\n\r\n") && broken.body.contains("data: {\"error\"") && broken.isClosing)
        let gathered = try committed(["HTTP/1.1 400 X\r\nContent-Length: 10\r\n\r\n{"], endsConnection: true)
        #expect(gathered.body.contains("data: {\"error\"") && gathered.isClosing)
        for answer in [broken, gathered] {
            #expect(!answer.body.contains("\r\n0\r\n\r\n") && !answer.body.contains("HTTP/1.1"))
            #expect(answer.records.count == 1)
        }
    }

    @Test("a failure that is held is told as an event as well")
    func committedFailure() throws {
        let answer = try committed(["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"])
        #expect(answer.body.contains("data: {\"error\"") && answer.body.contains("503") && answer.isClosing)
        #expect(answer.records.map(\.status) == [503])
    }
}
