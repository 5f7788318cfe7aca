extension ProxySettings {
    /// How much memory and how many connections one client or one server may use.
    package struct Limits: Sendable {
        /// Bytes; a longer request body is refused with 413.
        package var body = 256 << 20
        /// Bytes; a longer body sent to one of the balancer's own endpoints is refused with 413.
        static let ownBody = 64 << 10
        /// Bytes; a longer body is streamed instead of kept as soon as the server is known, and is then not retried.
        package var retryBody = 32 << 20
        /// Bytes; a longer request head is refused with 431.
        package var header = 64 << 10
        /// Idle connections that one loop keeps for reuse, to all servers together.
        package var idleUpstream = 4096
        /// Streams that may continue in one loop after their clients have disconnected. Above this number, a stream ends with
        /// its client.
        package var detachedStreams = 64

        package init() {}
    }
}
