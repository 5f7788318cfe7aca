import NIOCore
import Routing
import Wire

/// A server's answer while it is forwarded. Its framing is parsed once, and its content is inspected in passing.
struct AnswerInHand {
    /// How the content is used.
    enum Use {
        case forward
        /// The answer cannot be sent into a stream that has begun: it is gathered up to a limit, and told as events of that
        /// stream, or reported as an error.
        case gather([UInt8])
    }

    private static let gatheredBytes = 1 << 20

    private(set) var body: BodyReader
    let streamKind: StreamKind
    private(set) var use: Use
    /// The upstream connection can be reused after the complete answer.
    var keepsUpstream: Bool
    /// The last four bytes of content, the last one lowest. They show whether an event is complete.
    private(set) var lastBytes: UInt32 = 0x0A0A_0A0A
    private(set) var contentCount = 0
    /// The usual gap between the pieces of a stream.
    var pace = StreamPace()

    init(body: BodyReader, streamKind: StreamKind, use: Use, keepsUpstream: Bool) {
        self.body = body
        self.streamKind = streamKind
        self.use = use
        self.keepsUpstream = keepsUpstream
    }

    /// Whether the last event or line is complete, so that the balancer can insert its own event.
    var isBetweenEvents: Bool {
        switch streamKind {
        case .events: endsWithEmptyLine
        case .lines: lastBytes & 0xFF == 0x0A
        case .none: false
        }
    }

    /// Lines end with LF, CR LF or CR (WHATWG HTML section 9.2.5).
    private var endsWithEmptyLine: Bool {
        switch lastBytes & 0xFFFF {
        case 0x0A0A, 0x0D0D: true
        case 0x0D0A: lastBytes == 0x0D0A_0D0A || lastBytes & 0xFF_FFFF == 0x0A_0D0A
        default: false
        }
    }

    /// The server has not stated the length of the body, so the balancer can insert its own events.
    var hasOpenLength: Bool { body.isChunked || body.isUntilClose }

    /// Reads the next piece. Nil when its chunks are malformed. Ends in front of what a router sends when it has lost the model's process.
    mutating func read(_ bytes: ByteBuffer) -> AnswerPiece? {
        var piece = AnswerPiece(bytes: bytes)
        let beganBetweenChunks = body.isChunked && body.isBetweenChunks
        let span = bytes.readableBytesSpan
        reading: while true {
            switch body.next(span, &piece.consumed) {
            case .content(let range):
                if streamKind == .events, let text = RouterModeError.text(in: span, range) {
                    piece.loss = text
                    observe(piece, span)
                    return piece
                }
                piece.content.append(range)
            case .needMore, .finished: break reading
            case .malformed: return nil
            }
        }
        piece.isLast = body.isFinished
        piece.isWholeChunks = beganBetweenChunks && (piece.isLast || body.isBetweenChunks) && !body.hasOddChunks
        if piece.isLast, piece.consumed < bytes.readableBytes { keepsUpstream = false }
        observe(piece, span)
        return piece
    }

    private mutating func observe(_ piece: AnswerPiece, _ span: RawSpan) {
        guard piece.content.byteCount > 0 else { return }
        contentCount += piece.content.byteCount
        piece.content.forEach { range in
            for index in max(range.lowerBound, range.upperBound - 4)..<range.upperBound {
                lastBytes = lastBytes << 8 | UInt32(span.unsafeLoad(fromByteOffset: index, as: UInt8.self))
            }
        }
        guard case .gather(var content) = use else { return }
        use = .forward
        piece.content.forEach { range in
            let room = max(0, Self.gatheredBytes - content.count)
            span.extracting(range).withUnsafeBytes { content.append(contentsOf: $0.prefix(room)) }
        }
        use = .gather(content)
    }

    /// The connection has ended cleanly. True when this is the proper end of the body.
    mutating func connectionEnded() -> Bool { body.connectionEnded() }
}

/// Whether the pieces of an answer's body have a meaning of their own.
enum StreamKind {
    case none
    /// `text/event-stream`
    case events
    /// `application/x-ndjson`
    case lines

    /// The kind according to the head of an answer.
    init(_ head: borrowing HTTPHead, _ bytes: RawSpan) {
        self = .none
        guard let field = head.first(.contentType) else { return }
        let type = bytes.extracting(field.value)
        if type.hasPrefixIgnoringCase(anyOf: ["text/event-stream"]) {
            self = .events
        } else if type.hasPrefixIgnoringCase(anyOf: ["application/x-ndjson"]) {
            self = .lines
        }
    }
}
