import Routing
import Testing

@testable import Proxy

@Suite("Clients that send strange things, without sockets")
struct StrangeClientTests {
    @Test("a head that comes as empty lines for ever is late like any other")
    func emptyLines() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            let handler = try balancer.handler(of: client)
            client.receive("\r")
            let first = handler.deadline
            #expect(first.awaited == .head)
            for _ in 0..<5 { client.receive("\n\r") }
            #expect(handler.deadline == first, "set when the first byte came, and not moved since")
            client.receive("\n" + get("/llmhealth"))
            #expect(answers(in: client.sent).whole.map(\.status) == [200])
            #expect(handler.deadline.awaited == .request)
        }
    }

    @Test("an HTTP/1.0 client gets no 100 Continue")
    func expectOfOldClient() throws {
        try withEmbeddedBalancer { balancer in
            for (version, isTold) in [("1.0", false), ("1.1", true)] {
                let client = try balancer.client()
                let fields = ["Content-Length: 2", "Expect: 100-continue"]
                client.receive(head("POST", "/v1/chat/completions", fields, version: version))
                #expect(client.sent.hasPrefix("HTTP/1.1 100 ") == isTold, "\(version)")
            }
        }
    }

    @Test("names and paths of any length are kept in part, counted in bytes")
    func longNames() throws {
        try withEmbeddedBalancer { balancer in
            let (client, _) = (try balancer.client(), try balancer.keptConnection())
            // One character, as Swift counts.
            let name = "a" + String(repeating: "\u{301}", count: 10_000)
            let fields = ["X-Request-Id: mine", "X-Conversation-Id: \(name)", "X-Forwarded-For: \(name)"]
            client.receive(chat(fields: fields))
            let traits = try #require(balancer.router.decisions(requestID: "mine").first?.traits)
            #expect(try #require(traits.conversation).utf8.count <= 256)
            #expect(traits.client.utf8.count <= 256 && traits.address.utf8.count <= 100)
            let other = try balancer.client()
            other.receive(get("/" + String(repeating: "p", count: 20_000), fields: ["X-Request-Id: other"]))
            #expect(try #require(balancer.router.decisions(requestID: "other").first).traits.path.utf8.count <= 512)
        }
    }

    @Test("an upload in chunks of a byte goes on as one chunk for each read")
    func tinyChunks() throws {
        try withEmbeddedBalancer(settings: ProxySettings { $0.limits.retryBody = 64 }) { balancer in
            let client = try balancer.client()
            let start = #"{"model":"m","messages":[{"role":"user","content":""#
            client.receive(head("POST", "/v1/chat/completions", ["Transfer-Encoding: chunked"]))
            func chunk(_ text: String) -> String { String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n" }
            client.receive(chunk(start + String(repeating: "x", count: 64)))
            let server = try balancer.acceptDial()
            var writes = 0
            server.onWrite = {
                writes += 1
                return .taken
            }
            #expect(server.sent.contains("Transfer-Encoding: chunked\r\n"), "it is streamed through")
            client.receive(String(repeating: chunk("y"), count: 1000))
            #expect(writes == 1)
            #expect(server.sent.hasSuffix("3e8\r\n" + String(repeating: "y", count: 1000) + "\r\n"))
            client.receive(chunk(#""}]}"#) + "0\r\n\r\n")
            #expect(server.sent.hasSuffix("4\r\n\"}]}\r\n0\r\n\r\n"))
        }
    }

    @Test("an answer that comes before its request is whole says that the connection ends")
    func earlyAnswer() throws {
        try withEmbeddedBalancer(settings: ProxySettings { $0.limits.retryBody = 64 }) { balancer in
            let client = try balancer.client()
            let body = #"{"model":"m","messages":[{"role":"user","content":""# + String(repeating: "x", count: 100)
            client.receive(head("POST", "/v1/chat/completions", ["Content-Length: 100000"]) + body)
            let server = try balancer.acceptDial()
            server.receive("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            let answer = try #require(answers(in: client.sent).whole.first)
            #expect(answer.status == 413 && answer["Connection"] == "close")
        }
    }

    @Test("a server cannot set our own fields in an interim answer")
    func interimFields() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat())
            server.receive("HTTP/1.1 103 Early Hints\r\nX-Balancer-Server: evil\r\nX-Request-Id: evil\r\nLink: </a>\r\n\r\n")
            #expect(client.sent == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        }
    }
}
