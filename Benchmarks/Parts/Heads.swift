import Wire

private let request = Array(
    ("POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: OpenAI/Python 1.99.1\r\nAccept: application/json\r\n"
        + "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n"
        + "Authorization: Bearer sk-no-key-required\r\nX-Stainless-Lang: python\r\nX-Stainless-Async: false\r\n"
        + "X-Stainless-Retry-Count: 0\r\nX-Stainless-Read-Timeout: 600\r\n\r\n").utf8)

func measureHeads() {
    var head = HTTPHead()
    let parsing = nanoseconds(calls: 10_000) {
        var end = HeadEndScanner()
        use(end.scan(request.span.bytes, limit: 1 << 16))
        do { try head.parseRequest(request.span.bytes) } catch { fail("parts: \(error)") }
    }
    report("finding the end of a request head of \(request.count) bytes and parsing it", parsing, "ns")
    var writer = ByteWriter()
    let excluded = FieldSet(.host, .contentLength)
    let writing = nanoseconds(calls: 10_000) {
        writer.reset()
        writer.copyFields(of: head, from: request.span.bytes, except: excluded)
        writer.writeField("X-Request-Id", "0123456789abcd")
        writer.endHead()
    }
    report("writing it anew", writing, "ns")
}
