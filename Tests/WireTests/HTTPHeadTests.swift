import Testing

@testable import Wire

@Suite("Request heads")
struct HTTPHeadTests {
    static func request(_ text: String) throws(HeadProblem) -> HTTPHead {
        var head = HTTPHead()
        try head.parseRequest(Array(text.utf8).span.bytes)
        return head
    }

    /// A request whose fields, besides Host, are these lines.
    private func fields(_ lines: String...) throws(HeadProblem) -> HTTPHead {
        try Self.request("POST /x HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n")
    }

    private func problem(_ text: String) -> HeadProblem? {
        do throws(HeadProblem) {
            _ = try Self.request(text)
            return nil
        } catch {
            return error
        }
    }

    @Test("are read as ranges of the received bytes")
    func ranges() throws {
        let text = "POST /v1/chat?x=%20 HTTP/1.1\r\nHost: example.com:8080\r\nX-Odd!:\t  two words \t\r\nEmpty:\r\n\r\n"
        let bytes = Array(text.utf8)
        let head = try Self.request(text)
        func string(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        #expect(string(head.method) == "POST")
        #expect(string(head.target) == "/v1/chat?x=%20")
        #expect(head.minorVersion == 1)
        #expect(head.fields.map { string($0.name) } == ["Host", "X-Odd!", "Empty"])
        #expect(head.fields.map { string($0.value) } == ["example.com:8080", "two words", ""])
        #expect(head.fields.map(\.known) == [.host, .other, .other])
        #expect(head.first(.host).map { string($0.value) } == "example.com:8080")
        #expect(head.first(.via) == nil)
        #expect(string(head.fieldsStart..<head.fieldsEnd).hasPrefix("Host:"))
        #expect(head.fieldsEnd == bytes.count - 2)
        #expect(head.fields.map(\.lineEnd).last == head.fieldsEnd)
    }

    @Test(
        "of these shapes are accepted",
        arguments: [
            "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "M-SEARCH /a//b/../c HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\n", "GET /?q=a\"b|c{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a_b.c~d\r\nA: \u{e9}\r\n\r\n",
        ])
    func accepted(text: String) {
        #expect(problem(text) == nil)
    }

    @Test(
        "of these shapes are refused, each for its reason",
        arguments: [
            ("", .badRequestLine), ("\r\n", .badRequestLine), ("GET\r\n\r\n", .badRequestLine),
            ("GET /\r\n\r\n", .badRequestLine),
            (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine), ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
            ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine), ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .badRequestLine), ("GET /\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
            ("\(String(repeating: "M", count: 33)) / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
            ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget), ("GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget), ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget),
            ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", .methodNotAllowed),
            ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", .methodNotAllowed),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget), ("GET x HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget),
            ("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .unsupportedVersion),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", .unsupportedVersion),
            ("GET / http/1.1\r\nHost: a\r\n\r\n", .unsupportedVersion), ("GET / \r\nHost: a\r\n\r\n", .unsupportedVersion),
            ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", .unsupportedVersion), ("GET / HTTP/1", .unsupportedVersion),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", .badFieldName), ("GET / HTTP/1.1\r\n: a\r\n\r\n", .badFieldName),
            ("GET / HTTP/1.1\r\nHost\r\n\r\n", .badFieldName), ("GET / HTTP/1.1\r\nHo(st: a\r\n\r\n", .badFieldName),
            ("GET / HTTP/1.1\r\nH\u{f6}st: a\r\n\r\n", .badFieldName),
            ("GET / HTTP/1.1\r\nHost: a\u{1}\r\n\r\n", .badFieldValue),
            ("GET / HTTP/1.1\r\nHost: a\u{7f}\r\n\r\n", .badFieldValue),
            ("GET / HTTP/1.1\r\nHost: a", .badFieldValue), ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", .badFieldValue),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", .foldedField), ("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", .foldedField),
            ("GET / HTTP/1.1\r\n\r\n", .missingHost), ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .badHost),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .badHost), ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", .badHost),
            ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", .badHost), ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", .badHost),
        ] as [(String, HeadProblem)])
    func refused(text: String, expected: HeadProblem) {
        #expect(problem(text) == expected)
    }

    @Test("have a host of the characters of names and addresses, whatever else may stand in a value")
    func hostCharacters() {
        let allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]%~"
        for byte in UInt8(0x21)...0x7E {
            let character = Character(Unicode.Scalar(byte))
            let text = "GET / HTTP/1.1\r\nHost: a\(character)b\r\n\r\n"
            #expect(problem(text) == (allowed.contains(character) ? nil : .badHost), "\(character)")
        }
    }

    @Test("have a target of visible ASCII without a fragment, wherever the other byte stands", arguments: 0..<20)
    func targetCharacters(position: Int) {
        for byte in UInt8(0x01)...0x7F where byte != 0x20 {
            let target = "/" + String(repeating: "a", count: position) + String(Unicode.Scalar(byte)) + "aaa"
            let expected: HeadProblem? =
                switch byte {
                case ..<0x20: .badRequestLine
                case 0x23, 0x7F: .badTarget
                default: nil
                }
            #expect(problem("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n") == expected, "\(byte) in \(target)")
        }
    }

    @Test("say how their body ends")
    func framing() throws {
        #expect(try fields().framing == .unstated)
        #expect(try fields("Content-Length: 0").framing == .length(0))
        #expect(try fields("content-length:\t 42 ").framing == .length(42))
        #expect(try fields("Content-Length: 0042").framing == .length(42))
        #expect(try fields("Transfer-Encoding: chunked").framing == .chunked)
        #expect(try fields("transfer-encoding: Chunked").framing == .chunked)
        #expect(try fields("Content-Length: 999999999999999999").framing == .length(999_999_999_999_999_999))
    }

    @Test(
        "are refused when two readers could see different bodies",
        arguments: [
            (["Content-Length: 1", "Content-Length: 1"], .repeatedContentLength),
            (["Content-Length: 1", "Content-Length: 2"], .repeatedContentLength),
            (["Content-Length: 1, 1"], .badContentLength), (["Content-Length: +1"], .badContentLength),
            (["Content-Length: -1"], .badContentLength), (["Content-Length: 0x1"], .badContentLength),
            (["Content-Length: 1 2"], .badContentLength), (["Content-Length:"], .badContentLength),
            (["Content-Length: 1.0"], .badContentLength), (["Content-Length: 1000000000000000000"], .badContentLength),
            (["Content-Length: \u{661}"], .badContentLength),
            (["Content-Length: 1", "Transfer-Encoding: chunked"], .lengthAndTransferEncoding),
            (["Transfer-Encoding: chunked", "Content-Length: 1"], .lengthAndTransferEncoding),
            (["Transfer-Encoding: gzip"], .unknownTransferEncoding),
            (["Transfer-Encoding: gzip, chunked"], .unknownTransferEncoding),
            (["Transfer-Encoding: chunked, chunked"], .unknownTransferEncoding),
            (["Transfer-Encoding:"], .unknownTransferEncoding),
            (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], .unknownTransferEncoding),
            (["Transfer-Encoding: identity"], .unknownTransferEncoding),
            (["Transfer-Encoding: xchunked"], .unknownTransferEncoding),
            (["Transfer-Encoding: \"chunked\""], .unknownTransferEncoding),
        ] as [([String], HeadProblem)])
    func ambiguous(lines: [String], expected: HeadProblem) {
        let text = "POST / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
        #expect(problem(text) == expected)
    }

    @Test("of HTTP/1.0 have no chunks")
    func chunksInOldVersion() {
        #expect(problem("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == .unknownTransferEncoding)
    }

    @Test("have at most 200 fields")
    func manyFields() {
        func head(_ count: Int) -> String {
            "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: b\r\n", count: count - 1) + "\r\n"
        }
        #expect(problem(head(HTTPHead.maximumFields)) == nil)
        #expect(problem(head(HTTPHead.maximumFields + 1)) == .tooManyFields)
    }

    @Test(
        "say whether the connection lives on",
        arguments: [
            ("1.1", nil, true), ("1.1", "close", false), ("1.1", "Keep-Alive", true), ("1.1", "x, CLOSE ,y", false),
            ("1.0", nil, false), ("1.0", "keep-alive", true), ("1.0", "keep-alive, close", false), ("1.1", "closed", true),
            ("1.1", ",,", true),
        ] as [(String, String?, Bool)])
    func persistence(version: String, connection: String?, expected: Bool) throws {
        let line = connection.map { "Connection: \($0)\r\n" } ?? ""
        #expect(try Self.request("GET / HTTP/\(version)\r\nHost: a\r\n\(line)\r\n").isPersistent == expected)
    }

    @Test("tell what else Connection and Expect say")
    func connectionTokens() throws {
        let upgrade = try fields("Connection: Upgrade", "Upgrade: websocket")
        #expect(upgrade.saysUpgrade == true)
        #expect(upgrade.namesConnectionFields == false)
        #expect(try fields("Connection: close, X-Private").namesConnectionFields == true)
        #expect(try fields("Connection: X-Private", "Connection: close").saysClose == true)
        #expect(try fields("Expect: 100-Continue").expectsContinue == true)
        #expect(try fields("Expect: something").expectsContinue == false)
    }

    @Test("leave nothing behind for the next head read into the same value")
    func reuse() throws {
        var head = HTTPHead()
        let first =
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade, keep-alive, x\r\n"
            + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        try head.parseRequest(Array(first.utf8).span.bytes)
        try head.parseRequest(Array("GET /b HTTP/1.1\r\nHost: a\r\n\r\n".utf8).span.bytes)
        #expect(head.fields.count == 1)
        #expect(head.framing == .unstated)
        #expect(!head.saysClose && !head.saysUpgrade && !head.saysKeepAlive)
        #expect(!head.namesConnectionFields && !head.expectsContinue == true)
        #expect(head.target == 4..<6)
    }

    @Test("every problem has words for the sender")
    func messages() {
        let problems: [HeadProblem] = [
            .bareLineFeed, .bareCarriageReturn, .nul, .headTooLarge, .tooManyFields, .badRequestLine, .badStatusLine,
            .badTarget, .unsupportedVersion, .badFieldName, .badFieldValue, .foldedField, .badContentLength,
            .repeatedContentLength, .lengthAndTransferEncoding, .unknownTransferEncoding, .badHost, .missingHost,
        ]
        #expect(Set(problems.map(\.message)).count == problems.count)
    }
}

