import NIOCore
import Routing
import Wire

/// The current request as received, and the facts found in it. It has one owner and is not copied.
struct RequestInHand: ~Copyable {
    var line = RequestLine.none
    var peer = Peer()
    /// The received head, kept for further attempts until something has been sent to the client.
    var headBytes = ByteBuffer()
    /// The key that the client has shown; nil when none are configured, or the request needs none.
    var key: ClientKey?
    /// The client asks for a WebSocket.
    var wantsUpgrade = false
    /// The received part of the body, while the body is kept.
    var body = ByteBuffer()
    /// The data of the last read, for a body that is streamed in chunks.
    var chunk = ByteBuffer()
    /// Bytes of the body's content received so far.
    var bodyCount = 0
    /// The body length at which to check next whether the body can be streamed. Doubled after each check that fails.
    var nextUploadLook = 0
    var facts = RequestFacts()
}

/// One attempt to get an answer to a request.
struct Attempt {
    /// The router's ticket for the request, while the router knows the request.
    var ticket: Ticket?
    var upstream: UpstreamConnection?
    /// Distinguishes a late dial from the current one.
    var dialNumber = 0
    /// A received answer that is not forwarded yet.
    var held: HeldAnswer?
    /// How often the request was sent to the same server again, because its router had lost the model's process.
    var timesSentAgain = 0

    /// The request is over. Dials still in progress are recognised as late by their number.
    mutating func reset() {
        ticket = nil
        upstream = nil
        held = nil
        timesSentAgain = 0
    }
}

/// A head, and the body bytes received with it, that have not been forwarded yet.
struct HeldAnswer {
    /// The connection may have ended in the meantime.
    var connection: UpstreamConnection
    var head: ByteBuffer
    var rest = ByteBuffer()
    /// How often the request may be sent to the same server again because of this answer (`RouterModeError`).
    var mostSentAgain = 0
}

/// The times of the latest events of the current request.
struct Pulse {
    var arrivedAt = Moment.zero
    /// When the request was sent to the server, and when the answer was first passed on.
    var sentAt = Moment.zero
    var answerBeganAt = Moment.zero
    /// When the server last sent something, or the client last began to read again.
    var lastUpstreamByteAt = Moment.zero
    var lastKeepAliveAt = Moment.zero
    /// The engine does not say how long the prompt took, so the time to the first byte counts as that.
    var isPromptTimedHere = false
}
