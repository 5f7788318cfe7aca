import Routing
import Testing

@testable import Proxy

/// What the socket does inside our own calls: it comes as an event of its own, behind the action at hand.
@Suite("Callbacks inside writes and flushes")
struct ReentrancyTests {
    /// Where something happens.
    enum Place: CaseIterable {
        case write
        case flush
    }

    /// Kinds of answers, each sent in pieces.
    enum Answer: CaseIterable {
        case whole
        case pieces
        case stream
        case long

        var pieces: [String] {
            switch self {
            case .whole: ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
            case .pieces: ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "ab", "cd"]
            case .stream:
                [
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
                    "9\r\ndata: 1\n\n\r\n", "9\r\ndata: 2\n\n\r\n", "0\r\n\r\n",
                ]
            case .long: ["HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + String(repeating: "x", count: 40_000)]
            }
        }
    }

    /// Lets `action` happen inside the client's first write or flush.
    private func first(_ place: Place, of client: EmbeddedSocket, _ action: @escaping () -> Void) {
        switch place {
        case .write:
            client.onWrite = { [unowned client] in
                client.onWrite = nil
                action()
                return .taken
            }
        case .flush:
            client.onFlush = { [unowned client] in
                client.onFlush = nil
                action()
            }
        }
    }

    @Test(
        "a client that closes inside a write or flush ends its request once; nothing is written for it any more",
        arguments: Place.allCases, Answer.allCases)
    func close(place: Place, answer: Answer) throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat(stream: answer == .stream))
            first(place, of: client) { [unowned client] in client.end() }
            var bytesAtEnd: Int?
            for piece in answer.pieces {
                server.receive(piece)
                if client.isClosed, bytesAtEnd == nil { bytesAtEnd = client.lateBytes }
            }
            balancer.run()
            #expect(client.isClosed && client.lateBytes == bytesAtEnd)
            #expect(balancer.notes.records.count == 1 && balancer.inFlight == 0)
            #expect(balancer.context.counters.requestsByStatusClass.reduce(0, +) == 1)
            #expect(server.isClosed == (answer != .whole && answer != .long))
        }
    }

    @Test("a client that closes inside a refusal or an answer of ours is forgotten without a trace", arguments: Place.allCases)
    func closeInsideOwnAnswer(place: Place) throws {
        try withEmbeddedBalancer { balancer in
            for request in [get("/llmhealth"), "nonsense\r\n\r\n", chat(model: "m", fields: ["Via: 1.1 llama-balancer"])] {
                let client = try balancer.client()
                first(place, of: client) { [unowned client] in client.end() }
                client.receive(request + get("/llmhealth"))
                balancer.run()
                #expect(client.isClosed && client.lateBytes == 0)
            }
            #expect(balancer.inFlight == 0 && balancer.context.clients.connected.isEmpty)
        }
    }

    @Test(
        "a client that is full, or has room again, inside a write or flush: its server is read accordingly",
        arguments: Place.allCases)
    func writability(place: Place) throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat(stream: true))
            server.receive(Answer.stream.pieces[0])
            first(place, of: client) { [unowned client] in client.isWritable = false }
            server.receive(Answer.stream.pieces[1])
            #expect(!server.isReading)
            first(place, of: client) { [unowned client] in client.isWritable = true }
            server.receive(Answer.stream.pieces[2])
            #expect(server.isReading)
            server.receive(Answer.stream.pieces[3])
            let whole = answers(in: client.sent).whole
            #expect(whole.map(\.events) == [["1", "2"]])
            #expect(balancer.notes.records.count == 1)
        }
    }

    @Test("a server whose rest and end come inside a write to the client: the answer is whole and ends once")
    func serverInsideClientWrite() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(chat(stream: true))
            server.receive("HTTP/1.1 200 OK\r\n\r\n")
            first(.write, of: client) {
                server.receive("second")
                server.end()
            }
            server.receive("first ")
            let whole = answers(in: client.sent).whole
            #expect(whole.map(\.text) == ["first second"] && whole.first?.isWhole == true)
            #expect(balancer.notes.records.map(\.ending) == [.complete])
        }
    }

    @Test("the next request that comes inside the last write of an answer is taken behind it")
    func requestInsideAnswer() throws {
        try withEmbeddedBalancer { balancer in
            let (client, server) = (try balancer.client(), try balancer.keptConnection())
            client.receive(get("/v1/files"))
            first(.write, of: client) { [unowned client] in client.receive(get("/llmhealth?n=1")) }
            server.receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            #expect(answers(in: client.sent).whole.map(\.text) == ["ok", "own /llmhealth?n=1\n"])
        }
    }

    @Test("a server that fails inside the write of a request is given up, whatever it said before")
    func serverInsideItsOwnWrite() throws {
        try withEmbeddedBalancer { balancer in
            let client = try balancer.client()
            client.receive(chat())
            let server = try balancer.acceptDial { server in
                server.onWrite = { [unowned server] in
                    server.fail()
                    return .failed
                }
            }
            #expect(server.isClosed)
            #expect(
                answers(in: client.sent).whole.map(\.status) == [502] || answers(in: client.sent).whole.map(\.status) == [503])
            #expect(balancer.notes.records.count == 1 && balancer.inFlight == 0)
        }
    }
}