@Suite("Answer heads")
struct AnswerHeadTests {
    private func answer(_ text: String) throws(HeadProblem) -> HTTPHead {
        var head = HTTPHead()
        try head.parseAnswer(Array(text.utf8).span.bytes)
        return head
    }

    @Test(
        "are read with and without words after the status",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 200, 1), ("HTTP/1.0 404 Not Found\r\n\r\n", 404, 0),
            ("HTTP/1.1 204\r\n\r\n", 204, 1), ("HTTP/1.1 200 \r\n\r\n", 200, 1), ("HTTP/1.1 599 \u{e9}t\u{e9}\r\n\r\n", 599, 1),
            ("HTTP/1.1 999 x\r\nA: b\r\n\r\n", 999, 1), ("HTTP/1.1 100 Continue\r\n\r\n", 100, 1),
        ])
    func accepted(text: String, status: Int, minorVersion: Int) throws {
        let head = try answer(text)
        #expect(head.status == status)
        #expect(head.minorVersion == minorVersion)
        #expect(head.fieldsEnd == text.utf8.count - 2)
    }

    @Test(
        "are refused when they are not what they should be",
        arguments: [
            ("", .unsupportedVersion), ("HTTP/2 200\r\n\r\n", .unsupportedVersion), ("HTTP/1.1 20\r\n\r\n", .badStatusLine),
            ("HTTP/1.1 2000 OK\r\n\r\n", .badStatusLine), ("HTTP/1.1  200 OK\r\n\r\n", .badStatusLine),
            ("HTTP/1.1 099 x\r\n\r\n", .badStatusLine), ("HTTP/1.1 abc x\r\n\r\n", .badStatusLine),
            ("HTTP/1.1\r\n\r\n\r\n\r\n", .badStatusLine), ("HTTP/1.1 200 O\u{1}K\r\n\r\n", .badStatusLine),
            ("HTTP/1.1 200 OK", .badStatusLine), ("ICY 200 OK\r\n\r\n", .unsupportedVersion),
            ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .badFieldName), ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .foldedField),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .repeatedContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .lengthAndTransferEncoding),
        ] as [(String, HeadProblem)])
    func refused(text: String, expected: HeadProblem) {
        #expect(throws: expected, "\(text)") { _ = try answer(text) }
    }

    @Test("need no Host")
    func noHost() throws {
        #expect(try answer("HTTP/1.1 200 OK\r\n\r\n").framing == .unstated)
    }
}

