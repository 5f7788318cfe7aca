import Routing
package import Wire

/// The record of a finished request, for the access log and the statistics. It never contains prompt or answer text; `LoggedChain` says
/// what it tells of the prompt.
///
/// The request line, the client and the server are not copied: the record refers to existing values.
///
/// Not copyable, to avoid accidental copies.
package struct RequestRecord: ~Copyable, Sendable {
    package var requestID = ""
    /// Time of arrival, in milliseconds since 1970.
    package var startedAt = 0
    var line = RequestLine.none
    /// Address of the connection's peer, which may be a proxy.
    var peerAddress = ""
    /// The name of the client's key; nil when it has shown none.
    package var keyName: String?
    /// The traits passed to the router; nil before the router is asked.
    var traits: RequestTraits?
    /// The grant of the latest attempt; nil before the first.
    var grant: Grant?
    /// The status sent to the client; 499 when the client disconnected before any was sent.
    package var status = 0
    package var ending = Ending.complete
    package var queuedMilliseconds = 0.0
    /// Milliseconds from arrival to the first byte sent; nil when no byte was sent.
    package var firstByteMilliseconds: Double?
    package var totalMilliseconds = 0.0
    package var bytesReceived = 0
    package var bytesSent = 0
    /// The tokens and times of the answer; nil when nothing is known of them.
    package var usage: AnswerUsage?

    package enum Ending: Sendable {
        case complete
        case clientGone
        /// The server failed in the middle of its answer.
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
    /// What the client calls its session; nil when it is known by its user, key or address only.
    var session: String? {
        guard let traits, traits.client != traits.address, traits.client != traits.username, traits.client != keyName else {
            return nil
        }
        return traits.client
    }
    package var model: String? { traits?.model }
    /// It makes an engine compute.
    package var counts: Bool { traits?.counts ?? false }
    /// The instance that served the request; nil when it is the requested model itself.
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
        text.write(",\"session\":", string: session)
        text.write(",\"key\":", string: keyName)
        text.write(",\"method\":", string: line.method)
        text.write(",\"path\":", string: line.path)
        text.write(",\"model\":", string: model)
        text.write(",\"instance\":", string: instance)
        text.write(",\"server\":", string: server)
        if let priority = grant?.priority, priority != .normal { text.write(",\"priority\":", string: priority.rawValue) }
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
        if let usage {
            text.write(",\"prompt_tokens\":", number: usage.promptTokens)
            text.write(",\"cached_tokens\":", number: usage.cachedTokens)
            text.write(",\"output_tokens\":", number: usage.predictedTokens)
        }
        if let prompt = traits?.prompt { LoggedChain(prompt).write(into: &text) }
        text.write("}\n")
    }
}

/// Writes members of the line with their names. Members with an unknown value are omitted.
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

/// Told of every proxied request that has ended, on the loop that served it.
package protocol RequestObserver: Sendable {
    func requestEnded(_ record: borrowing RequestRecord)
}

/// The destination of the access log's lines. Must not block.
package protocol AccessLogSink: Sendable {
    func write(_ lines: [UInt8])

    /// The number of lines that could not be written since start.
    var droppedLines: Int { get }
}
