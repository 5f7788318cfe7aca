/// What one loop has counted since start. The reader adds up the counters of all loops.
package struct Counters: Sendable, Equatable {
    /// Requests that ended, by the first digit of the status sent (index 0: no status was sent).
    package var requestsByStatusClass = [Int](repeating: 0, count: 6)
    package var clientsGone = 0
    package var answersBroken = 0
    package var retries = 0
    /// Upstream connections opened.
    package var connects = 0
    package var bytesReceived = 0
    package var bytesSent = 0
    package var clientConnections = 0
    package var connectionsAccepted = 0
    /// Clients that did not finish the TLS handshake.
    package var failedHandshakes = 0
    /// Requests with a key that is not known, or cannot be read.
    package var wrongKeys = 0
    /// Streams that continue on their servers although their clients have disconnected.
    package var detachedStreams = 0
    /// Access log lines that could not be written. The log itself counts them, for all loops.
    package var logLinesDropped = 0

    package init() {}

    package static func += (left: inout Counters, right: Counters) {
        for index in left.requestsByStatusClass.indices {
            left.requestsByStatusClass[index] += right.requestsByStatusClass[index]
        }
        left.clientsGone += right.clientsGone
        left.answersBroken += right.answersBroken
        left.retries += right.retries
        left.connects += right.connects
        left.bytesReceived += right.bytesReceived
        left.bytesSent += right.bytesSent
        left.clientConnections += right.clientConnections
        left.connectionsAccepted += right.connectionsAccepted
        left.failedHandshakes += right.failedHandshakes
        left.wrongKeys += right.wrongKeys
        left.detachedStreams += right.detachedStreams
        left.logLinesDropped += right.logLinesDropped
    }
}
