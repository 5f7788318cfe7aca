import Testing

@testable import Wire

@Suite("Writing heads")
struct HeadWriterTests {
    /// The field lines that pass, out of a request with these.
    private func copied(_ lines: [String], except excluded: FieldSet = FieldSet()) throws -> [String] {
        let bytes = Array(("POST / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
        var head = HTTPHead()
        try head.parseRequest(bytes.span.bytes)
        var writer = ByteWriter()
        writer.copyFields(of: head, from: bytes.span.bytes, except: excluded)
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(text.isEmpty || text.hasSuffix("\r\n"))
        return text.split(separator: "\r\n").map(String.init)
    }

    @Test("copies lines as they came, in runs")
    func verbatim() throws {
        #expect(try copied(["a:b", "C:  d  ", "E:"]) == ["Host: a", "a:b", "C:  d  ", "E:"])
        #expect(try copied([]) == ["Host: a"])
    }

    @Test("leaves out hop-by-hop fields wherever they stand")
    func hopByHop() throws {
        let lines = [
            "Connection: keep-alive", "A: 1", "Keep-Alive: timeout=5", "TE: trailers", "B: 2", "Trailer: X", "Upgrade: h2c",
            "Transfer-Encoding: chunked", "Proxy-Connection: close", "Proxy-Authorization: Basic x", "C: 3",
            "Proxy-Authenticate: Basic",
        ]
        #expect(try copied(lines) == ["Host: a", "A: 1", "B: 2", "C: 3"])
    }

    @Test("leaves out what Connection names, but never Host or Content-Length")
    func named() throws {
        let lines = [
            "Content-Length: 3", "X-Private: 1", "x-other: 2", "X-Privat: 3", "X-Private2: 4",
            "Connection: close, x-private ,HOST", "X-PRIVATE: 5", "Connection: content-length, X-Other",
        ]
        #expect(try copied(lines) == ["Host: a", "Content-Length: 3", "X-Privat: 3", "X-Private2: 4"])
    }

    @Test("leaves out what the caller does not pass")
    func caller() throws {
        let lines = ["Via: 1.1 x", "A: 1", "Authorization: secret", "Via: 1.1 y"]
        #expect(try copied(lines, except: FieldSet(.via, .authorization, .host)) == ["A: 1"])
        #expect(try copied(lines, except: FieldSet(.other, .via, .authorization, .host)) == [])
    }

    @Test("writes numbers, texts, ranges and fields of our own")
    func pieces() {
        var writer = ByteWriter()
        let source = Array("GET /path HTTP/1.1".utf8)
        writer.write("HTTP/1.1 ")
        writer.write(200)
        writer.write(" ")
        writer.write("OK" as String)
        writer.write("\r\n")
        for number in [0, 9, 10, -1, .max] {
            writer.write(number)
            writer.write([UInt8(ascii: ",")])
        }
        writer.write(source.span.bytes, 4..<9)
        writer.write("\r\n")
        writer.writeField("Via", "1.1 us")
        writer.endHead()
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == "HTTP/1.1 200 OK\r\n0,9,10,-1,9223372036854775807,/path\r\nVia: 1.1 us\r\n\r\n")
        writer.reset()
        #expect(writer.bytes.isEmpty)
    }
}