@Suite("Field names")
struct FieldNameTests {
    private func lookUp(_ name: String) -> FieldName { Array(name.utf8).withBytes { FieldName.lookUp($0) } }

    @Test(
        "are known whatever their case",
        arguments: [
            ("Host", .host), ("HOST", .host), ("content-length", .contentLength), ("Content-LENGTH", .contentLength),
            ("TE", .te), ("Trailer", .trailer), ("X-Request-ID", .requestID), ("Via", .via), ("Thread-Id", .codexThreadID),
            ("Session_ID", .codexSessionID), ("X-Balancer-Queued-Ms", .balancerQueued), ("Authorization", .authorization),
            ("Proxy-Authorization", .proxyAuthorization), ("x-claude-code-session-id", .claudeCodeSessionID),
            ("X-Forwarded-For", .forwardedFor), ("X-FORWARDED-port", .forwardedOther), ("x-forwarded-x", .forwardedOther),
            ("Access-Control-Request-Method", .requestedMethod), ("access-control-request-headers", .requestedHeaders),
            ("CF-Connecting-IP", .forwardedOther), ("X-Original-Forwarded-For", .forwardedOther),
        ] as [(String, FieldName)])
    func known(name: String, expected: FieldName) {
        #expect(lookUp(name) == expected)
    }

