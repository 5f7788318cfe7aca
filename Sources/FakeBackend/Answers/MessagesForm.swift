import Wire

/// Anthropic's `/v1/messages`.
struct MessagesForm: AnswerForm {
    func opening(_ generation: Generation) -> [String] {
        [
            serverSent(
                "message_start",
                ["message": message(generation, content: [], stopReason: .null, outputTokens: 0)]),
            serverSent("content_block_start", ["index": 0, "content_block": ["type": "text", "text": ""]]),
        ]
    }

    func token(_ index: Int, of generation: Generation) -> String {
        serverSent(
            "content_block_delta", ["index": 0, "delta": ["type": "text_delta", "text": .string(generation.word(index))]])
    }

    func closing(_ generation: Generation) -> [String] {
        [
            serverSent("content_block_stop", ["index": 0]),
            serverSent(
                "message_delta",
                [
                    "delta": ["stop_reason": stopReason(generation), "stop_sequence": nil],
                    "usage": ["output_tokens": JSON(generation.answerTokens)],
                ]),
            serverSent("message_stop", [:]),
        ]
    }

    func whole(_ generation: Generation) -> JSON {
        message(
            generation, content: [["type": "text", "text": .string(generation.text)]], stopReason: stopReason(generation),
            outputTokens: generation.answerTokens)
    }

    private func stopReason(_ generation: Generation) -> JSON { generation.isCutShort ? "max_tokens" : "end_turn" }

    private func message(_ generation: Generation, content: JSON, stopReason: JSON, outputTokens: Int) -> JSON {
        [
            "id": .string("msg_\(generation.id)"), "type": "message", "role": "assistant", "content": content,
            "model": .string(generation.model), "stop_reason": stopReason, "stop_sequence": nil,
            "usage": [
                "cache_read_input_tokens": JSON(generation.cachedTokens), "input_tokens": JSON(generation.processedTokens),
                "output_tokens": JSON(outputTokens),
            ],
        ]
    }
}
