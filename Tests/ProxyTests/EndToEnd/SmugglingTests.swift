import FakeBackend
import Testing

@Suite("Heads that two parsers could read differently")
struct SmugglingTests {
    static let body = chatBody()
    static let line = "POST /v1/chat/completions HTTP/1.1\r\n"
    static let host = "Host: a\r\n"
    static let length = "Content-Length: \(body.utf8.count)\r\n"

    static let heads: [(what: String, head: String)] = [
        ("Content-Length and Transfer-Encoding", line + host + length + "Transfer-Encoding: chunked\r\n"),
        ("Transfer-Encoding and Content-Length", line + host + "Transfer-Encoding: chunked\r\n" + length),
        ("two lengths that differ", line + host + "Content-Length: 5\r\n" + length),
        ("two lengths that agree", line + host + length + length),
        ("a list of lengths", line + host + "Content-Length: 5, 5\r\n"),
        ("a negative length", line + host + "Content-Length: -1\r\n"),
        ("a length with a plus", line + host + "Content-Length: +5\r\n"),
        ("a hexadecimal length", line + host + "Content-Length: 0x5\r\n"),
        ("an empty length", line + host + "Content-Length: \r\n"),
        ("a length past all numbers", line + host + "Content-Length: 99999999999999999999\r\n"),
        ("an unknown transfer coding", line + host + "Transfer-Encoding: gzip\r\n"),
        ("chunked not last", line + host + "Transfer-Encoding: chunked, gzip\r\n"),
        ("a coding before chunked", line + host + "Transfer-Encoding: gzip, chunked\r\n"),
        ("chunked twice", line + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("chunked with a vertical tab", line + host + "Transfer-Encoding: \u{0b}chunked\r\n"),
        ("a quoted coding", line + host + "Transfer-Encoding: \"chunked\"\r\n"),
        ("chunked in HTTP/1.0", "POST /v1/chat/completions HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n"),
        ("a folded line", line + host + "X-A: b\r\n c\r\n" + length),
        ("a first field that is folded", line + " " + host + length),
        ("a space before the colon", line + host + "Content-Length : 5\r\n"),
        ("a field without a name", line + host + ": x\r\n" + length),
        ("a line without a colon", line + host + "X-A\r\n" + length),
        ("a bare LF", line + host + "X-A: b\nX-B: c\r\n" + length),
        ("a bare CR", line + host + "X-A: b\rX-B: c\r\n" + length),
        ("a NUL", line + host + "X-A: b\u{0}c\r\n" + length),
        ("a control character", line + host + "X-A: b\u{1}c\r\n" + length),
        ("no Host", line + length),
        ("two Hosts", line + host + host + length),
        ("a Host with a user", line + "Host: user@a\r\n" + length),
        ("a Host with a path", line + "Host: a/b\r\n" + length),
        ("an absolute target", "POST http://b/v1/chat/completions HTTP/1.1\r\n" + host + length),
        ("a target that is an authority", "CONNECT b:443 HTTP/1.1\r\n" + host),
        ("a target without a slash", "POST v1/chat/completions HTTP/1.1\r\n" + host + length),
        ("a fragment", "POST /v1/chat/completions#x HTTP/1.1\r\n" + host + length),
        ("a space in the target", "POST /v1/chat completions HTTP/1.1\r\n" + host + length),
        ("two spaces", "POST  /v1/chat/completions HTTP/1.1\r\n" + host + length),
        ("a tab for a space", "POST\t/v1/chat/completions HTTP/1.1\r\n" + host + length),
        ("a lower-case version", "POST /v1/chat/completions http/1.1\r\n" + host + length),
        ("no version", "POST /v1/chat/completions\r\n" + host + length),
        ("something after the version", "POST /v1/chat/completions HTTP/1.1 x\r\n" + host + length),
    ]

    @Test("are refused, nothing is sent on, and the connection is closed", arguments: heads.indices)
    func refused(index: Int) async throws {
        let (what, head) = Self.heads[index]
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            // A request hidden behind it must not be answered.
            try await client.send(head + "\r\n" + Self.body + get("/smuggled"))
            let answer = try await client.answer()
            #expect([400, 505].contains(answer.status), "\(what): \(answer.status)")
            #expect(answer["Connection"] == "close", "\(what)")
            try await client.ended()
            #expect(client.text.isEmpty, "\(what)")
            #expect(try balancer.engine("A").observations.requests.isEmpty, "\(what)")
        }
    }

    @Test(
        "TRACE and CONNECT are 405: an engine that repeats its request would show its own key", arguments: ["TRACE", "CONNECT"])
    func forbiddenMethods(method: String) async throws {
        var setup = Setup()
        setup.servers[0].authorization = "Bearer secret"
        try await withBalancer(setup) { balancer in
            let answer = try await balancer.ask(get("/echo", method: method))
            #expect(answer.status == 405)
            #expect(try balancer.engine("A").observations.received == 0)
        }
    }

    @Test("versions other than 1.0 and 1.1 are 505", arguments: ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/1.10"])
    func versions(version: String) async throws {
        try await withBalancer { balancer in
            let answer = try await balancer.ask("GET / \(version)\r\n\(Self.host)\r\n")
            #expect([400, 505].contains(answer.status))
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }

    @Test(
        "malformed chunks are 400 and the connection is closed",
        arguments: [
            "x\r\n", "-1\r\n", "0x5\r\nhello\r\n", "5\nhello\r\n", "5\r\nhelloX\r\n", "5 5\r\nhello\r\n",
            "FFFFFFFFFFFFFFFFF\r\n", "\r\n", "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        ])
    func chunks(bytes: String) async throws {
        try await withBalancer { balancer in
            let client = try await balancer.connect()
            try await client.send(head("POST", "/v1/chat/completions", ["Transfer-Encoding: chunked"]) + bytes)
            let answer = try await client.answer()
            #expect(answer.status == 400 && answer["Connection"] == "close")
            try await client.ended()
            #expect(try balancer.engine("A").observations.requests.isEmpty)
        }
    }

    @Test("what is odd but means one thing only is accepted")
    func accepted() async throws {
        try await withBalancer { balancer in
            let odd = [
                "\r\n\r\n" + chat(),  // empty lines before a request
                Self.line + "hOsT:a\r\ncontent-LENGTH:\t \(Self.body.utf8.count) \t\r\n\r\n" + Self.body,
                Self.line + Self.host + "Content-Length: 000\(Self.body.utf8.count)\r\nX-Empty:\r\n\r\n" + Self.body,
                Self.line + "Host: [::1]:80\r\n" + Self.length + "\r\n" + Self.body,
            ]
            for request in odd {
                let answer = try await balancer.ask(request)
                #expect(answer.status == 200, "\(request)")
            }
        }
    }
}
