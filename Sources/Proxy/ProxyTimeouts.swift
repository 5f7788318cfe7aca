package import Routing

extension ProxySettings {
    /// How long clients and servers may be silent.
    package struct Timeouts: Sendable {
        /// For connecting to a server, including the TLS handshake.
        package var connect = Interval.seconds(5)
        /// The longest silence between sending a request and the first byte of its answer; nil: as long as the connection
        /// lives.
        package var firstByte: Interval?
        /// The longest silence inside an answer; nil: no limit.
        package var betweenBytes: Interval?
        /// The longest time from the first byte of a request head to its end.
        package var head = Interval.seconds(10)
        /// How long a client's connection may be idle.
        package var idle = Interval.seconds(180)
        /// At shutdown, how long a kept connection waits for a request that may already be on its way.
        package var drainPause = Interval.milliseconds(500)

        package init() {}
    }
}
