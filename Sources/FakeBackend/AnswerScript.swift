import NIOCore

/// What a connection does next while it sends an answer.
enum Step: Equatable {
    case send([UInt8])
    /// Waits until this long after the engine began to work on the request.
    case wait(until: TimeAmount)
    /// Waits from now on.
    case pause(TimeAmount)
    /// Sends nothing more, and leaves the connection open.
    case stall
    /// Ends the connection with RST.
    case reset
    /// Ends the connection with FIN, though the answer is not complete.
    case close
    case finished(keepsConnection: Bool)
}

/// How an answer is sent: requirements of the request and of the connection.
struct Delivery {
    var kind = Behaviour.Kind.llamaServer
    /// A HEAD request: everything but the body.
    var isHeadOnly = false
    /// An HTTP/1.0 client: no chunks.
    var isHTTP10Client = false
    /// The `Origin` of the request, which llama-server repeats.
    var origin = ""
    /// The head says `Connection: close`.
    var announcesClose = false
    /// The connection ends after the answer, whatever the head says.
    var closesAtEnd = false
}

/// An answer as a sequence of steps, changed by a fault. Made lazily: a client that does not read stops the engine.
struct AnswerScript {
    private enum Phase {
        case beginning, body, ending, stalled, over
    }

    private enum Framing {
        case none
        case length(Int)
        case chunked, untilClose
    }

    /// A pause, so that the client has read what was sent before a reset discards it.
    private static let pauseBeforeReset = TimeAmount.milliseconds(5)
    private static let oddSizes = [1, 2, 7, 3, 19, 5, 31]
    private static let oddPause = TimeAmount.microseconds(200)
    private static let fillerPiece = 65_536

    /// Events of the body handed out so far.
    private(set) var eventsSent = 0

    private var answer: Answer
    private let delivery: Delivery
    private let distortion: Distortion
    private let framing: Framing
    private var phase = Phase.beginning
    private var steps = CircularBuffer<Step>()
    private var oddIndex = 0

    init(_ answer: Answer, delivery: Delivery = Delivery(), fault: Fault? = nil) {
        let distortion = Distortion(fault)
        self.answer = distortion.collectsStream ? answer.collected() : answer
        self.delivery = delivery
        self.distortion = distortion
        framing = AnswerScript.framing(of: self.answer, delivery: delivery, distortion: distortion)
        if distortion.breakOff != nil { self.answer.halveFixedBody() }
    }

    mutating func next() -> Step {
        while true {
            if let step = steps.popFirst() { return step }
            switch phase {
            case .beginning: begin()
            case .body: continueBody()
            case .ending: end()
            case .stalled: return .stall
            case .over: return .finished(keepsConnection: !closesAtEnd)
            }
        }
    }

    private var closesAtEnd: Bool {
        if case .untilClose = framing { return true }
        return delivery.closesAtEnd || delivery.announcesClose
    }

    private mutating func begin() {
        if let instead = distortion.insteadOfAnswer { return breakOff(instead) }
        if let status = distortion.informational {
            let early = status == 103 ? "Early Hints\r\nLink: </style.css>; rel=preload" : status == 100 ? "Continue" : "Interim"
            steps.append(.send(Array("HTTP/1.1 \(status) \(early)\r\n\r\n".utf8)))
        }
        if answer.due > .zero { steps.append(.wait(until: answer.due)) }
        let head = Array(headText().utf8)
        if let pause = distortion.headPause {
            steps.append(.send(Array(head[..<(head.count / 2)])))
            steps.append(.pause(pause))
            steps.append(.send(Array(head[(head.count / 2)...])))
        } else {
            steps.append(.send(head))
        }
        phase = delivery.isHeadOnly ? .over : .body
    }

    private mutating func continueBody() {
        if let planned = distortion.breakOff, eventsSent >= planned.events { return breakOff(planned.how) }
        guard let event = answer.nextEvent(fillerPiece: AnswerScript.fillerPiece) else {
            if let planned = distortion.breakOff { return breakOff(planned.how) }
            phase = .ending
            return
        }
        if event.due > .zero { steps.append(.wait(until: event.due)) }
        eventsSent += 1
        append(event.bytes)
    }

    private mutating func end() {
        if case .chunked = framing {
            let trailer = distortion.hasChunkExtensions ? "X-Fake-Trailer: the end\r\n" : ""
            steps.append(.send(Array("0\r\n\(trailer)\r\n".utf8)))
        }
        phase = .over
    }

