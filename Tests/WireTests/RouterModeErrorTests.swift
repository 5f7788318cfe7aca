import Testing

@testable import Wire

@Suite("What llama-server says when it has lost a model's process") struct RouterModeErrorTests {
    private func text(_ text: String, from start: Int = 0) -> String? {
        let bytes = Array(text.utf8)
        return RouterModeError.text(in: bytes.span.bytes, start..<bytes.count)
    }

    @Test(
        "is known by its words",
        arguments: [
            "Failed to read connection", "Could not establish connection", "Connection handling canceled", "Success (no error)",
            "Unsupported HTTP multipart boundary characters",
        ])
    func told(words: String) {
        #expect(text("proxy error: \(words)") == "proxy error: \(words)")
        #expect(text("\n\nproxy error: \(words)", from: 2) == "proxy error: \(words)")
    }

    @Test(
        "is not part of an event",
        arguments: [
            "", "p", "proxy error: ", "proxy error:x", "Proxy error: x", "data: proxy error: x", "proxy error: x\n\n",
            "proxy error: x\"}", "proxy error: {", "proxy error: \u{E9}", "proxy error: \\n",
            "proxy error: " + String(repeating: "x", count: 188),
        ])
    func other(words: String) {
        #expect(text(words) == nil)
    }

    @Test(
        "the process certainly did not get the request when there was no connection to it, or no place for it",
        arguments: [
            ("proxy error: Could not establish connection", true),
            (#"{"error":{"code":500,"message":"model limit reached, try again later","type":"server_error"}}"#, true),
            ("", false),
            ("proxy error: ", false), ("proxy error: Failed to read connection", false),
            ("proxy error: Could not establish connection ", false), (#"{"error":{"message":"model limit reached"}}"#, false),
            (#"{"error":"model limit reached, try again later"}"#, false),
        ])
    func isNotSent(body: String, expected: Bool) {
        #expect(RouterModeError.isNotSent(Array(body.utf8)) == expected)
        #expect(RouterModeError.isLost(Array(body.utf8)) == (body == "proxy error: Failed to read connection"))
    }
}
