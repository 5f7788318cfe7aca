import NIOCore
import Wire

/// A loop's reusable write buffers.
struct WriteBuffers: ~Copyable {
    /// For every head that the loop writes.
    var head = ByteWriter()
    /// The next data for a server; empty between requests.
    private var outbound = ByteBuffer()

    /// Takes the empty buffer for data to a server. The caller must give it back.
    mutating func takeOutbound() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &outbound)
        return taken
    }

    mutating func giveBackOutbound(_ bytes: consuming ByteBuffer) {
        bytes.clear()
        outbound = bytes
    }
}
