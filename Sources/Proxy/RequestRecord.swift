package import Routing
import Wire

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
    package func write(into line: inout [UInt8]) {
        var members: [JSON.Member] = []
        func add(_ name: String, _ value: JSON) { members.append(.init(name: name, value: value)) }
        func rounded(_ milliseconds: Double) -> JSON { JSON((milliseconds * 1000).rounded() / 1000) }
        add("time", .string(UTCTimestamp.text(milliseconds: startedAt)))
        add("id", .string(requestID))
        add("client", .string(address))
        if let username { add("user", .string(username)) }
        add("method", .string(method))
        add("path", .string(path))
        if let model { add("model", .string(model)) }
        if let instance { add("instance", .string(instance)) }
        if let server { add("server", .string(server)) }
        add("status", JSON(status))
        add("ending", .string(ending.rawValue))
        add("attempts", JSON(attempts))
        add("queued_ms", rounded(queuedMilliseconds))
        if let firstByteMilliseconds { add("first_byte_ms", rounded(firstByteMilliseconds)) }
        add("total_ms", rounded(totalMilliseconds))
        add("bytes_in", JSON(bytesReceived))
        add("bytes_out", JSON(bytesSent))
        if let timings {
            add("prompt_tokens", JSON(timings.promptTokens))
            if let cachedTokens { add("cached_tokens", JSON(cachedTokens)) }
            add("output_tokens", JSON(timings.predictedTokens))
        }
        JSON.object(members).write(into: &line)
        line.append(0x0A)
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
