import Wire

/// `/v1/chat/completions`, as llama-server streams it.
struct ChatForm: AnswerForm {
    let includesUsage: Bool

    func opening(_ generation: Generation) -> [String] {
        [event(choices: #"[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]"#, generation)]
    }

    func token(_ index: Int, of generation: Generation) -> String {
        let word = quoted(generation.word(index))
        return event(choices: #"[{"finish_reason":null,"index":0,"delta":{"content":\#(word)}}]"#, generation)
    }

    func closing(_ generation: Generation) -> [String] {
        let last = #"[{"finish_reason":"\#(generation.finishReason)","index":0,"delta":{}}]"#
        let timings = #","timings":\#(generation.timings.text)"#
        guard includesUsage else { return [event(choices: last, generation, more: timings), serverSentDone] }
        return [
            event(choices: last, generation),
            event(choices: "[]", generation, more: #","usage":\#(generation.usage.text)"# + timings),
            serverSentDone,
        ]
    }

    func whole(_ generation: Generation) -> JSON {
        [
            "choices": [
                [
                    "finish_reason": .string(generation.finishReason), "index": 0,
                    "message": ["role": "assistant", "content": .string(generation.text)],
                ]
            ],
            "created": JSON(generation.createdSeconds), "model": .string(generation.model), "system_fingerprint": "fake",
            "object": "chat.completion", "usage": generation.usage, "id": .string("chatcmpl-\(generation.id)"),
            "timings": generation.timings,
        ]
    }

    private func event(choices: String, _ generation: Generation, more: String = "") -> String {
        let created = #""created":\#(generation.createdSeconds),"id":"chatcmpl-\#(generation.id)""#
        let model = #""model":\#(quoted(generation.model)),"system_fingerprint":"fake""#
        return serverSent(#"{"choices":\#(choices),\#(created),\#(model),"object":"chat.completion.chunk"\#(more)}"#)
    }
}

/// `/v1/completions`.
struct CompletionForm: AnswerForm {
    func opening(_ generation: Generation) -> [String] { [] }

    func token(_ index: Int, of generation: Generation) -> String {
        serverSent(document(generation, text: generation.word(index), finish: .null).text)
    }

    func closing(_ generation: Generation) -> [String] {
        [serverSent(document(generation, text: "", finish: .string(generation.finishReason), ends: true).text), serverSentDone]
    }

    func whole(_ generation: Generation) -> JSON {
        document(generation, text: generation.text, finish: .string(generation.finishReason), ends: true)
    }

    private func document(_ generation: Generation, text: String, finish: JSON, ends: Bool = false) -> JSON {
        var members: [JSON.Member] = [
            .init(name: "choices", value: [["text": .string(text), "index": 0, "logprobs": nil, "finish_reason": finish]]),
            .init(name: "created", value: JSON(generation.createdSeconds)),
            .init(name: "model", value: .string(generation.model)),
            .init(name: "system_fingerprint", value: "fake"),
            .init(name: "object", value: "text_completion"),
            .init(name: "id", value: .string("cmpl-\(generation.id)")),
        ]
        if ends {
            members.append(.init(name: "usage", value: generation.usage))
            members.append(.init(name: "timings", value: generation.timings))
        }
        return .object(members)
    }
}

/// llama-server's own `/completion` and `/infill`.
struct NativeCompletionForm: AnswerForm {
    func opening(_ generation: Generation) -> [String] { [] }

    func token(_ index: Int, of generation: Generation) -> String {
        let event: JSON = [
            "index": 0, "content": .string(generation.word(index)), "tokens": [JSON(index)], "stop": false, "id_slot": -1,
            "tokens_predicted": JSON(index + 1), "tokens_evaluated": JSON(generation.promptTokens),
        ]
        return serverSent(event.text)
    }

    /// Without `data: [DONE]`: that belongs to OpenAI's API.
    func closing(_ generation: Generation) -> [String] { [serverSent(end(generation, content: "").text)] }

    func whole(_ generation: Generation) -> JSON { end(generation, content: generation.text) }

    private func end(_ generation: Generation, content: String) -> JSON {
        [
            "index": 0, "content": .string(content), "tokens": [], "id_slot": 0, "stop": true,
            "model": .string(generation.model), "tokens_predicted": JSON(generation.answerTokens),
            "tokens_evaluated": JSON(generation.promptTokens), "generation_settings": [:], "prompt": "", "has_new_line": false,
            "truncated": false, "stop_type": generation.isCutShort ? "limit" : "eos", "stopping_word": "",
            "tokens_cached": JSON(generation.promptTokens + generation.answerTokens), "timings": generation.timings,
        ]
    }
}

/// The last event of OpenAI's streams.
let serverSentDone = "data: [DONE]\n\n"

/// A server-sent event.
func serverSent(_ json: String) -> String { "data: \(json)\n\n" }

/// A server-sent event with a name, which its JSON repeats as `type`.
func serverSent(_ name: String, _ members: JSON) -> String {
    let json = JSON.object([JSON.Member(name: "type", value: .string(name))] + (members.objectValue ?? []))
    return "event: \(name)\ndata: \(json.text)\n\n"
}

/// A JSON string with its quotes.
func quoted(_ text: String) -> String { JSON.string(text).text }
