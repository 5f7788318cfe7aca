import Testing

@testable import Wire

@Suite("The tail of an answer")
struct AnswerTailTests {
    private let numbers =
        #""timings":{"cache_n":236,"prompt_n":1,"prompt_ms":30.958,"prompt_per_token_ms":30.958,"#
        + #""predicted_n":35,"predicted_ms":661.064,"predicted_per_second":52.9}"#
    private let expected = AnswerTail.EngineTimings(
        cachedTokens: 236, promptTokens: 1, promptMilliseconds: 30.958, predictedTokens: 35, predictedMilliseconds: 661.064)

    private func timings(_ text: String, pieces size: Int = .max) -> AnswerTail.EngineTimings? {
        var tail = AnswerTail()
        feed(text, pieces: size, to: &tail)
        return tail.timings()
    }

    private func feed(_ text: String, pieces size: Int, to tail: inout AnswerTail) {
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
            var tail = AnswerTail()
            let bytes = Array(text.utf8)
            tail.append(bytes.span.bytes, 0..<cut)
            tail.append(bytes.span.bytes, cut..<end)
            #expect(tail.timings() == expected, "cut at \(cut)")
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
        let whole = Double(number).flatMap { Int(exactly: $0) }
        #expect(found.cachedTokens == whole)
        #expect(found.promptTokens == whole ?? 0)
        #expect(found.predictedTokens == whole ?? 0)
    }

    @Test("forgets the answer before on reset")
    func reset() {
        var tail = AnswerTail()
        feed("{\(numbers)}", pieces: .max, to: &tail)
        tail.reset()
        feed("{}", pieces: .max, to: &tail)
        #expect(tail.timings() == nil)
        feed("{\(numbers)}", pieces: 5, to: &tail)
        #expect(tail.timings() == expected)
    }

    @Test("keeps twice what it searches at most, whatever the pieces are", arguments: [1, 1000, 100_000])
    func bound(size: Int) {
        var tail = AnswerTail()
        let piece = [UInt8](repeating: UInt8(ascii: "x"), count: size)
        for _ in 0..<(20_000 / size + 3) {
            tail.append(piece.span.bytes, 0..<size)
            #expect(tail.count <= 2 * AnswerTail.kept)
        }
        #expect(tail.count >= AnswerTail.kept)
    }
}
