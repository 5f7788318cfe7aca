import NIOCore
import Wire

/// Memory in which a loop writes, used again and again.
struct WriteBuffers: ~Copyable {
    /// For every head that the loop writes.
    var head = ByteWriter()
    /// What goes to a server next; empty between requests.
    private var outbound = ByteBuffer()

    /// The buffer for what goes to a server next, empty. Whoever takes it gives it back.
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
