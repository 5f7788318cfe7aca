/// A whole answer, told as the stream that its client expects. Needed when a stream has been promised to the client, and the
/// engine answers without streaming.
package enum AnswerAsStream {
    /// The events; nil when the answer is none of those that are known.
    package static func events(_ answer: JSON) -> [UInt8]? {
        switch answer["object"]?.stringValue ?? answer["type"]?.stringValue {
        case "chat.completion": return chat(answer)
        case "text_completion": return event(nil, answer) + done
        case "message": return message(answer)
        case "response": return event("response.completed", ["type": "response.completed", "response": answer])
        case nil, .some: return nil
        }
    }

    private static let done = Array("data: [DONE]\n\n".utf8)

    private static func event(_ name: String?, _ data: JSON) -> [UInt8] {
        Array(name.map { "event: \($0)\n" }?.utf8 ?? "".utf8) + Array("data: ".utf8) + data.bytes + Array("\n\n".utf8)
    }

    /// OpenAI's chat: one chunk in which each choice has its whole message as a delta.
    private static func chat(_ answer: JSON) -> [UInt8] {
        let choices = (answer["choices"]?.arrayValue ?? []).map { choice -> JSON in
            var message = choice["message"] ?? [:]
            // Tool calls of a delta are numbered.
            if let calls = message["tool_calls"]?.arrayValue {
                message = message.setting("tool_calls", to: .array(calls.enumerated().map { $1.setting("index", to: JSON($0)) }))
            }
            return choice.setting("message", to: nil).setting("delta", to: message)
        }
        let chunk = answer.setting("object", to: "chat.completion.chunk").setting("choices", to: .array(choices))
        return event(nil, chunk) + done
    }

    /// Anthropic's messages: each block of the content begins, has one delta, and ends.
    private static func message(_ answer: JSON) -> [UInt8] {
        let start = answer.setting("content", to: []).setting("stop_reason", to: .null)
        var events = event("message_start", ["type": "message_start", "message": start])
        for (index, block) in (answer["content"]?.arrayValue ?? []).enumerated() {
            let (empty, delta) = parts(of: block)
            events += event(
                "content_block_start", ["type": "content_block_start", "index": JSON(index), "content_block": empty])
            if let delta {
                events += event("content_block_delta", ["type": "content_block_delta", "index": JSON(index), "delta": delta])
            }
            events += event("content_block_stop", ["type": "content_block_stop", "index": JSON(index)])
        }
        let end: JSON = [
            "stop_reason": answer["stop_reason"] ?? .null, "stop_sequence": answer["stop_sequence"] ?? .null,
        ]
        events += event("message_delta", ["type": "message_delta", "delta": end, "usage": answer["usage"] ?? [:]])
        return events + event("message_stop", ["type": "message_stop"])
    }

    /// The block as it begins, and what it has in the end.
    private static func parts(of block: JSON) -> (start: JSON, delta: JSON?) {
        switch block["type"]?.stringValue {
        case "text":
            (block.setting("text", to: ""), ["type": "text_delta", "text": block["text"] ?? ""])
        case "thinking":
            (block.setting("thinking", to: ""), ["type": "thinking_delta", "thinking": block["thinking"] ?? ""])
        case "tool_use":
            (
                block.setting("input", to: [:]),
                ["type": "input_json_delta", "partial_json": .string(block["input"]?.text ?? "{}")]
            )
        case nil, .some: (block, nil)
        }
    }
}
