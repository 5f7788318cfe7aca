/// What llama-server in router mode sends in place of an answer, or of the rest of one, when it has lost the model's process.
///
/// tools/server/server-models.cpp, `server_http_proxy`: with status 500 when no answer had begun; otherwise as one chunk behind what the
/// process had sent, and the body ends as if it were complete. What follows the colon is a text of the HTTP library.
package enum RouterModeError {
    private static let beginning = Array("proxy error: ".utf8)
    private static let notSent = beginning + Array("Could not establish connection".utf8)
    private static let lost = beginning + Array("Failed to read connection".utf8)
    /// The most bytes of such a text.
    package static let longest = 200

    /// The text, if these bytes are one. Nil of nearly everything at the first byte.
    package static func text(in span: RawSpan, _ range: Range<Int>) -> String? {
        guard range.count > beginning.count, range.count <= longest else { return nil }
        return span.withBytes { bytes in
            for (offset, byte) in beginning.enumerated() where bytes[range.lowerBound + offset] != byte { return nil }
            // Nothing that could be the rest of an event which was cut just before these words.
            for index in range {
                switch bytes[index] {
                case 0x20, 0x27...0x2E, 0x30...0x3A, 0x41...0x5A, 0x61...0x7A: break
                default: return nil
                }
            }
            return String(decoding: range.map { bytes[$0] }, as: UTF8.self)
        }
    }

    /// The body of a 500 says that the process ended before it answered: it was stopped to make room for another model just when the request
    /// came, or it died, perhaps of the request.
    package static func isLost(_ body: [UInt8]) -> Bool { body == lost }

    /// The body of a 500 says that no process has received the request: it can be sent again.
    package static func isNotSent(_ body: [UInt8]) -> Bool {
        guard body != notSent else { return true }
        // Two requests wanted to load models at the same moment (`server_models::load`).
        return (try? JSON(parsing: body))?["error"]?["message"] == "model limit reached, try again later"
    }
}