    @Test(
        "that only look alike are others",
        arguments: [
            "", "Hos", "Hosts", "Content_Length", "Content-Lengt\u{68}\u{301}", "contentlength", "T", "x", "\u{212A}eep-alive",
            String(repeating: "x", count: 5000), "@ia", "`ost", "X-Forwarded-", "Y-Forwarded-For", "X-Forwarded_For",
        ])
    func others(name: String) {
        #expect(lookUp(name) == .other)
    }

    @Test("with one other character are others, whatever character a name may have")
    func oneCharacterOff() {
        let names = [
            "te", "via", "host", "expect", "upgrade", "x-api-key", "session_id", "connection", "keep-alive", "content-type",
            "authorization", "content-length", "x-real-ip", "x-balancer-model", "transfer-encoding", "proxy-authenticate",
            "proxy-authorization", "x-balancer-queued-ms", "x-claude-code-session-id",
        ]
        let characters = (UInt8.min...UInt8.max).filter(\.isTokenCharacter)
        for name in names {
            #expect(lookUp(name) != .other, "\(name)")
            for position in name.utf8.indices {
                for character in characters where FieldName.lowercase(character) != name.utf8[position] {
                    var bytes = Array(name.utf8)
                    bytes[name.utf8.distance(from: name.startIndex, to: position)] = character
                    let text = String(decoding: bytes, as: UTF8.self)
                    if lookUp(text) != .other, text != "session-id" { Issue.record("\(text) passes for \(name)") }
                }
            }
        }
    }

    @Test("that end at this hop")
    func hopByHop() {
        let hopByHop: [FieldName] = [
            .connection, .keepAlive, .proxyConnection, .te, .trailer, .transferEncoding, .upgrade, .proxyAuthenticate,
            .proxyAuthorization,
        ]
        for raw in UInt8.min...UInt8.max {
            guard let name = FieldName(rawValue: raw) else { continue }
            #expect(name.isHopByHop == hopByHop.contains(name), "\(name)")
        }
    }

    @Test("compare ASCII letters alone without regard to case")
    func comparison() {
        #expect(Array("CHUNKED".utf8).withBytes { FieldName.equalIgnoringCase($0, "chunked") })
        #expect(!Array("chunke\u{4}".utf8).withBytes { FieldName.equalIgnoringCase($0, "chunked") })
        #expect(!Array("[".utf8).withBytes { FieldName.equalIgnoringCase($0, "{") })
    }
}
