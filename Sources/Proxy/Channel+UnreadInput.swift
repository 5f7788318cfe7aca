import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension Channel {
    /// Whether the kernel holds input that has not been read yet: bytes or the peer's end of stream; on a listener, a client
    /// that waits to be accepted. Must be called on the channel's loop. False for channels that are not sockets.
    var hasUnreadInput: Bool {
        let found = try? pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { handle in
            var request = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
            return poll(&request, 1, 0) > 0
        }
        return found == true
    }
}
