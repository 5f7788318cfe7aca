import NIOCore
import Testing
import Wire

@testable import Proxy
@testable import Routing

@Suite("The access log's line")
struct RequestRecordTests {
    private func line(_ configure: (inout RequestRecord) -> Void = { _ in }) throws -> (text: String, json: JSON) {
        var record = RequestRecord()
        record.requestID = "r1"
        record.startedAt = 1_700_000_000_123
        record.line = RequestLine(bytes: ByteBuffer(), method: "POST", target: "/v1/chat/completions")
        record.peerAddress = "10.0.0.7"
        record.status = 200
        record.queuedMilliseconds = 1.23456
        record.totalMilliseconds = 80
        record.bytesReceived = 100
        record.bytesSent = 2000
        configure(&record)
        var line = ByteWriter()
        var clock = ClockText()
        record.write(into: &line, &clock)
        return (String(decoding: line.bytes, as: UTF8.self), try JSON(parsing: line.bytes))
    }

    @Test("is one line of JSON")
    func oneLine() throws {
        let (text, json) = try line { $0.traits = RequestTraits(destination: .fallback, client: "c", username: "two\nlines") }
        #expect(text.hasSuffix("}\n"))
        #expect(text.dropLast().contains("\n") == false)
        #expect(json["time"] == "2023-11-14T22:13:20.123Z")
        #expect(json["user"] == "two\nlines")
        #expect(json["queued_ms"]?.doubleValue == 1.235)
        #expect(json["ending"] == "complete")
    }

    @Test("leaves out what is not known")
    func absent() throws {
        let json = try line().json
        #expect(json["client"] == "10.0.0.7" && json["attempts"] == 0)
        for name in [
            "user", "session", "prompt_bytes", "chain", "model", "instance", "server", "first_byte_ms", "prompt_tokens",
            "cached_tokens", "output_tokens",
        ] {
            #expect(json[name] == nil, "\(name)")
        }
    }

    @Test("names the request's class, unless it is the usual one")
    func priority() throws {
        func named(_ priority: PriorityClass) throws -> JSON? {
            try line { $0.grant = Grant(backend: BackendID(rawValue: 1), serverName: "A", attempt: 1, priority: priority) }.json[
                "priority"]
        }
        #expect(try named(.bulk) == "bulk" && named(.interactive) == "interactive" && named(.normal) == nil)
    }

    @Test("names a session that is known by more than its user and address")
    func session() throws {
        func session(_ client: String, user: String? = nil) throws -> JSON? {
            try line {
                $0.traits = RequestTraits(destination: .fallback, client: client, address: "10.0.0.9", username: user)
            }.json["session"]
        }
        #expect(try session("s1") == "s1" && session("s1", user: "u") == "s1")
        #expect(try session("10.0.0.9") == nil && session("u", user: "u") == nil)
    }

    @Test("tells how long the prompt is, and where another one may begin alike")
    func prompt() throws {
        let links: [PromptChain.Link] = [
            .init(hash: 7, end: 2000, endsMessage: true), .init(hash: 8, end: 2600, endsMessage: true),
        ]
        let json = try line {
            $0.traits = RequestTraits(
                destination: .model("m"), client: "c", prompt: PromptChain(links: links, length: 2600, lastMessageStart: 2000))
        }.json
        #expect(json["prompt_bytes"] == 2600 && json["last_message_bytes"] == 600)
        #expect(json["chain"]?.stringValue?.hasPrefix("2000.") == true)
    }

    @Test("tells where it went, how it ended and what the engine said of its work")
    func full() throws {
        let json = try line {
            $0.traits = RequestTraits(destination: .model("m"), client: "c", address: "10.0.0.9")
            $0.grant = Grant(backend: BackendID(rawValue: 0), serverName: "A", model: "m-2", attempt: 2)
            $0.ending = .upstreamBroke
            $0.firstByteMilliseconds = 12
            $0.usage = AnswerUsage(cachedTokens: 3, promptTokens: 10, predictedTokens: 7)
        }.json
        #expect(json["client"] == "10.0.0.9" && json["attempts"] == 2)
        #expect(json["model"] == "m" && json["instance"] == "m-2" && json["server"] == "A")
        #expect(json["ending"] == "upstream_broke")
        #expect(json["prompt_tokens"] == 10 && json["cached_tokens"] == 3 && json["output_tokens"] == 7)
    }
}
