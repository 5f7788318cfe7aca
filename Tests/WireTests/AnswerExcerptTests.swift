import Testing

@testable import Wire

@Suite("The tail of an answer")
struct AnswerExcerptTests {
    private let numbers =
        #""timings":{"cache_n":236,"prompt_n":1,"prompt_ms":30.958,"prompt_per_token_ms":30.958,"#
        + #""predicted_n":35,"predicted_ms":661.064,"predicted_per_second":52.9}"#
    private let expected = AnswerUsage(
        cachedTokens: 236, promptTokens: 1, promptMilliseconds: 30.958, predictedTokens: 35, predictedMilliseconds: 661.064)

    private func timings(_ text: String, pieces size: Int = .max) -> AnswerUsage? {
        var tail = AnswerExcerpt()
        feed(text, pieces: size, to: &tail)
        return tail.usage()
    }

    private func feed(_ text: String, pieces size: Int, to tail: inout AnswerExcerpt) {
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let end = start + min(size, bytes.count - start)
            // Inside a larger buffer, as the bytes of a chunk lie.
            tail.append(bytes.span.bytes, start..<end)
            start = end
        }
    }

    @Test("finds the timings of an answer that is not streamed")
    func whole() {
        #expect(timings(#"{"choices":[{"message":{"content":"hi"}}],"usage":{"total_tokens":272},\#(numbers)}"#) == expected)
        #expect(
            timings(#"{ "timings" : {"prompt_n": 2, "prompt_ms": 4, "predicted_n": 3,"predicted_ms":  5e1 } }"#)
                == .init(promptTokens: 2, promptMilliseconds: 4, predictedTokens: 3, predictedMilliseconds: 50))
    }

    @Test("finds them at the end of a long stream, wherever it is cut")
    func stream() {
        let event = #"data: {"choices":[{"delta":{"content":"llamas say \"timings\": {\"prompt_n\":7"}}]}"# + "\n\n"
        let text = String(repeating: event, count: 400) + "data: {\"choices\":[],\(numbers)}\n\ndata: [DONE]\n\n"
        for size in [1, 2, 3, 7, 100, 333, 4095, 4096, 4097, 8192, 8193, 30_000, .max] {
            #expect(timings(text, pieces: size) == expected, "pieces of \(size)")
        }
        let end = text.utf8.count
        for cut in (end - 600)..<end {
            var tail = AnswerExcerpt()
            let bytes = Array(text.utf8)
            tail.append(bytes.span.bytes, 0..<cut)
            tail.append(bytes.span.bytes, cut..<end)
            #expect(tail.usage() == expected, "cut at \(cut)")
        }
    }

    @Test(
        "says nothing when the answer does not tell, or not all of it",
        arguments: [
            "", "{}", "data: [DONE]\n\n", #""timings""#, #"{"timings":null}"#, #"{"timings":{}}"#,
            #"{"timings":{"prompt_n":1,"prompt_ms":1,"predicted_n":1}}"#,
            #"{"content":"\"timings\":{\"prompt_n\":1,\"prompt_ms\":1,\"predicted_n\":1,\"predicted_ms\":1}"}"#,
            #"{"timings":{"prompt_n":,"prompt_ms":1,"predicted_n":1,"predicted_ms":1}}"#,
            #"{"timings":{"prompt_n":"1","prompt_ms":1,"predicted_n":1,"predicted_ms":1}}"#,
            #"{"timings":{"prompt_n":1,"prompt_ms":1,"predicted_n":1,"predicted_ms":"#,
        ])
    func absent(text: String) {
        #expect(timings(text) == nil)
    }

    @Test(
        "odd numbers are never a crash and never counted as tokens",
        arguments: [
            "1e400", "-1e400", "1e-400", "-5", "0.5", "99999999999999999999999999", "1e18", "1e19", "--1", "1.2.3", "e", "+",
        ])
    func oddNumbers(number: String) {
        let found = timings(
            #"{"timings":{"cache_n":\#(number),"prompt_n":\#(number),"prompt_ms":\#(number),"#
                + #""predicted_n":\#(number),"predicted_ms":\#(number)}}"#
        )
        guard let found else { return }
        let whole = Double(number).flatMap { Int(exactly: $0) }.flatMap { (0...1 << 40).contains($0) ? $0 : nil }
        #expect(found.cachedTokens == whole)
        #expect(found.promptTokens == whole ?? 0)
        #expect(found.predictedTokens == whole ?? 0)
    }

    @Test(
        "`usage` is read in the form of each API, and cached tokens are told apart from those that were computed",
        arguments: [
            (#"{"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}"#, nil, 10, 3),
            (#"{"usage":{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens":3}}"#, 8, 2, 3),
            (#"{"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":8},"output_tokens":3}}"#, 8, 2, 3),
            (
                #"{"usage":{"input_tokens":2,"cache_read_input_tokens":8,"cache_creation_input_tokens":1,"output_tokens":3}}"#, 8,
                3, 3
            ),
            (#"{"usage": { "prompt_tokens": 10, "completion_tokens": 3 }, "service_tier": "x"}"#, nil, 10, 3),
            (#"{"usage":{"prompt_tokens":4,"total_tokens":4},"data":[]}"#, nil, 4, nil),
            (#"data: {"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: {"usage":null}\n\n"#, nil, 1, 2),
            (#"{"usage":null}"#, nil, nil, nil), (#"{"usage":{}}"#, nil, nil, nil),
            (#"{"content":"\"usage\":{\"prompt_tokens\":1}"}"#, nil, nil, nil),
            (#"{"usage":{"prompt_tokens":9e18,"completion_tokens":-1}}"#, nil, nil, nil),
        ] as [(String, Int?, Int?, Int?)])
    func usage(text: String, cached: Int?, prompt: Int?, predicted: Int?) {
        let found = timings(text)
        #expect(found?.cachedTokens == cached && found?.promptTokens == prompt && found?.predictedTokens == predicted)
        #expect(found?.promptMilliseconds == nil && found?.predictedMilliseconds == nil)
    }

    @Test(
        "Anthropic's stream has the prompt in its first event and the answer in its last", arguments: [1, 100, .max], [0, 5, 200])
    func anthropicStream(size: Int, count: Int) {
        let begin =
            #"event: message_start\#ndata: {"type":"message_start","message":{"usage":{"input_tokens":5,"#
            + #""cache_read_input_tokens":95,"output_tokens":1}}}"# + "\n\n"
        let delta = #"data: {"type":"content_block_delta","delta":{"text":"x"}}"# + "\n\n"
        let end = #"data: {"type":"message_delta","delta":{},"usage":{"output_tokens":40}}"# + "\n\n"
        let text = begin + String(repeating: delta, count: count) + end
        var excerpt = AnswerExcerpt()
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let stop = start + min(size, bytes.count - start)
            excerpt.append(bytes.span.bytes, start..<stop, isStream: true)
            start = stop
        }
        #expect(excerpt.usage() == AnswerUsage(cachedTokens: 95, promptTokens: 5, predictedTokens: 40))
        #expect(excerpt.events(linesPerEvent: 2) == (text.utf8.count { $0 == 0x0A }) / 2)
    }

    @Test("what stands in front of a long answer is found, such as the usage of embeddings", arguments: [1, 500, 4000, .max])
    func usageInFront(size: Int) {
        for length in [100, 1_500, 3_000, 3_100, 20_000] {
            let vector = String(repeating: "0.1,", count: length / 4)
            let text = #"{"model":"m","object":"list","usage":{"prompt_tokens":7,"total_tokens":7},"data":[{"embedding":["#
            #expect(timings(text + vector + "0]}]}", pieces: size) == AnswerUsage(promptTokens: 7), "\(length)")
        }
    }

    @Test("Ollama's counts and durations")
    func ollama() {
        let last =
            #"{"model":"m","done":true,"context":[1,2],"total_duration":9,"load_duration":2500000000,"prompt_eval_count":26,"#
            + #""prompt_eval_duration":130000000,"eval_count":298,"eval_duration":4700000000}"# + "\n"
        let expected = AnswerUsage(
            promptTokens: 26, promptMilliseconds: 130, predictedTokens: 298, predictedMilliseconds: 4700,
            loadMilliseconds: 2500)
        #expect(timings(last) == expected)
        #expect(timings(String(repeating: #"{"response":"x","done":false}"# + "\n", count: 300) + last, pieces: 7) == expected)
        let tools = #"{"message":{"tool_calls":[{"function":{"arguments":{"eval_count":7,"prompt_eval_count":1}}}]},"#
        #expect(timings(tools + last.dropFirst()) == expected, "the counts stand at the end")
        // A prompt that was cached completely is not reported.
        #expect(
            timings(#"{"done":true,"eval_count":2,"eval_duration":1000000}"#)
                == AnswerUsage(predictedTokens: 2, predictedMilliseconds: 1))
    }

    @Test("forgets the answer before on reset")
    func reset() {
        var tail = AnswerExcerpt()
        feed("{\(numbers)}", pieces: .max, to: &tail)
        tail.reset()
        feed("{}", pieces: .max, to: &tail)
        #expect(tail.usage() == nil)
        feed("{\(numbers)}", pieces: 5, to: &tail)
        #expect(tail.usage() == expected)
    }

    @Test("keeps twice what it searches at most, whatever the pieces are", arguments: [1, 1000, 100_000])
    func bound(size: Int) {
        var tail = AnswerExcerpt()
        let piece = [UInt8](repeating: UInt8(ascii: "x"), count: size)
        for _ in 0..<(20_000 / size + 3) {
            tail.append(piece.span.bytes, 0..<size)
            #expect(tail.count <= 2 * AnswerExcerpt.kept + AnswerExcerpt.keptFromStart)
        }
        #expect(tail.count >= AnswerExcerpt.kept)
    }
}
