import FakeBackend
import Testing
import Wire

@Suite("Faults")
struct FaultTests {
    /// Sends a streamed chat with the fault and returns what comes until the connection ends.
    private func stream(_ fault: String) async throws -> (answer: Answer, text: String, ending: RawClient.Ending) {
        var result: (Answer, String, RawClient.Ending)?
        try await withEngine { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(chat(stream: true, fault: fault))
            let (text, ending) = try await client.receiveUntilEnd()
            result = (Answer(text), text, ending)
        }
        return try #require(result)
    }

    @Test(
        "before the answer: the connection ends without a byte",
        arguments: [("reset-before-answer", true), ("close-before-answer", false)])
    func beforeAnswer(fault: String, isReset: Bool) async throws {
        let (_, text, ending) = try await stream(fault)
        #expect(text.isEmpty)
        #expect(ending == (isReset ? .reset : .closed))
    }

    @Test("after the headers: a head, no body, a reset")
    func afterHeaders() async throws {
        let (answer, text, ending) = try await stream("reset-after-headers")
        #expect(answer.status == 200)
        #expect(text.hasSuffix("\r\n\r\n"))
        #expect(ending == .reset)
    }

    @Test(
        "in mid-stream: so many events, then the end without the last chunk",
        arguments: [("reset-after-events=2", true), ("close-after-events=2", false)])
    func midStream(fault: String, isReset: Bool) async throws {
        let (_, text, ending) = try await stream(fault)
        #expect(text.split(separator: "data: ").count == 3)
        #expect(!text.contains("\r\n0\r\n"))
        #expect(ending == (isReset ? .reset : .closed))
    }

    @Test("a lost process: so many events, what the router says, and the last chunk")
    func lostProcess() async throws {
        try await withEngine { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(chat(stream: true, fault: "lose-process-after-events=2"))
            let text = try await client.receive("the last chunk") { $0.hasSuffix("\r\n0\r\n\r\n") }
            #expect(text.split(separator: "data: ").count == 3)
            #expect(text.hasSuffix("\n\n\r\n26\r\nproxy error: Failed to read connection\r\n0\r\n\r\n"))
            await client.close()
        }
    }

    @Test("stalls keep the connection open, before the answer or in the middle of it")
    func stalls() async throws {
        try await withEngine { engine in
            let silent = try await RawClient.connect(to: engine)
            try await silent.send(chat(fault: "stall-before-answer"))
            let half = try await RawClient.connect(to: engine)
            try await half.send(chat(stream: true, fault: "stall-after-events=1"))
            let text = try await half.receive("one event") { $0.contains("assistant") }
            #expect(text.split(separator: "data: ").count == 2)
            try await engine.observations { $0.concurrency == 2 && $0.connectionsOpen == 2 }
            await silent.close()
            await half.close()
            let seen = try await engine.observations { $0.cancelled == 2 }
            #expect(seen.cancellations.map(\.eventsSent).sorted() == [0, 1])
        }
    }

    @Test("refuse resets every new connection")
    func refuse() async throws {
        try await withEngine(Behaviour { $0.fault = .refuse }) { engine in
            for _ in 0..<3 {
                // The reset may come before the client has even noticed that it is connected.
                guard let client = try? await RawClient.connect(to: engine) else { continue }
                let ending = try await client.receiveUntilEnd().ending
                #expect(ending == .reset)
            }
            let seen = try await engine.observations { $0.connectionsAccepted >= 3 }
            #expect(seen.received == 0)
        }
    }

    @Test("accept-never accepts nothing until the behaviour changes")
    func acceptNever() async throws {
        try await withEngine(Behaviour { $0.fault = .acceptNever }) { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(chat())
            #expect(engine.observations.connectionsAccepted == 0)
            try await engine.setBehaviour(Behaviour())
            #expect(try await client.receiveAnswer().status == 200)
        }
    }

    @Test(
        "another answer than the right one",
        arguments: [("status=503", 503), ("no-content", 204), ("not-modified", 304), ("gzip", 200)])
    func otherAnswers(fault: String, status: Int) async throws {
        try await withEngine { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(chat(fault: fault))
            let answer = Answer(try await client.receive("a head") { $0.contains("\r\n\r\n") })
            #expect(answer.status == status)
            #expect((answer.field("Content-Encoding") == "gzip") == (fault == "gzip"))
            #expect((answer.field("Content-Length") != nil) == (status == 200 || status == 503))
        }
    }

