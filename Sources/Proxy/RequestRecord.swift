package import Routing
package import Wire

/// What is remembered of a request once it is over: for the access log and the statistics. Never prompt or answer text.
///
/// Not copyable, so that nobody pays for copies of a dozen texts by accident.
package struct RequestRecord: ~Copyable, Sendable {
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

    /// Appends the record as one line of JSON.
    package borrowing func write(into line: inout ByteWriter, _ clock: inout ClockText) {
        line.write("{\"time\":\"")
        clock.write(milliseconds: startedAt, into: &line)
        line.write("\"")
        line.write(",\"id\":", string: requestID)
        line.write(",\"client\":", string: address)
        line.write(",\"user\":", string: username)
        line.write(",\"method\":", string: method)
        line.write(",\"path\":", string: path)
        line.write(",\"model\":", string: model)
        line.write(",\"instance\":", string: instance)
        line.write(",\"server\":", string: server)
        line.write(",\"status\":", number: status)
        line.write(",\"ending\":\"")
        line.write(ending.name)
        line.write("\"")
        line.write(",\"attempts\":", number: attempts)
        line.write(",\"queued_ms\":", milliseconds: queuedMilliseconds)
        line.write(",\"first_byte_ms\":", milliseconds: firstByteMilliseconds)
        line.write(",\"total_ms\":", milliseconds: totalMilliseconds)
        line.write(",\"bytes_in\":", number: bytesReceived)
        line.write(",\"bytes_out\":", number: bytesSent)
        if let timings {
            line.write(",\"prompt_tokens\":", number: timings.promptTokens)
            line.write(",\"cached_tokens\":", number: cachedTokens)
            line.write(",\"output_tokens\":", number: timings.predictedTokens)
        }
        line.write("}\n")
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
