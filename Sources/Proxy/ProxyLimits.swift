extension ProxySettings {
    /// What one client, or one server, may take of memory and connections.
    package struct Limits: Sendable {
        /// Bytes; a longer request body is refused with 413.
        package var body = 256 << 20
        /// Bytes; a longer body of a request for one of our own endpoints is refused with 413.
        static let ownBody = 64 << 10
        /// Bytes; a longer body is streamed through instead of kept, once it is known where to, and not retried.
        package var retryBody = 32 << 20
        /// Bytes; a longer request head is refused with 431.
        package var header = 64 << 10
        /// Connections to one server that one loop keeps for a next request.
        package var idleUpstream = 4096
        /// Streams that may go on in one loop after their clients have left; past it, they end with their clients.
        package var detachedStreams = 64

        package init() {}
    }
}