    @Test(
        "the right answer in an odd form can still be read",
        arguments: ["slow-headers=1", "slow-body=0", "split-events", "content-length", "chunk-extensions", "informational=103"])
    func oddForms(fault: String) async throws {
        try await withEngine(Behaviour { $0.closesAfterStream = true }) { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(chat(stream: true, fault: fault))
            let (text, ending) = try await client.receiveUntilEnd()
            let answer = Answer(fault.hasPrefix("informational") ? Answer(text).rest : text)
            #expect(ending == .closed)
            #expect(answer.events.count == 7)
            #expect((answer.field("Content-Length") != nil) == (fault == "content-length"))
            #expect(text.contains(";note=\"a;b\"\r\n") == (fault == "chunk-extensions"))
            #expect(text.contains("X-Fake-Trailer") == (fault == "chunk-extensions"))
            #expect(text.hasPrefix("HTTP/1.1 103") == fault.hasPrefix("informational"))
            if fault == "split-events" { #expect((answer.chunks?.count ?? 0) > 50) }
        }
    }

    @Test("the end of the connection ends the body", arguments: ["until-close", "http10"])
    func untilClose(fault: String) async throws {
        let (answer, text, ending) = try await stream(fault)
        #expect(ending == .closed)
        #expect(text.hasPrefix(fault == "http10" ? "HTTP/1.0 200" : "HTTP/1.1 200"))
        #expect(answer.field("Transfer-Encoding") == nil && answer.field("Content-Length") == nil)
        #expect(answer.rest.hasSuffix("data: [DONE]\n\n"))
    }

    @Test("a length that is too long, then the end")
    func wrongLength() async throws {
        let (answer, _, ending) = try await stream("wrong-length")
        #expect(answer.field("Content-Length").flatMap { Int($0) } == answer.rest.utf8.count + 100)
        #expect(ending == .closed)
    }

    @Test(
        "heads that no proxy should pass on",
        arguments: [
            ("two-lengths", "\r\nContent-Length: "), ("malformed-head=status-line", "HTTP/1.1 two hundred\r\n"),
            ("malformed-head=bare-lf", "HTTP/1.1 200 OK\nServer"), ("malformed-head=space-in-name", "X-Spaced : out"),
            ("malformed-head=folded-line", "\r\n  two\r\n"),
        ])
    func badHeads(fault: String, mark: String) async throws {
        try await withEngine { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.send(chat(fault: fault))
            let text = try await client.receive("the body") { $0.contains("timings") }
            #expect(text.contains(mark))
            if fault == "two-lengths" { #expect(text.split(separator: "Content-Length: ").count == 3) }
        }
    }

    @Test("a big answer waits for a client that does not read")
    func backPressure() async throws {
        try await withEngine { engine in
            let client = try await RawClient.connect(to: engine)
            try await client.stopReading()
            try await client.send(chat(fault: "big-answer=4000000000"))
            try await engine.observations { $0.concurrency == 1 }
            await client.close()
            let seen = try await engine.observations { $0.cancelled == 1 }
            #expect((seen.cancellations.first?.eventsSent ?? .max) < 4_000_000_000 / 65_536 / 4)
        }
    }

    @Test("a slow reader takes its time, and reads everything")
    func slowReader() async throws {
        try await withEngine { engine in
            let answer = try await engine.ask(chat(String(repeating: "x", count: 20_000), fault: "read-slow=200000"))
            #expect(answer.status == 200)
            #expect((engine.observations.work.last?.bodyLength ?? 0) > 20_000)
        }
    }

    @Test("a fail rate fails some requests, and the same ones for the same seed")
    func failRate() async throws {
        func pattern(seed: UInt64) async throws -> [Int?] {
            var statuses: [Int?] = []
            let behaviour = Behaviour {
                $0.fault = .sometimes(0.5, .status(503))
                $0.seed = seed
            }
            try await withEngine(behaviour) { engine in
                for _ in 0..<20 { statuses.append(try await engine.ask(chat()).status) }
            }
            return statuses
        }
        let first = try await pattern(seed: 7)
        #expect(Set(first) == [200, 503])
        #expect(try await pattern(seed: 7) == first)
        #expect(try await pattern(seed: 8) != first)
    }

    @Test("a fault that does not exist is 400 and says which do")
    func unknown() async throws {
        try await withEngine { engine in
            let answer = try await engine.ask(chat(fault: "explode"))
            #expect(answer.status == 400)
            #expect(answer.body?.contains("reset-before-answer") == true)
        }
    }
}
