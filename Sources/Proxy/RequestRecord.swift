package import Routing
package import Wire

/// What is remembered of a request once it is over: for the access log and the statistics. Never prompt or answer text.
package struct RequestRecord: Sendable {
    package var requestID = ""
    /// Milliseconds since 1970 at its arrival.
    package var startedAt = 0
    package var address = ""
    package var username: String?
    package var method = ""
    package var path = ""
    package var model: String?
    package var instance: String?
    package var server: String?
    /// As sent to the client; 499 when it left before any.
    package var status = 0
    package var ending = Ending.complete
    package var attempts = 0
    package var queuedMilliseconds = 0.0
    /// From arrival to the first byte sent; nil when there was none.
    package var firstByteMilliseconds: Double?
    package var totalMilliseconds = 0.0
    package var bytesReceived = 0
    package var bytesSent = 0
    package var timings: Timings?
    package var cachedTokens: Int?

    package enum Ending: String, Sendable {
        case complete
        case clientGone = "client_gone"
        /// The server broke in the middle of its answer.
        case upstreamBroke = "upstream_broke"
        case refused
    }

    package init() {}

    /// Appends the record as one line of JSON.
    package func write(into line: inout ByteWriter) {
        line.write("{\"time\":\"")
        UTCTimestamp.write(milliseconds: startedAt, into: &line)
        line.write("\",\"id\":")
        line.writeJSON(requestID)
        line.write(",\"client\":")
        line.writeJSON(address)
        if let username { line.writeMember("user", username) }
        line.writeMember("method", method)
        line.writeMember("path", path)
        if let model { line.writeMember("model", model) }
        if let instance { line.writeMember("instance", instance) }
        if let server { line.writeMember("server", server) }
        line.writeMember("status", status)
        line.writeMember("ending", ending.rawValue)
        line.writeMember("attempts", attempts)
        line.writeMember("queued_ms", milliseconds: queuedMilliseconds)
        if let firstByteMilliseconds { line.writeMember("first_byte_ms", milliseconds: firstByteMilliseconds) }
        line.writeMember("total_ms", milliseconds: totalMilliseconds)
        line.writeMember("bytes_in", bytesReceived)
        line.writeMember("bytes_out", bytesSent)
        if let timings {
            line.writeMember("prompt_tokens", timings.promptTokens)
            if let cachedTokens { line.writeMember("cached_tokens", cachedTokens) }
            line.writeMember("output_tokens", timings.predictedTokens)
        }
        line.write("}\n")
    }
}

/// The members of the log's line after the first.
extension ByteWriter {
    private mutating func writeName(_ name: StaticString) {
        write(",\"")
        write(name)
        write("\":")
    }

    fileprivate mutating func writeMember(_ name: StaticString, _ value: String) {
        writeName(name)
        writeJSON(value)
    }

    fileprivate mutating func writeMember(_ name: StaticString, _ value: Int) {
        writeName(name)
        write(value)
    }

    /// With three decimals.
    fileprivate mutating func writeMember(_ name: StaticString, milliseconds: Double) {
        writeName(name)
        let microseconds = UInt(exactly: (max(0, milliseconds) * 1000).rounded()) ?? 0
        writeDecimal(microseconds / 1000, digits: 1)
        write(".")
        writeDecimal(microseconds % 1000, digits: 3)
    }
}

/// Told of every proxied request that is over, on the loop that served it.
package protocol RequestObserver: Sendable {
    func requestEnded(_ record: RequestRecord)
}

/// Where the access log's lines go. Must not block.
package protocol AccessLogSink: Sendable {
    func write(_ lines: [UInt8])
}
