package import Routing

extension ProxySettings {
    /// How long clients and servers may be silent.
    package struct Timeouts: Sendable {
        /// For a connection to a server, with its TLS handshake.
        package var connect = Interval.seconds(5)
        /// Silence allowed between sending a request and its answer's first byte; nil: as long as the connection lives.
        package var firstByte: Interval?
        /// Silence allowed inside an answer; nil: no limit.
        package var betweenBytes: Interval?
        /// A head has to be complete so long after its first byte.
        package var head = Interval.seconds(10)
        /// A client's connection may be idle so long.
        package var idle = Interval.seconds(180)
        /// At shutdown, so long a kept connection may still bring the request that was on its way.
        package var drainPause = Interval.milliseconds(500)

        package init() {}
    }
}