    private mutating func breakOff(_ how: Distortion.Break) {
        phase = .over
        switch how {
        case .reset:
            steps.append(.pause(AnswerScript.pauseBeforeReset))
            steps.append(.reset)
        case .close: steps.append(.close)
        case .stall: phase = .stalled
        case .end(let bytes):
            guard case .chunked = framing else { return steps.append(.close) }
            append(bytes)
            phase = .ending
        }
    }

    // The body's bytes, framed and cut.

    private mutating func append(_ payload: [UInt8]) {
        switch distortion.cutting {
        case .none: steps.append(.send(framed(payload)))
        case .singleBytes(let pause):
            for byte in framed(payload) {
                steps.append(.send([byte]))
                steps.append(.pause(pause))
            }
        case .odd:
            // Pauses are inside events and inside chunks, never between two events: the end of one event is sent together with
            // the next.
            var isFirst = true
            for chunk in oddParts(payload) {
                for write in oddParts(framed(chunk)) {
                    if !isFirst { steps.append(.pause(AnswerScript.oddPause)) }
                    isFirst = false
                    steps.append(.send(write))
                }
            }
        }
    }

    private mutating func oddParts(_ bytes: [UInt8]) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            parts.append(Array(rest.prefix(AnswerScript.oddSizes[oddIndex % AnswerScript.oddSizes.count])))
            rest = rest.dropFirst(AnswerScript.oddSizes[oddIndex % AnswerScript.oddSizes.count])
            oddIndex += 1
        }
        return parts
    }

    private func framed(_ payload: [UInt8]) -> [UInt8] {
        guard case .chunked = framing else { return payload }
        let extensions = distortion.hasChunkExtensions ? #";part=\#(eventsSent);note="a;b""# : ""
        var bytes = Array("\(String(payload.count, radix: 16))\(extensions)\r\n".utf8)
        bytes.reserveCapacity(bytes.count + payload.count + 2)
        bytes += payload
        bytes += [13, 10]
        return bytes
    }

    // The head.

    private static func framing(of answer: Answer, delivery: Delivery, distortion: Distortion) -> Framing {
        if distortion.isUntilClose { return .untilClose }
        switch answer.body {
        case .none: return answer.status == 204 || answer.status == 304 ? .none : .length(0)
        case .fixed(let bytes): return distortion.hasChunkExtensions ? .chunked : .length(bytes.count)
        case .filler(let count): return .length(count)
        case .halves(let first, let second): return .length(first.count + second.count)
        case .generated: return delivery.isHTTP10Client ? .untilClose : .chunked
        }
    }

    private func headText() -> String {
        var lines = [statusLine]
        switch delivery.kind {
        case .llamaServer: lines += ["Server: llama.cpp", "Access-Control-Allow-Origin: \(delivery.origin)"]
        case .ollama: lines += ["Date: \(WallClock.httpDate)"]
        case .openai: lines += ["date: \(WallClock.httpDate)", "server: uvicorn"]
        }
        lines += answer.fields.map { "\($0.name): \($0.value)" }
        if answer.status != 204, answer.status != 304 { lines.append("Content-Type: \(answer.contentType)") }
        switch framing {
        case .none, .untilClose: break
        case .chunked: lines.append("Transfer-Encoding: chunked")
        case .length(let count):
            switch distortion.length {
            case .right: lines.append("Content-Length: \(count)")
            case .tooLong: lines.append("Content-Length: \(count + 100)")
            case .twice: lines += ["Content-Length: \(count)", "Content-Length: \(count + 1)"]
            }
        }
        if delivery.announcesClose || distortion.isUntilClose {
            lines.append("Connection: close")
        } else if delivery.kind == .llamaServer {
            lines.append("Keep-Alive: timeout=5, max=100")
        }
        switch distortion.headFlaw {
        case .spaceInName: lines.append("X-Spaced : out")
        case .foldedLine: lines += ["X-Folded: one", "  two"]
        case .statusLine, .bareLineFeed, nil: break
        }
        let lineEnd = distortion.headFlaw == .bareLineFeed ? "\n" : "\r\n"
        return lines.joined(separator: lineEnd) + lineEnd + lineEnd
    }

    private var statusLine: String {
        if distortion.headFlaw == .statusLine { return "HTTP/1.1 two hundred" }
        return "HTTP/1.\(distortion.isHTTP10 ? 0 : 1) \(answer.status) \(reasonPhrase(answer.status))"
    }
}

private func reasonPhrase(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 204: "No Content"
    case 304: "Not Modified"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 404: "Not Found"
    case 429: "Too Many Requests"
    case 500: "Internal Server Error"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    default: "Status"
    }
}
