import Testing

@testable import Proxy

/// Back-pressure between the two sockets of an exchange.
@Suite("Flow control, without sockets")
struct FlowControlTests {
    private static let streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    @Test("while the client is full its server is not read, and it is again once there is room")
    func clientFull() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat(stream: true))
            server.receive(Self.streamHead + "9\r\ndata: 1\n\n\r\n")
            for _ in 0..<3 {
                #expect(server.isReading)
                client.isWritable = false
                #expect(!server.isReading)
                client.isWritable = true
            }
            #expect(server.isReading)
        }
    }

    @Test("a server that is leased for a client that is full is not read at first", arguments: [true, false])
    func leasedForFullClient(isKept: Bool) throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            if isKept {
                let first = try balancer.client()
                first.receive(chat())
                let server = try balancer.acceptDial()
                client.receive(chat())
                #expect(balancer.dialer.hosts.count == 1)
                client.isWritable = false
                server.receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                balancer.dialer.refuse()
            } else {
                client.receive(chat())
                client.isWritable = false
                let server = try balancer.acceptDial()
                #expect(!server.isReading)
                client.isWritable = true
                #expect(server.isReading)
            }
        }
    }

    @Test("a connection that was not read goes back to the pool reading: the next request finds it alive")
    func givenBackReading() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(get("/v1/files"))
            client.isWritable = false
            // What was being read when reading stopped still comes.
            server.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            #expect(balancer.inFlight == 0 && server.isReading && !server.isClosed)
            let other = try balancer.client()
            _ = server.takeSent()
            other.receive(get("/v1/files"))
            #expect(server.sent.hasPrefix("GET /v1/files "))
        }
    }

    @Test("a held 503 is not read on until the router's word, then passed on whole")
    func heldFailure() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat())
            let body = String(repeating: "busy ", count: 8000)
            var wasReading: [Bool] = []
            client.onWrite = {
                wasReading.append(server.isReading)
                return .taken
            }
            // The long part is written while the answer is being let go.
            server.receive("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 40000\r\n\r\n" + body.prefix(39_000))
            #expect(wasReading == [false, false] && server.isReading)
            server.receive(String(body.suffix(1000)))
            let whole = answers(in: client.sent).whole
            #expect(whole.map(\.status) == [503] && whole.first?.text == body)
            #expect(balancer.notes.records.map(\.status) == [503])
        }
    }

    @Test(
        "a held 503 whose connection ends before the router's word is passed on whole, however its end is told",
        arguments: ["Content-Length: 4\r\n\r\nbusy", "\r\nbusy", "Transfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n"])
    func heldFailureEnds(rest: String) throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            client.receive(chat())
            // The server refuses without reading the request: its answer is read inside the write that fails.
            let server = try balancer.acceptDial { server in
                server.onWrite = { [unowned server] in
                    server.onWrite = nil
                    server.receive("HTTP/1.1 503 Service Unavailable\r\n" + rest)
                    server.end()
                    return .failed
                }
            }
            #expect(server.isClosed)
            let whole = answers(in: client.sent).whole
            #expect(whole.map(\.status) == [503] && whole.first?.text == "busy" && whole.first?.isWhole == true)
            #expect(whole.first?["X-Balancer-Server"] == "A")
            #expect(balancer.notes.records.map(\.ending) == [.complete])
        }
    }

    @Test("a held 503 that was cut off is passed on and ends visibly")
    func heldFailureCutOff() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            client.receive(chat())
            _ = try balancer.acceptDial { server in
                server.onWrite = { [unowned server] in
                    server.onWrite = nil
                    server.receive("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\nbusy")
                    server.end()
                    return .failed
                }
            }
            #expect(client.sent.hasPrefix("HTTP/1.1 503 ") && client.sent.hasSuffix("\r\n\r\nbusy"))
            #expect(client.isOutputClosed)
            #expect(balancer.notes.records.map(\.ending) == [.upstreamBroke])
        }
    }

    @Test("a 503 for which another server is granted reaches nobody, and its connection is closed")
    func failureMoved() throws {
        try withEmbeddedBalancer(["A", "B"]) { balancer in
            let (a, b) = (try balancer.keptConnection(to: 0), try balancer.keptConnection(to: 1))
            let client = try balancer.client()
            client.receive(chat())
            a.receive("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbu")
            #expect(a.isClosed && b.sent.contains("Authorization: key-B\r\n"))
            b.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            let whole = answers(in: client.sent).whole
            #expect(whole.map(\.text) == ["ok"] && whole.first?["X-Balancer-Attempts"] == "2")
        }
    }

    @Test("an upload is not read faster than its server takes it")
    func upload() throws {
        try withEmbeddedBalancer(settings: ProxySettings { $0.limits.retryBody = 100 }) { balancer in
            let client = try balancer.client()
            let body = String(repeating: "u", count: 1000)
            client.receive(head("POST", "/v1/files", ["Content-Length: 1000"]) + body.prefix(200))
            #expect(!client.isReading, "nobody is there yet to take the rest")
            let server = try balancer.acceptDial()
            #expect(client.isReading && server.sent.hasSuffix(body.prefix(200)))
            server.isWritable = false
            #expect(!client.isReading)
            server.isWritable = true
            #expect(client.isReading)
            client.receive(String(body.dropFirst(200)))
            #expect(server.sent.hasSuffix("\r\n\r\n" + body))
            server.receive("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            #expect(answers(in: client.sent).whole.map(\.status) == [200])
        }
    }

    @Test("bytes that the server flushes apart go out apart; those of one read go out together")
    func flushes() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat(stream: true))
            var (flushed, known) = (0, 0)
            client.onFlush = { [unowned client] in
                if client.sentBytes.count > known { flushed += 1 }
                known = client.sentBytes.count
            }
            server.receive(Self.streamHead)
            #expect(client.sent.isEmpty)
            server.receive("9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n")
            #expect(flushed == 1 && client.sent.hasSuffix("9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n"))
            server.receive("9\r\ndata: 3\n\n\r\n")
            #expect(flushed == 2)
        }
    }
}
