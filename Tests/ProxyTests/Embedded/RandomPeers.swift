import NIOCore
import Wire

@testable import Proxy

/// A client that sends random requests, and what it may be answered.
final class RandomClient {
    struct Request {
        var id: String
        var isHead = false
        /// Its head can be read, so that the answer is about it.
        var isValid = true
    }

    let socket: EmbeddedSocket
    private(set) var requests: [Request] = []
    /// What it has not sent yet.
    private(set) var unsent: [UInt8] = []

    init(_ socket: EmbeddedSocket) { self.socket = socket }

    func add(id: String, _ random: inout SplitMix64) {
        var request = Request(id: id)
        var fields = ["X-Request-Id: \(id)"]
        if random.below(6) == 0 { fields.append("X-Conversation-Id: \(id)") }
        if random.below(10) == 0 { fields.append("Connection: close") }
        let kind = random.below(24)
        var text =
            switch kind {
            case 0...7:
                chat(stream: random.below(3) > 0, content: String(repeating: "c", count: random.below(300)), fields: fields)
            case 8, 9: get("/v1/files", fields: fields)
            case 10: get("/v1/files", method: "HEAD", fields: fields)
            case 11: get("/llmhealth?id=\(id);", fields: fields)
            case 12: get("/metrics", fields: fields)
            case 13, 14: post("/v1/files", String(repeating: "u", count: random.below(1500)), fields: fields)
            case 15: chunked("/v1/completions", chatBody(), sizes: [1 + random.below(50)], fields: fields)
            case 16: head("GET", "/v1/files", fields + ["Connection: Upgrade", "Upgrade: websocket"])
            case 17: get(random.below(3) == 0 ? "/llmhealth-monitor/events" : "/upstream/B/props", fields: fields)
            case 18: chat(stream: true, fields: fields + ["Expect: 100-continue"])
            case 19: post("/v1/files", String(repeating: "t", count: 5000), fields: fields)
            case 20: head("POST", "/v1/chat/completions", fields + ["Transfer-Encoding: chunked"]) + "5\r\n{\"a\":x\r\n"
            case 21: post("/v1/chat/completions", "{\"model\":", fields: fields)
            case 22: "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
            default: "GET /" + String(repeating: "h", count: 3000) + " HTTP/1.1\r\nHost: a\r\n\r\n"
            }
        request.isHead = kind == 10
        request.isValid = kind < 22
        if random.below(8) == 0 {
            text = text.replacing("HTTP/1.1", with: "HTTP/1.0")
            // There are no chunks in HTTP/1.0.
            if kind == 15 || kind == 20 { request.isValid = false }
        }
        requests.append(request)
        unsent += Array(text.utf8)
    }

    func takeUnsent(_ count: Int) -> [UInt8] {
        defer { unsent.removeFirst(min(count, unsent.count)) }
        return Array(unsent.prefix(count))
    }

    /// What is wrong with the answers that it has got; nil when nothing is.
    func problem() -> String? {
        var bytes = socket.sentBytes
        for request in requests {
            var isFinal = false
            while !isFinal {
                guard let (answer, length) = AnswerParser.parse(bytes, toHead: request.isHead, hasEnded: false) else {
                    return foreign(String(decoding: bytes, as: UTF8.self), request)
                }
                // Where the head could not be read, the id is one of ours.
                if let id = answer["X-Request-Id"], request.isValid, id.hasPrefix("r"), id != request.id {
                    return "got the answer to \(id), not \(request.id)"
                }
                if answer.status == 101 { return foreign(String(decoding: bytes, as: UTF8.self), request) }
                if let problem = foreign(String(decoding: bytes[..<length], as: UTF8.self), request) { return problem }
                isFinal = answer.status >= 200
                bytes.removeFirst(length)
            }
        }
        return bytes.isEmpty ? nil : "got more than was asked for: \(String(decoding: bytes, as: UTF8.self))"
    }

    /// Servers put the request's id into what they send.
    private func foreign(_ text: String, _ request: Request) -> String? {
        var rest = text[...]
        while let start = rest.firstRange(of: "id=")?.upperBound {
            rest = rest[start...]
            let id = rest.prefix { $0 != ";" && !$0.isNewline }
            guard request.id.hasPrefix(id) else { return "\(request.id) got bytes for \(id): \(text)" }
        }
        return nil
    }
}

