/// What an engine answers to a prompt that is longer than its context.
package enum ContextError {
    /// The most bytes of such an answer.
    package static let longest = 4096

    /// llama-server's `exceed_context_size_error`, OpenAI's `context_length_exceeded`, and the words of vLLM, SGLang and LM Studio.
    private static let marks = ["context_size", "context_length", "context size", "context length"].map { Array($0.utf8) }

    /// Whether the body of a 400 says that the prompt is too long.
    package static func isTold(by body: [UInt8]) -> Bool {
        marks.contains { mark in
            body.indices.contains { start in
                body.count - start >= mark.count && body[start] == mark[0]
                    && body[start..<(start + mark.count)].elementsEqual(mark)
            }
        }
    }
}
