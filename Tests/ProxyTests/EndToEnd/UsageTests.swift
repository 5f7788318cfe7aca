import FakeBackend
import Proxy
import Testing
import Wire

@Suite("What an answer took is recorded, whatever the engine")
struct UsageTests {
    @Test(
        "as the engine reports it, streamed or not",
        arguments: [
            ("/v1/chat/completions", Behaviour.Kind.openai), ("/v1/messages", .llamaServer), ("/v1/responses", .llamaServer),
            ("/api/chat", .ollama), ("/api/generate", .ollama), ("/v1/chat/completions", .llamaServer),
            ("/v1/embeddings", .openai),
        ])
    func reported(path: String, kind: Behaviour.Kind) async throws {
        try await withBalancer(
            Setup {
                $0.servers = [
                    .init(
                        "A",
                        Behaviour {
                            $0.kind = kind; $0.models = ["m"]
                        })
                ]
            }
        ) { balancer in
            for stream in path.hasSuffix("embeddings") ? [false] : [false, true] {
                let body =
                    #"{"model":"m","stream":\#(stream),"max_tokens":6,"options":{"num_predict":6},"prompt":"hello","input":"hello","#
                    + #""stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello there"}]}"#
                let answer = try await balancer.ask(post(path, body))
                #expect(answer.status == 200)
            }
            let records = try await balancer.records(path.hasSuffix("embeddings") ? 1 : 2)
            for record in records {
                #expect(record.usage?.promptTokens != nil, "\(path)")
                if !path.hasSuffix("embeddings") { #expect(record.usage?.predictedTokens ?? 0 > 0, "\(path)") }
            }
        }
    }

    @Test("counted in the stream and by our own clock, when the engine reports nothing")
    func counted() async throws {
        let event = #"data: {"choices":[{"delta":{"content":"x"}}]}"# + "\n\n"
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        let engine = try await ScriptedEngine.start { _ in
            .sendAndClose(head + String(repeating: event, count: 30) + "data: [DONE]\n\n")
        }
        try await withBalancer(Setup { $0.servers = [.init("A", port: engine.port)] }) { balancer in
            _ = try await balancer.ask(chat(stream: true))
            let usage = try #require(try await balancer.records(1)[0].usage)
            #expect(usage.predictedTokens == 31 && usage.promptTokens == nil)
            #expect(usage.promptMilliseconds != nil && usage.predictedMilliseconds != nil)
        }
        await engine.stop()
    }
}
