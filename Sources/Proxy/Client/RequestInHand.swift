import NIOCore
import Routing
import Wire

/// What a client asks for: the request as it was received, and what was found in it. One owner, no copies.
struct RequestInHand: ~Copyable {
    var line = RequestLine.none
    var peer = Peer()
    /// The received head, kept for every attempt until something has gone to the client.
    var headBytes = ByteBuffer()
    /// The client asks for a WebSocket.
    var wantsUpgrade = false
    /// What has come of the body, while it is kept.
    var body = ByteBuffer()
    /// What the last read has brought of a body that is streamed through in chunks.
    var chunk = ByteBuffer()
    /// Bytes of the body's content received so far.
    var bodyCount = 0
    /// The length of the body at which to check next whether it can be streamed through; doubled after each check that says no.
    var nextUploadLook = 0
    var facts = RequestFacts()
}

/// One attempt to have a request answered.
struct Attempt {
    /// The router's name for the request, while it is in the router's books.
    var ticket: Ticket?
    var upstream: UpstreamConnection?
    /// Tells a late dial from the current one.
    var dialNumber = 0
    /// What has come of an answer that is not passed on yet.
    var held: HeldAnswer?

    /// The request is over. Dials that are still under way stay known as late ones.
    mutating func reset() {
        ticket = nil
        upstream = nil
        held = nil
    }
}

/// A head, and what came with it, that has not been passed on yet.
struct HeldAnswer {
    /// It may have ended since.
    var connection: UpstreamConnection
    var head: ByteBuffer
    var rest = ByteBuffer()
}

/// When things happened to the request at hand.
struct Pulse {
    var arrivedAt = Moment.zero
    /// Something came from the server, or the client began to take it again.
    var lastUpstreamByteAt = Moment.zero
    var lastKeepAliveAt = Moment.zero
}
