import Routing
import Wire

/// The fields in which OpenAI tells clients what is left of their limits. Their clients read them to slow down.
extension KeyStanding {
    func write(into writer: inout ByteWriter) {
        if let requests { Self.write(requests, "-requests: ", into: &writer) }
        if let tokens { Self.write(tokens, "-tokens: ", into: &writer) }
    }

    private static func write(_ amount: Amount, _ unit: StaticString, into writer: inout ByteWriter) {
        write("x-ratelimit-limit", unit, amount.limit, "\r\n", into: &writer)
        write("x-ratelimit-remaining", unit, amount.left, "\r\n", into: &writer)
        // A duration as OpenAI writes it.
        write("x-ratelimit-reset", unit, amount.wholeInSeconds, "s\r\n", into: &writer)
    }

    private static func write(
        _ name: StaticString, _ unit: StaticString, _ value: Int, _ end: StaticString, into writer: inout ByteWriter
    ) {
        writer.write(name)
        writer.write(unit)
        writer.write(value)
        writer.write(end)
    }
}
