import NIOCore
import Routing
import Wire

/// Everything about the request that a client connection is busy with. Emptied between requests; one owner, no copies.
struct RequestInHand: ~Copyable {
    /// The received head, kept for every attempt until something has gone to the client.
    var headBytes = ByteBuffer()
    var kind = RouteKind.passed
    var dialect = APIDialect.openAI
    var method = ""
    var target = ""
    var isHead = false
    /// The client's side allows another request after this one.
    var keepsAlive = false
    var isHTTP10 = false
    /// The client has said that no other request follows.
    var isLast = false

    var bodyReader: BodyReader?
    var body = ByteBuffer()
    /// Bytes of the body's content received so far.
    var bodyCount = 0
    var upload = Upload.none
    /// Once the body has this length, it is looked at whether it can be streamed through; doubled when it could not.
    var nextUploadLook = 0
    var facts = RequestFacts()
    var isMultipart = false
    /// The client asks for a WebSocket.
    var wantsUpgrade = false
    /// The client left, but its stream goes on at the server: it can be taken up again there (`X-Conversation-Id`).
    var isDetached = false
    /// `X-Conversation-Id`: llama-server's name for a stream that can be taken up again.
    var conversation: String?
    /// An endless `LocalAnswer.events` is being sent.
    var isEventFeed = false

    var ticket: Ticket?
    var grant: Grant?
    var upstream: UpstreamConnection?
    /// Distinguishes a late dial from the current one.
    var dialNumber = 0

    // The answer.
    var answer: AnswerRelay?
    /// A head (and what came with it) that has not been forwarded yet.
    var heldHead: ByteBuffer?
    var heldRest: ByteBuffer?
    var lastUpstreamByteAt = Moment.zero
    /// A 200 and signs of life have gone to the client before any answer: what comes now has to fit into that stream.
    var isCommittedToStream = false
    var lastKeepAliveAt = Moment.zero

    var arrivedAt = Moment.zero
    var record = RequestRecord()
    /// When the request gives up waiting for whatever it waits for.
    var deadline: Moment?
    var deadlineMeaning = DeadlineMeaning.none

    enum DeadlineMeaning {
        case none, head, body, idle, draining, firstByte, betweenBytes, lingering
    }

    /// A body over `limits.retry-body` is not kept but streamed through, once it is known where to.
    enum Upload {
        /// The body is kept.
        case none
        /// The router has been asked; what has come is kept, and no more is read.
        case waiting
        /// What comes goes straight to the server.
        case sending
    }
}

/// How the bytes of one answer go to the client.
struct AnswerRelay {
    /// The framing towards the client.
    enum ClientFraming {
        /// As it came: a length, or no body.
        case asReceived
        case chunked
        /// The content of every read becomes a chunk of its own.
        case rechunked
        /// The answer cannot follow a stream that has begun: it is gathered, and told as an error.
        case gathered
        /// The content alone; the connection's end is the body's.
        case untilClose
    }

    /// The pieces of the body mean something one by one: an event stream or lines.
    var hasEvents: Bool { streamKind != .none }
    /// `text/event-stream`: an error can be told inside.
    var isEventStream: Bool { streamKind == .events }
    /// `application/x-ndjson`, likewise.
    var isLineStream: Bool { streamKind == .lines }
    var reader: BodyReader
    var clientFraming: ClientFraming
    let streamKind: StreamKind
    var keepsUpstream: Bool
    /// The last two content bytes: tells whether an event is complete.
    var lastBytes: (UInt8, UInt8) = (0x0A, 0x0A)
    var contentCount = 0
    /// How regularly the pieces of a stream come.
    var pace = StreamPace()
    /// The content of a `gathered` answer, up to a limit.
    var gathered: [UInt8] = []

    mutating func noteContent(_ span: RawSpan, _ range: Range<Int>) {
        contentCount += range.count
        func byte(_ index: Int) -> UInt8 { span.unsafeLoad(fromByteOffset: index, as: UInt8.self) }
        let last = byte(range.upperBound - 1)
        lastBytes = (range.count > 1 ? byte(range.upperBound - 2) : lastBytes.1, last)
    }
}

/// Whether the pieces of an answer's body mean something one by one.
enum StreamKind {
    case none
    /// `text/event-stream`
    case events
    /// `application/x-ndjson`
    case lines

    /// What the head of an answer says.
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
