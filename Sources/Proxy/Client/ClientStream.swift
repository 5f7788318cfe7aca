import NIOCore
import Routing
import Wire

/// The destination of one request's answer. This is the only interface between the decisions about an exchange and the
/// client's protocol.
///
/// `ClientHandler` implements it for HTTP/1 connections, `GoneClient` for clients that have disconnected. All calls come from
/// the exchange's loop. The methods never call back into the exchange: what the socket does in response arrives as a separate
/// event.
protocol ClientStream: AnyObject {
    /// Whether the client's socket can take more data. The exchange is told when this changes.
    var isWritable: Bool { get }
    /// Whether the client can tell a complete answer of unknown length from a truncated one.
    var takesOpenAnswers: Bool { get }
    /// Completes when the client has disconnected.
    var closed: EventLoopFuture<Void> { get }

    /// Forwards an interim answer (1xx).
    func sendInterim(_ head: borrowing HTTPHead, _ bytes: ByteBuffer)
    /// Forwards a server's head with the balancer's additional fields. `body` describes the framing of the body, and whether
    /// there is a body.
    func sendHead(_ head: borrowing HTTPHead, _ bytes: ByteBuffer, body: BodyReader, _ fields: AnswerFields)
    /// Sends a head made by the balancer.
    func sendHead(_ head: OwnHead)
    /// Sends a piece of a server's body.
    func send(_ piece: AnswerPiece)
    /// Sends content made by the balancer.
    func send(_ content: [UInt8])
    /// Writes all sent data to the socket now.
    func flush()
    /// The answer is complete.
    func end()
    /// Ends an incomplete answer in a way that the client notices. `event`: sent inside the answer if that is still possible.
    func breakOff(_ event: [UInt8]?)

    /// The rest of the request's body is not wanted.
    func stopReceiving()
    /// Turns reading from the client on or off, for the given reason.
    func setReading(_ isOn: Bool, _ reason: ReadingGate.Reasons)

    /// Forwards a server's 101. From here on, bytes are forwarded unchanged.
    func beginTunnel(_ head: borrowing HTTPHead, _ bytes: ByteBuffer, _ fields: AnswerFields)
    func sendThroughTunnel(_ bytes: ByteBuffer)
}

/// Fields that the balancer adds to a server's answer.
struct AnswerFields {
    var requestID: String
    /// The complete `X-Balancer-Server` line, built once for each server.
    var serverLine: [UInt8]
    /// Sent only when it differs from the requested model.
    var instance: String?
    /// Sent only when there was more than one attempt.
    var attempts: Int
    /// Sent only when the request waited.
    var queuedMilliseconds: Double
    /// What the server should have found in its cache; nil when nothing is known of the prompt.
    var cache: CacheForecast?
    /// What the client's key has left; nil when it has no limits.
    var standing: KeyStanding?
    var isEventStream: Bool
    /// Whether pages of other origins may read the answer; nil: what the server says is forwarded.
    var crossOrigin: [(name: String, value: String)]?

    func write(into writer: inout ByteWriter) {
        writer.writeField("X-Request-Id", requestID)
        writer.write(serverLine)
        if let instance { writer.writeField("X-Balancer-Model", HeaderText.safe(instance)) }
        if attempts > 1 { writer.writeField("X-Balancer-Attempts", String(attempts)) }
        if queuedMilliseconds > 0 {
            writer.writeField("X-Balancer-Queued-Ms", String(Int(queuedMilliseconds.rounded(.up))))
        }
        if let cache {
            writer.write("X-Balancer-Cache: ")
            writer.write(cache.result.name)
            writer.write("; tokens=")
            writer.write(cache.tokens)
            writer.write("\r\n")
        }
        standing?.write(into: &writer)
        for field in crossOrigin ?? [] {
            writer.write(field.name)
            writer.write(": ")
            writer.write(field.value)
            writer.write("\r\n")
        }
        if isEventStream { writer.write("X-Accel-Buffering: no\r\n") }
    }

    /// Fields that the balancer sets; a server's values are removed.
    var replaced: FieldSet {
        var replaced = isEventStream ? Self.replacedInStreams : Self.replaced
        if standing != nil { replaced = replaced.union(FieldSet(.rateLimit)) }
        return crossOrigin == nil ? replaced : replaced.union(FieldSet(.crossOrigin))
    }

    static let replaced = FieldSet(
        .requestID, .balancerServer, .balancerModel, .balancerQueued, .balancerAttempts, .balancerCache)
    private static let replacedInStreams = replaced.union(FieldSet(.accelBuffering))
}

extension CacheForecast.Result {
    fileprivate var name: StaticString {
        switch self {
        case .hit: "hit"
        case .miss: "miss"
        case .moved: "moved"
        }
    }
}

/// The head of an answer made by the balancer.
struct OwnHead {
    enum Body {
        case none
        case length(Int)
        /// The end of the body is not known yet.
        case open
    }

    var status: Int
    var contentType: String?
    var fields: [(name: String, value: String)] = []
    var body: Body
}

/// A piece of a server's body as received, with its framing parsed.
struct AnswerPiece {
    let bytes: ByteBuffer
    /// The ranges of the content in `bytes`.
    var content = ContentRanges()
    /// The number of bytes that belong to this body.
    var consumed = 0
    /// The piece consists of whole chunks.
    var isWholeChunks = false
    /// The piece ends the body.
    var isLast = false
    /// The answer breaks behind this piece: what the server says instead of the rest.
    var loss: String?
}

/// Parts of a buffer, in order. Nearly always a single part.
struct ContentRanges {
    private(set) var first: Range<Int>?
    private var others: [Range<Int>] = []
    private(set) var byteCount = 0

    var last: Range<Int>? { others.last ?? first }

    mutating func append(_ range: Range<Int>) {
        byteCount += range.count
        if first == nil { first = range } else { others.append(range) }
    }

    func forEach(_ body: (Range<Int>) -> Void) {
        if let first { body(first) }
        for range in others { body(range) }
    }
}

/// Text for a header line that the balancer writes.
enum HeaderText {
    /// Removes control characters.
    static func safe(_ text: String) -> String {
        text.utf8.contains { $0 < 0x20 || $0 == 0x7F }
            ? String(decoding: text.utf8.filter { $0 >= 0x20 && $0 != 0x7F }, as: UTF8.self) : text
    }
}

/// Replaces a client that has disconnected. Everything sent to it is discarded.
final class GoneClient: ClientStream {
    let closed: EventLoopFuture<Void>

    init(eventLoop: any EventLoop) { closed = eventLoop.makeSucceededVoidFuture() }

    var isWritable: Bool { true }
    var takesOpenAnswers: Bool { false }
    func sendInterim(_ head: borrowing HTTPHead, _ bytes: ByteBuffer) {}
    func sendHead(_ head: borrowing HTTPHead, _ bytes: ByteBuffer, body: BodyReader, _ fields: AnswerFields) {}
    func sendHead(_ head: OwnHead) {}
    func send(_ piece: AnswerPiece) {}
    func send(_ content: [UInt8]) {}
    func flush() {}
    func end() {}
    func breakOff(_ event: [UInt8]?) {}
    func stopReceiving() {}
    func setReading(_ isOn: Bool, _ reason: ReadingGate.Reasons) {}
    func beginTunnel(_ head: borrowing HTTPHead, _ bytes: ByteBuffer, _ fields: AnswerFields) {}
    func sendThroughTunnel(_ bytes: ByteBuffer) {}
}
