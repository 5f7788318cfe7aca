import Testing

@testable import Wire

@Suite("A whole answer told as a stream") struct AnswerAsStreamTests {
    private func events(_ text: String) throws -> String? {
        AnswerAsStream.events(try JSON(parsing: Array(text.utf8))).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("a chat is one chunk with whole deltas, and the end")
    func chat() throws {
        let answer =
            #"{"id":"c1","object":"chat.completion","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","#
            + #""content":"hi","tool_calls":[{"id":"t","function":{"name":"f"}}]}}],"usage":{"prompt_tokens":1}}"#
        let text = try #require(try events(answer))
        let chunk = try JSON(parsing: Array(try #require(text.split(separator: "\n\n").first).dropFirst(6).utf8))
        #expect(chunk["object"] == "chat.completion.chunk" && chunk["id"] == "c1" && chunk["usage"]?["prompt_tokens"] == 1)
        let choice = try #require(chunk["choices"]?[0])
        #expect(choice["delta"]?["content"] == "hi" && choice["message"] == nil && choice["finish_reason"] == "tool_calls")
        #expect(choice["delta"]?["tool_calls"]?[0]?["index"] == 0 && choice["delta"]?["tool_calls"]?[0]?["id"] == "t")
        #expect(text.hasSuffix("\n\ndata: [DONE]\n\n"))
    }

    @Test("a completion is its own chunk")
    func completion() throws {
        let answer = #"{"object":"text_completion","choices":[{"text":"x"}]}"#
        #expect(try events(answer) == "data: \(answer)\n\ndata: [DONE]\n\n")
    }

    @Test("a message begins, has each block with one delta, and ends")
    func message() throws {
        let answer =
            #"{"type":"message","id":"m","role":"assistant","stop_reason":"tool_use","usage":{"output_tokens":3},"content":["#
            + #"{"type":"thinking","thinking":"hm"},{"type":"text","text":"hi"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}]}"#
        let text = try #require(try events(answer))
        let names = text.split(separator: "\n").filter { $0.hasPrefix("event: ") }.map { $0.dropFirst(7) }
        let block = ["content_block_start", "content_block_delta", "content_block_stop"]
        #expect(names.map(String.init) == ["message_start"] + block + block + block + ["message_delta", "message_stop"])
        #expect(text.contains(#""delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}"#))
        #expect(text.contains(#""delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":3}"#))
        for line in text.split(separator: "\n") where line.hasPrefix("data: ") {
            _ = try JSON(parsing: Array(line.dropFirst(6).utf8))
        }
    }

    @Test("a response is the event of its completion")
    func response() throws {
        let answer = #"{"object":"response","id":"r"}"#
        let data = #"{"type":"response.completed","response":\#(answer)}"#
        #expect(try events(answer) == "event: response.completed\ndata: \(data)\n\n")
    }

    @Test(
        "anything else is not",
        arguments: ["{}", "[]", "null", #"{"error":{"message":"x"}}"#, #"{"object":"list"}"#, #"{"type":5}"#])
    func others(text: String) throws {
        #expect(try events(text) == nil)
    }

    @Test(
        "odd members are no crash",
        arguments: [
            #"{"object":"chat.completion"}"#, #"{"object":"chat.completion","choices":5}"#,
            #"{"object":"chat.completion","choices":[5,{}]}"#,
            #"{"type":"message","content":[5,{},{"type":"text"},{"type":"tool_use"},{"type":"image"}]}"#,
        ])
    func odd(text: String) throws {
        #expect(try events(text) != nil)
    }
}
