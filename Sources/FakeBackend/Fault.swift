/// One way to misbehave. As text `name` or `name=value`: in the `X-Fake-Fault` header, in `POST /fake/behaviour`
/// and on fake-llama's command line.
package enum Fault: Equatable, Sendable {
    // The connection.

    /// `refuse`: every connection is reset as soon as it is accepted.
    case refuse
    /// `accept-never`: the port listens, but nothing is accepted or answered any more (a black hole).
    case acceptNever
    /// `read-slow=BYTES`: reads the request at this many bytes per second.
    case readSlow(bytesPerSecond: Int)

    // Instead of an answer.

    /// `reset-before-answer`: RST once the request has arrived.
    case resetBeforeAnswer
    /// `close-before-answer`: FIN once the request has arrived.
    case closeBeforeAnswer
    /// `stall-before-answer`: neither answers nor closes.
    case stallBeforeAnswer

    // In the middle of an answer. A body that is not a stream counts as two events, its halves.

    /// `reset-after-headers`: RST after the head.
    case resetAfterHeaders
    /// `reset-after-events=N`: RST after N events of the stream (or all of them, before the end is marked).
    case resetAfterEvents(Int)
    /// `close-after-events=N`: FIN after N events, without the terminating chunk.
    case closeAfterEvents(Int)
    /// `stall-after-events=N`: silence after N events.
    case stallAfterEvents(Int)
    /// `lose-process-after-events=N`: after N events what llama-server's router mode says when the model's process has died, and then the
    /// end of the body, as if it were complete.
    case loseProcessAfterEvents(Int)

    // Another answer.

    /// `status=CODE`: an error (or any other status) with a JSON body.
    case status(Int)
    /// `context-exceeded`: the 400 of an engine whose context is shorter than the prompt.
    case contextExceeded
    /// `big-answer=BYTES`: a body of this many bytes, sent as fast as the client reads.
    case bigAnswer(bytes: Int)
    /// `no-content`: 204.
    case noContent
    /// `not-modified`: 304.
    case notModified
    /// `gzip`: a compressed body.
    case gzip

    // The right answer in an odd form.

    /// `slow-headers=MS`: half of the head, a pause, the other half.
    case slowHeaders(milliseconds: Int)
    /// `slow-body[=MS]`: one byte at a time with a pause (1 ms) after each.
    case slowBody(milliseconds: Int)
    /// `split-events`: cut at odd places: chunks that break events, writes that break chunks.
    case splitEvents
    /// `wrong-length`: a Content-Length that is 100 bytes too long, then FIN.
    case wrongLength
    /// `two-lengths`: two Content-Length fields that differ.
    case twoLengths
    /// `chunk-extensions`: chunks with extensions, then a trailer.
    case chunkExtensions
    /// `content-length`: a stream is collected and sent with a length.
    case contentLength
    /// `until-close`: no length at all, the end of the connection ends the body.
    case untilClose
    /// `http10`: an HTTP/1.0 answer, until close.
    case http10
    /// `informational=CODE`: 100 or 103 before the real head.
    case informational(Int)
    /// `malformed-head[=FLAW]`.
    case malformedHead(HeadFlaw)

    /// `fail-rate=P[:FAULT]`: with probability P, decided by a seeded generator; `reset-before-answer` unless said otherwise.
    indirect case sometimes(Double, Fault)

    /// The flaw of a malformed head.
    package enum HeadFlaw: String, CaseIterable, Sendable {
        /// `HTTP/1.1 two hundred`.
        case statusLine = "status-line"
        /// Lines that end in LF alone.
        case bareLineFeed = "bare-lf"
        /// A space between field name and colon.
        case spaceInName = "space-in-name"
        /// A field continued on the next line.
        case foldedLine = "folded-line"
    }

    /// Whether the engine should not take a slot at all, because the fault leaves nothing to compute.
    var replacesWork: Bool {
        switch self {
        case .refuse, .acceptNever, .resetBeforeAnswer, .closeBeforeAnswer, .stallBeforeAnswer, .status, .bigAnswer,
            .contextExceeded, .noContent, .notModified, .gzip:
            true
        case .readSlow, .resetAfterHeaders, .resetAfterEvents, .closeAfterEvents, .stallAfterEvents, .loseProcessAfterEvents,
            .slowHeaders, .slowBody,
            .splitEvents, .wrongLength, .twoLengths, .chunkExtensions, .contentLength, .untilClose, .http10, .informational,
            .malformedHead, .sometimes:
            false
        }
    }
}
