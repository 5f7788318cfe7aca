import Wire

/// Ollama's `/api/chat` and `/api/generate`: a JSON document on each line.
struct OllamaForm: AnswerForm {
    enum Endpoint {
        case chat, generate
    }

    let endpoint: Endpoint
    var streamType: String { "application/x-ndjson" }

    func opening(_ generation: Generation) -> [String] { [] }

    func token(_ index: Int, of generation: Generation) -> String {
        line(generation, text: generation.word(index), isDone: false).text + "\n"
    }

    func closing(_ generation: Generation) -> [String] { [line(generation, text: "", isDone: true).text + "\n"] }

    func whole(_ generation: Generation) -> JSON { line(generation, text: generation.text, isDone: true) }

    private func line(_ generation: Generation, text: String, isDone: Bool) -> JSON {
        var members: [JSON.Member] = [
            .init(name: "model", value: .string(generation.model)),
            .init(name: "created_at", value: .string(WallClock.timestamp)),
        ]
        switch endpoint {
        case .chat: members.append(.init(name: "message", value: ["role": "assistant", "content": .string(text)]))
        case .generate: members.append(.init(name: "response", value: .string(text)))
        }
        members.append(.init(name: "done", value: .bool(isDone)))
        if isDone {
            let prefill = generation.prefillNanoseconds
            let total = generation.totalNanoseconds
            members += [
                .init(name: "done_reason", value: .string(generation.finishReason)),
                .init(name: "total_duration", value: JSON(total)),
                .init(name: "load_duration", value: 0),
                .init(name: "prompt_eval_count", value: JSON(generation.promptTokens)),
                .init(name: "prompt_eval_duration", value: JSON(prefill)),
                .init(name: "eval_count", value: JSON(generation.answerTokens)),
                .init(name: "eval_duration", value: JSON(total - prefill)),
            ]
        }
        return .object(members)
    }
}
