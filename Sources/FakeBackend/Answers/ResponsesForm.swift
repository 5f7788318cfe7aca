import Wire

/// OpenAI's `/v1/responses`.
struct ResponsesForm: AnswerForm {
    func opening(_ generation: Generation) -> [String] {
        let started: JSON = [
            "response": ["id": responseID(generation), "object": "response", "status": "in_progress"]
        ]
        return [
            serverSent("response.created", started),
            serverSent("response.in_progress", started),
            serverSent(
                "response.output_item.added",
                [
                    "item": [
                        "content": [], "id": messageID(generation), "role": "assistant", "status": "in_progress",
                        "type": "message",
                    ]
                ]),
            serverSent(
                "response.content_part.added",
                ["item_id": messageID(generation), "part": ["type": "output_text", "text": ""]]),
        ]
    }

    func token(_ index: Int, of generation: Generation) -> String {
        serverSent(
            "response.output_text.delta", ["item_id": messageID(generation), "delta": .string(generation.word(index))])
    }

    func closing(_ generation: Generation) -> [String] {
        [
            serverSent(
                "response.output_text.done", ["item_id": messageID(generation), "text": .string(generation.text)]),
            serverSent("response.content_part.done", ["item_id": messageID(generation), "part": part(generation)]),
            serverSent("response.output_item.done", ["item": item(generation)]),
            serverSent("response.completed", ["response": whole(generation), "timings": generation.timings]),
        ]
    }

    func whole(_ generation: Generation) -> JSON {
        [
            "completed_at": JSON(generation.createdSeconds), "created_at": JSON(generation.createdSeconds),
            "id": responseID(generation), "model": .string(generation.model), "object": "response",
            "output": [item(generation)], "status": "completed",
            "usage": [
                "input_tokens": JSON(generation.promptTokens), "output_tokens": JSON(generation.answerTokens),
                "total_tokens": JSON(generation.promptTokens + generation.answerTokens),
                "input_tokens_details": ["cached_tokens": JSON(generation.cachedTokens)],
            ],
        ]
    }

    private func responseID(_ generation: Generation) -> JSON { .string("resp_\(generation.id)") }
    private func messageID(_ generation: Generation) -> JSON { .string("msg_\(generation.id)") }

    private func part(_ generation: Generation) -> JSON {
        ["type": "output_text", "annotations": [], "logprobs": [], "text": .string(generation.text)]
    }

    private func item(_ generation: Generation) -> JSON {
        [
            "content": [part(generation)], "id": messageID(generation), "role": "assistant", "status": "completed",
            "type": "message",
        ]
    }
}
