import NIOCore
import Wire

/// Where the answer to one request goes: the only seam between what is decided about an exchange and how its client is spoken to.
///
/// `ClientHandler` is the one for HTTP/1 connections, `GoneClient` the one for clients that have left. All calls come from the
/// loop of the exchange. Nothing calls back from inside: what the socket does in answer comes as an event of its own.
protocol ClientStream: AnyObject {
    /// Whether the client takes what it is sent. When that changes, the exchange is told.
    var isWritable: Bool { get }
    /// Whether the client can tell a complete answer of unknown length from a broken one.
    var takesOpenAnswers: Bool { get }
    /// Completes when the client has gone.
    var closed: EventLoopFuture<Void> { get }

    /// Passes an interim answer (1xx) on.
    func sendInterim(_ head: borrowing HTTPHead, _ bytes: ByteBuffer)
    /// Passes a server's head on, with fields of ours. `body` says how its body comes, and whether there is one.
    func sendHead(_ head: borrowing HTTPHead, _ bytes: ByteBuffer, body: BodyReader, _ fields: AnswerFields)
    /// Sends a head of our own.
    func sendHead(_ head: OwnHead)
    /// Sends a piece of a server's body.
    func send(_ piece: AnswerPiece)
    /// Sends content of our own.
    func send(_ content: [UInt8])
    /// Everything that has been sent goes out now.
    func flush()
    /// The answer is whole.
    func end()
    /// The answer ends without being whole, visibly. `event`: what is said inside it, where it still can be.
    func breakOff(_ event: [UInt8]?)

    /// No more of the request's body is wanted.
    func stopReceiving()
    /// The client is read from again, or not.
    func setReading(_ isOn: Bool, _ reason: ReadingGate.Reasons)

    /// Passes a server's 101 on; from here on bytes pass as they come.
    func beginTunnel(_ head: borrowing HTTPHead, _ bytes: ByteBuffer, _ fields: AnswerFields)
    func sendThroughTunnel(_ bytes: ByteBuffer)
}

/// Fields of ours in an answer that a server gave.
struct AnswerFields {
    var requestID: String
    /// `X-Balancer-Server` as a line, written once for each server.
    var serverLine: [UInt8]
    /// Sent only when it is not the model that was asked for.
    var instance: String?
    /// Sent only when there was more than one.
    var attempts: Int
    /// Sent only when the request waited.
    var queuedMilliseconds: Double
    var isEventStream: Bool

    func write(into writer: inout ByteWriter) {
        writer.writeField("X-Request-Id", requestID)
        writer.write(serverLine)
        if let instance { writer.writeField("X-Balancer-Model", HeaderText.safe(instance)) }
        if attempts > 1 { writer.writeField("X-Balancer-Attempts", String(attempts)) }
        if queuedMilliseconds > 0 {
            writer.writeField("X-Balancer-Queued-Ms", String(Int(queuedMilliseconds.rounded(.up))))
        }
        if isEventStream { writer.write("X-Accel-Buffering: no\r\n") }
    }

    /// Fields that a server cannot set.
    static let replaced = FieldSet(.requestID, .balancerServer, .balancerModel, .balancerQueued, .balancerAttempts)
    static let replacedInStreams = replaced.union(FieldSet(.accelBuffering))
}

/// The head of an answer of our own.
struct OwnHead {
    enum Body {
        case none
        case length(Int)
        /// Its end is not known yet.
        case open
    }

    var status: Int
    var contentType: String?
    var fields: [(name: String, value: String)] = []
    var body: Body
}

/// A piece of a server's body as it came, with its framing read.
struct AnswerPiece {
    let bytes: ByteBuffer
    /// Where the content lies in it.
    var content = ContentRanges()
    /// So many bytes of it belong to this body.
    var consumed = 0
    /// It consists of whole chunks.
    var isWholeChunks = false
    /// It ends the body.
    var isLast = false
}

/// Parts of a buffer, in order. Nearly always one.
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

/// Text that goes into a header line of ours.
enum HeaderText {
    /// Without control characters.
    static func safe(_ text: String) -> String {
        text.utf8.contains { $0 < 0x20 || $0 == 0x7F }
            ? String(decoding: text.utf8.filter { $0 >= 0x20 && $0 != 0x7F }, as: UTF8.self) : text
    }
}

/// In place of a client that has left: what it is sent is thrown away.
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
