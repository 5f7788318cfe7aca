import Testing

@testable import App

@Suite("Addresses of servers") struct BaseURLTests {
    @Test(
        "a base URL is scheme, host, port and prefix",
        arguments: [
            ("http://h", "http://h:80"), ("HTTPS://h/", "https://h:443"), ("http://h:8080/a/b/", "http://h:8080/a/b"),
            ("http://[::1]:8080", "http://[::1]:8080"), ("http://my_host-1.local:1", "http://my_host-1.local:1"),
            ("https://[fd00::1]", "https://[fd00::1]:443"),
        ])
    func parsed(text: String, expected: String) throws {
        #expect(try BaseURL.parse(text).url.description == expected)
    }

    @Test("the scheme may be left out where that is allowed")
    func assumed() throws {
        #expect(try BaseURL.parse("b:8081", assumingHTTP: true).url.description == "http://b:8081")
        #expect(throws: BaseURL.ParseError.self) { try BaseURL.parse("b:8081") }
    }

    @Test("the Host header leaves the scheme's own port out")
    func hostHeader() {
        #expect(BaseURL(scheme: .https, host: "h", port: 443).hostHeader == "h")
        #expect(BaseURL(scheme: .http, host: "::1", port: 8080).hostHeader == "[::1]:8080")
    }

    @Test(
        "what cannot be a server's address is refused",
        arguments: [
            "", "http://", "http:///x", "ftp://h", "h", "http://h:", "http://h:0", "http://h:65536", "http://h:8o", "http://h:-1",
            "http://h:+1", "http://u:p@h", "http://h?q", "http://h#f", "http://h /", "http://h\r\nX: y", "http://h\0",
            "http://::1",
            "http://[::1", "http://[::1]8080", "http://[1.2.3.4]", "http://[g::1]", "http://1.2.3.999", "http://häst",
            "http://h/v1",
            "http://h/v1/", "http://h/v1/chat/completions", "http://h/x/v1/models/", "http://h/api/chat", "http://h/a\"b",
            "http://h:99999999999999999999", "http://a,b", "http://%41",
        ])
    func refused(text: String) {
        #expect(throws: BaseURL.ParseError.self) { try BaseURL.parse(text) }
    }
}
