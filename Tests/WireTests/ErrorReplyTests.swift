import Testing

@testable import Wire

@Suite("Refusals in the client's own API")
struct ErrorReplyTests {
    private let reply = ErrorReply(status: 429, code: "queue_full", message: "Say \"please\"\nand wait.", retryAfterSeconds: 5)

    @Test("OpenAI: message, type, code and param")
    func openAI() {
        #expect(
            reply.json(.openAI).text
                == #"{"error":{"message":"Say \"please\"\nand wait.","type":"rate_limit_error","#
                + #""code":"queue_full","param":null}}"#
        )
    }

    @Test(
        "OpenAI's type tells whose fault it is",
        arguments: [
            (400, "invalid_request_error"), (404, "invalid_request_error"), (413, "invalid_request_error"),
            (429, "rate_limit_error"), (500, "server_error"), (502, "server_error"), (503, "server_error"), (504, "server_error"),
        ])
    func openAITypes(status: Int, type: String) {
        #expect(ErrorReply(status: status, code: "c", message: "m").json(.openAI)["error"]?["type"]?.stringValue == type)
    }

    @Test(
        "Anthropic: its own types for its own statuses",
        arguments: [
            (400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"), (404, "not_found_error"),
            (413, "request_too_large"), (429, "rate_limit_error"), (502, "api_error"), (503, "overloaded_error"),
            (504, "api_error"),
        ])
    func anthropic(status: Int, type: String) {
        #expect(
            ErrorReply(status: status, code: "c", message: "m").json(.anthropic).text
                == #"{"type":"error","error":{"type":"\#(type)","message":"m"}}"#)
    }

    @Test("Ollama: a text")
    func ollama() {
        #expect(reply.json(.ollama).text == #"{"error":"Say \"please\"\nand wait."}"#)
    }

    @Test(
        "inside a stream it is one event of the API, whatever its message",
        arguments: [
            (APIDialect.openAI, "data: ", "\n\n"), (.anthropic, "event: error\ndata: ", "\n\n"), (.ollama, "", "\n"),
        ])
    func events(dialect: APIDialect, start: String, end: String) throws {
        let text = String(decoding: reply.streamEvent(dialect), as: UTF8.self)
        #expect(text == start + reply.json(dialect).text + end)
        #expect(!text.dropFirst(start.count).dropLast(end.count).contains { $0.isNewline })
    }

    @Test(
        "every status that is sent has its words",
        arguments: [
            (200, "OK"), (204, "No Content"), (400, "Bad Request"), (403, "Forbidden"), (404, "Not Found"),
            (405, "Method Not Allowed"), (413, "Content Too Large"), (422, "Unprocessable Content"), (429, "Too Many Requests"),
            (431, "Request Header Fields Too Large"), (502, "Bad Gateway"), (503, "Service Unavailable"),
            (504, "Gateway Timeout"),
        ])
    func reasons(status: Int, words: String) {
        #expect(HTTPStatus.reason(status).description == words)
    }

    @Test("a status without words of its own still has some", arguments: [0, -1, 299, 999, Int.max])
    func otherReasons(status: Int) {
        #expect(!HTTPStatus.reason(status).description.isEmpty)
    }
}
