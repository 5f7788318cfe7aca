import NIOCore
import Routing
import Wire

/// Runs the exchanges of one client stream, one after another, and carries out what `Exchange` decides.
///
/// `+Request` receives requests and asks the router, `+Attempt` sends requests to servers, `+Answer` forwards answers, `+Own`
/// sends the balancer's own answers, `+Ending` ends and records requests, `+Silence` watches silent streams.
final class ExchangeRunner {
    let loop: LoopContext
    /// The destination of the answer. Its owner replaces it when the client has disconnected.
    var stream: any ClientStream

    var exchange = Exchange()
    var head = HTTPHead()
    var request = RequestInHand()
    var scanner = BodyScanner()
    var attempt = Attempt()
    var answer: AnswerInHand?
    /// The beginning and the end of the current answer, where engines report their work.
    var excerpt = AnswerExcerpt()
    var record = RequestRecord()
    var pulse = Pulse()
    /// Forgotten when the configuration changes.
    var knownKey: KnownKey?
    var deadline = Deadline<Waiting>()
    /// The number of the current request. Distinguishes a late local answer from the current one.
    var requestNumber = 0

    /// What the exchange is waiting for, when there is a time limit.
    enum Waiting: Equatable, Sendable {
        /// The next piece of the request's body.
        case body
        case firstByte
        case nextBytes
        /// The time to send the request to the same server again.
        case anotherTry
        /// The answer to somebody who tries many keys.
        case refusal(ErrorReply)
    }

    /// An event of the exchange.
    enum Event {
        case granted(Ticket, Grant)
        case refused(Ticket, Refusal)
        case failureKept(Ticket)
        case requeued(Ticket)
        case serverLost(Ticket)
        /// An administrator ends the request.
        case cancelled(Ticket)
        case dialled(number: Int, Result<UpstreamConnection, any Error>)
        /// `isStale`: the bytes were sent before the server could have received the request.
        case upstreamRead(UpstreamConnection, ByteBuffer, isStale: Bool)
        case upstreamReadComplete(UpstreamConnection)
        case upstreamWritabilityChanged(UpstreamConnection, Bool)
        /// `error`: nil when the connection was closed with FIN.
        case upstreamEnded(UpstreamConnection, error: String?)
        case answeredHere(number: Int, Result<LocalResponse, any Error>)
        /// The next event of the balancer's own event stream.
        case feed(number: Int, [UInt8])
        case ticked
    }

    init(loop: LoopContext) {
        self.loop = loop
        stream = loop.clients.gone
    }

    /// Handles one event. Only the loop calls this, one event at a time.
    func handle(_ event: consuming Event) {
        switch consume event {
        case .granted(let ticket, let grant): granted(grant, ticket)
        case .refused(let ticket, let refusal): refused(refusal, ticket)
        case .failureKept(let ticket): failureKept(ticket)
        case .requeued(let ticket): requeued(ticket)
        case .serverLost(let ticket): serverLost(ticket)
        case .cancelled(let ticket): cancelled(ticket)
        case .dialled(let number, let result): dialled(number, result)
        case .upstreamRead(let connection, let bytes, let isStale): upstreamRead(connection, bytes, isStale: isStale)
        case .upstreamReadComplete(let connection): if attempt.upstream === connection { stream.flush() }
        case .upstreamWritabilityChanged(let connection, let isWritable):
            if attempt.upstream === connection { upstreamWritabilityChanged(isWritable) }
        case .upstreamEnded(let connection, let error): upstreamEnded(connection, error)
        case .answeredHere(let number, let result): answeredHere(number, result)
        case .feed(let number, let bytes): feed(number, bytes)
        case .ticked: ticked()
        }
    }

    /// Called a few times a second.
    func ticked() {
        switch deadline.expired(at: loop.now) {
        case nil: break
        case .body: refuseReceiving(.init(status: 408, code: "invalid_request", message: "the request was not received in time"))
        case .firstByte, .nextBytes: upstreamTimedOut()
        case .anotherTry: sendAgain()
        case .refusal(let reply): refuse(reply)
        }
        watchForSilence()
    }

    /// Text of the received head.
    func string(_ range: Range<Int>) -> String {
        request.headBytes.getString(at: request.headBytes.readerIndex + range.lowerBound, length: range.count) ?? ""
    }

    /// The text of the first field with that name.
    func value(of name: FieldName) -> String? { head.first(name).map { string($0.value) } }

    // MARK: The client

    /// While the client does not read, its server is not read either, and the server's time limit does not run.
    func clientWritabilityChanged() {
        attempt.upstream?.setReading(stream.isWritable, .clientSlow)
        guard exchange.state == .relaying else { return }
        pulse.lastUpstreamByteAt = loop.now
        expectNextBytes()
    }

    func expectNextBytes() {
        deadline.set(.nextBytes, within: stream.isWritable ? loop.settings.timeouts.betweenBytes : nil, from: loop.now)
    }

    /// The client has disconnected. Its request is cancelled, unless its stream continues on the server (llama-server's
    /// `X-Conversation-Id`), which keeps the answer for a client that resumes it (`GET /v1/stream`).
    func clientLeft() {
        switch exchange.clientLost(mayGoOn: mayGoOn) {
        case .nothing: attempt.reset()
        case .cancel: endRequest(.clientGone)
        case .cancelAndCloseUpstream:
            dropUpstream()
            endRequest(.clientGone)
        case .goOn:
            // The rest of the answer is read and discarded. The request keeps its place on the server until the answer is
            // complete.
            loop.clients.detached[ObjectIdentifier(self)] = self
            loop.counters.clientsGone += 1
            attempt.upstream?.setReading(true, .clientSlow)
            // Before the answer begins, the time limit for the first byte continues to run.
            if exchange.state == .relaying { expectNextBytes() }
        }
    }

    private var mayGoOn: Bool {
        request.facts.stream == true && record.traits?.conversation != nil && record.grant?.resumesStreams == true
            && attempt.upstream != nil && loop.clients.detached.count < loop.settings.limits.detachedStreams
    }

    /// Closes the connection to the server, so that it stops computing.
    func dropUpstream() {
        let upstream = attempt.upstream
        attempt.upstream = nil
        upstream?.close()
    }
}
