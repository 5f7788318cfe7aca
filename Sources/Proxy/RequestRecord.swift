package import Routing
package import Wire

/// What is remembered of a request once it is over: for the access log and the statistics. Never prompt or answer text.
///
/// What was asked for, by whom, and who answered is not copied: the record refers to the values in which it stands.
///
/// Not copyable, so that nobody pays for copies by accident.
package struct RequestRecord: ~Copyable, Sendable {
    package var requestID = ""
    /// Milliseconds since 1970 at its arrival.
    package var startedAt = 0
    var line = RequestLine.none
    /// Of the connection, which may be a proxy's.
    var peerAddress = ""
    /// As the router was told; nil before it is asked.
    var traits: RequestTraits?
    /// The latest attempt's; nil before the first.
    var grant: Grant?
    /// As sent to the client; 499 when it left before any.
    package var status = 0
    package var ending = Ending.complete
    package var queuedMilliseconds = 0.0
    /// From arrival to the first byte sent; nil when there was none.
    package var firstByteMilliseconds: Double?
    package var totalMilliseconds = 0.0
    package var bytesReceived = 0
    package var bytesSent = 0
    package var timings: Timings?
    package var cachedTokens: Int?

    package enum Ending: Sendable {
        case complete
        case clientGone
        /// The server broke in the middle of its answer.
        case upstreamBroke
        case refused

        var name: StaticString {
            switch self {
            case .complete: "complete"
            case .clientGone: "client_gone"
            case .upstreamBroke: "upstream_broke"
            case .refused: "refused"
            }
        }
    }

    package init() {}

    package var address: String { traits?.address ?? peerAddress }
    package var username: String? { traits?.username }
    package var model: String? { traits?.model }
    /// The instance of the model that was asked for, where that is not the model itself.
    package var instance: String? { grant?.model }
    package var server: String? { grant?.serverName }
    package var attempts: Int { grant?.attempt ?? 0 }

    /// Appends the record as one line of JSON.
    package borrowing func write(into text: inout ByteWriter, _ clock: inout ClockText) {
        text.write("{\"time\":\"")
        clock.write(milliseconds: startedAt, into: &text)
        text.write("\"")
        text.write(",\"id\":", string: requestID)
        text.write(",\"client\":", string: address)
        text.write(",\"user\":", string: username)
        text.write(",\"method\":", string: line.method)
        text.write(",\"path\":", string: line.path)
        text.write(",\"model\":", string: model)
        text.write(",\"instance\":", string: instance)
        text.write(",\"server\":", string: server)
        text.write(",\"status\":", number: status)
        text.write(",\"ending\":\"")
        text.write(ending.name)
        text.write("\"")
        text.write(",\"attempts\":", number: attempts)
        text.write(",\"queued_ms\":", milliseconds: queuedMilliseconds)
        text.write(",\"first_byte_ms\":", milliseconds: firstByteMilliseconds)
        text.write(",\"total_ms\":", milliseconds: totalMilliseconds)
        text.write(",\"bytes_in\":", number: bytesReceived)
        text.write(",\"bytes_out\":", number: bytesSent)
        if let timings {
            text.write(",\"prompt_tokens\":", number: timings.promptTokens)
            text.write(",\"cached_tokens\":", number: cachedTokens)
            text.write(",\"output_tokens\":", number: timings.predictedTokens)
        }
        text.write("}\n")
    }
}

/// Members of the line, each with its name; those that are not known are left out.
extension ByteWriter {
    fileprivate mutating func write(_ name: StaticString, string value: String?) {
        guard let value else { return }
        write(name)
        writeJSON(value)
    }

    fileprivate mutating func write(_ name: StaticString, number value: Int?) {
        guard let value else { return }
        write(name)
        write(value)
    }

    /// With three decimals.
    fileprivate mutating func write(_ name: StaticString, milliseconds value: Double?) {
        guard let value else { return }
        write(name)
        let microseconds = UInt(exactly: (max(0, value) * 1000).rounded()) ?? 0
        writeDecimal(microseconds / 1000, digits: 1)
        write(".")
        writeDecimal(microseconds % 1000, digits: 3)
    }
}

/// Told of every proxied request that is over, on the loop that served it.
package protocol RequestObserver: Sendable {
    func requestEnded(_ record: borrowing RequestRecord)
}

/// Where the access log's lines go. Must not block.
package protocol AccessLogSink: Sendable {
    func write(_ lines: [UInt8])

    /// Lines that could not be written, since the start.
    var droppedLines: Int { get }
}