/// A connection to a server that answers each request with something random.
final class RandomServer {
    let socket: EmbeddedSocket
    /// What it has not said yet.
    private(set) var unsent: [UInt8] = []
    /// What it says would be taken for the answer to a later request if it came in two pieces.
    private var comesAtOnce = false
    private var isTunnel = false
    /// It closes behind that.
    private(set) var closesBehind = false
    private var looked = 0
    private var body: BodyReader?

    init(_ socket: EmbeddedSocket) { self.socket = socket }

    /// It has a request to answer.
    var isBusy: Bool { !unsent.isEmpty || closesBehind }

    /// Looks at what has come, and thinks of answers. Returns what is wrong with it; nil when nothing is.
    func look(_ random: inout SplitMix64, isKind: Bool = false) -> String? {
        guard !isTunnel, looked < socket.sentBytes.count else { return nil }
        var new = ByteBuffer(bytes: socket.sentBytes[looked...])
        while new.readableBytes > 0 {
            if var reader = body {
                var position = 0
                reading: while true {
                    switch reader.next(new.readableBytesSpan, &position) {
                    case .content: continue
                    case .needMore, .finished: break reading
                    case .malformed: return "the request's body is malformed: \(socket.sent)"
                    }
                }
                new.moveReaderIndex(forwardBy: position)
                looked += position
                body = reader.isFinished ? nil : reader
                if body != nil { break }
                continue
            }
            var scanner = HeadEndScanner()
            switch scanner.scan(new.readableBytesSpan, limit: 1 << 20) {
            case .needMore: return nil
            case .refused(let problem): return "the request's head is refused: \(problem)"
            case .complete(let length):
                guard let headBytes = new.readSlice(length: length) else { return nil }
                looked += length
                if let problem = answer(headBytes, &random, isKind: isKind) { return problem }
            }
        }
        return nil
    }

    private func answer(_ headBytes: ByteBuffer, _ random: inout SplitMix64, isKind: Bool) -> String? {
        let text = String(buffer: headBytes)
        var head = HTTPHead()
        do { try head.parseRequest(headBytes.readableBytesSpan) } catch { return "the request is malformed: \(text)" }
        let reader = BodyReader(request: head)
        body = reader.isFinished ? nil : reader
        guard !isBusy else { return "a second request came before the first was answered: \(socket.sent)" }
        let id = text.firstRange(of: "X-Request-Id: ").map { String(text[$0.upperBound...].prefix { !$0.isNewline }) } ?? ""
        var answer = ""
        defer { unsent = Array(answer.utf8) }
        comesAtOnce = false
        let content = "id=\(id);"
        let length = "Content-Length: \(content.utf8.count)\r\n\r\n\(content)"
        let chunk = "\(String(content.utf8.count, radix: 16))\r\n\(content)\r\n"
        let event = "data: \(content)\n\n"
        let eventChunk = "\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n"
        let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        if text.hasPrefix("HEAD ") {
            answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
            return nil
        }
        switch isKind ? 0 : random.below(20) {
        case 0...3: answer = "HTTP/1.1 200 OK\r\n" + length
        case 4...6: answer = events + "Transfer-Encoding: chunked\r\n\r\n" + eventChunk + eventChunk + "0\r\n\r\n"
        case 7: (answer, closesBehind) = (events + "\r\n" + event + event, true)
        case 8: answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk + "0\r\nX-Trailer: 1\r\n\r\n"
        case 9, 10: answer = "HTTP/1.1 503 Busy\r\n" + length
        case 11: answer = "HTTP/1.1 204 No Content\r\n\r\n"
        case 12: answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
        case 13: answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + "zz\r\n"
        case 14: (answer, closesBehind) = ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + content, true)
        case 15: answer = "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n" + length
        case 16:
            isTunnel = true
            answer = "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + content
        case 17:
            let rest = String(repeating: "x", count: 20_000 - content.utf8.count)
            answer = "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + content + rest
        case 18: answer = "HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\n" + length
        default:
            comesAtOnce = true
            answer = "HTTP/1.1 200 OK\r\n" + length + "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nid=sur;"
        }
        return nil
    }

    /// - Parameter count: bytes at most, unless what there is has to come at once.
    func takeUnsent(_ count: Int) -> [UInt8] {
        let taken = comesAtOnce ? unsent.count : min(count, unsent.count)
        defer { unsent.removeFirst(taken) }
        return Array(unsent[..<taken])
    }

    func closedBehind() { closesBehind = false }
}
