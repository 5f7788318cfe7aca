/// What an engine reports about the work for one answer. Nil: it does not say.
package struct AnswerUsage: Sendable, Equatable {
    /// Tokens of the prompt that came from the cache.
    package var cachedTokens: Int?
    /// Tokens of the prompt that were computed.
    package var promptTokens: Int?
    package var promptMilliseconds: Double?
    package var predictedTokens: Int?
    package var predictedMilliseconds: Double?

    package init(
        cachedTokens: Int? = nil, promptTokens: Int? = nil, promptMilliseconds: Double? = nil, predictedTokens: Int? = nil,
        predictedMilliseconds: Double? = nil
    ) {
        self.cachedTokens = cachedTokens
        self.promptTokens = promptTokens
        self.promptMilliseconds = promptMilliseconds
        self.predictedTokens = predictedTokens
        self.predictedMilliseconds = predictedMilliseconds
    }

    /// llama-server's `timings`; nil when they are incomplete.
    static func timings(_ bytes: Bytes, from start: Int) -> AnswerUsage? {
        func number(_ name: StaticString) -> Double? { Self.number(name, bytes.extracting(start...)) }
        guard let promptTokens = number("\"prompt_n\":"), let promptMilliseconds = number("\"prompt_ms\":"),
            let predictedTokens = number("\"predicted_n\":"), let predictedMilliseconds = number("\"predicted_ms\":")
        else { return nil }
        return AnswerUsage(
            cachedTokens: number("\"cache_n\":").flatMap { Int(exactly: $0) }, promptTokens: Int(exactly: promptTokens) ?? 0,
            promptMilliseconds: promptMilliseconds, predictedTokens: Int(exactly: predictedTokens) ?? 0,
            predictedMilliseconds: predictedMilliseconds)
    }

    /// `usage`: OpenAI counts cached tokens as part of the prompt, Anthropic beside it.
    static func usage(_ bytes: Bytes, from start: Int) -> AnswerUsage? {
        let object = bytes.extracting(start..<end(of: start, bytes))
        func count(_ name: StaticString) -> Int? { number(name, object).flatMap(tokens) }
        var usage = AnswerUsage(predictedTokens: count("\"completion_tokens\":") ?? count("\"output_tokens\":"))
        if let cached = count("\"cache_read_input_tokens\":") {
            usage.cachedTokens = cached
            usage.promptTokens = count("\"input_tokens\":").map { $0 + (count("\"cache_creation_input_tokens\":") ?? 0) }
        } else {
            usage.cachedTokens = count("\"cached_tokens\":")
            usage.promptTokens = (count("\"prompt_tokens\":") ?? count("\"input_tokens\":")).map {
                max(0, $0 - (usage.cachedTokens ?? 0))
            }
        }
        return usage == AnswerUsage() ? nil : usage
    }

    /// Ollama's fields beside `eval_count`. Durations are in nanoseconds.
    static func ollama(_ bytes: Bytes, around index: Int) -> AnswerUsage? {
        // They follow one another, in any order.
        let nearby = bytes.extracting(max(0, index - 400)..<min(bytes.count, index + 400))
        func milliseconds(_ name: StaticString) -> Double? { number(name, nearby).map { $0 / 1_000_000 } }
        let predicted = number("\"eval_count\":", nearby).flatMap(tokens)
        guard let predicted else { return nil }
        return AnswerUsage(
            promptTokens: number("\"prompt_eval_count\":", nearby).flatMap(tokens),
            promptMilliseconds: milliseconds("\"prompt_eval_duration\":"), predictedTokens: predicted,
            predictedMilliseconds: milliseconds("\"eval_duration\":"))
    }

    /// What is missing in `one` is taken from `other`.
    static func merged(_ one: AnswerUsage?, _ other: AnswerUsage?) -> AnswerUsage? {
        guard var usage = one, let other else { return one ?? other }
        usage.cachedTokens = usage.cachedTokens ?? other.cachedTokens
        usage.promptTokens = usage.promptTokens ?? other.promptTokens
        usage.predictedTokens = usage.predictedTokens ?? other.predictedTokens
        return usage
    }

    // MARK: Bytes

    /// A number of tokens; nil for anything that cannot be one.
    private static func tokens(_ number: Double) -> Int? {
        Int(exactly: number).flatMap { (0...1 << 40).contains($0) ? $0 : nil }
    }

    /// Where the object behind the key at `start` ends, or the bytes.
    private static func end(of start: Int, _ bytes: Bytes) -> Int {
        var depth = 0
        for index in start..<bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"):
                depth -= 1
                if depth <= 0 { return index }
            default: break
            }
        }
        return bytes.count
    }

    /// The number behind the first `name`, which includes its quotes and the colon.
    private static func number(_ name: StaticString, _ bytes: Bytes) -> Double? {
        let length = name.utf8CodeUnitCount
        var index = 0
        while index + length <= bytes.count, !bytes.extracting(index...).hasPrefix(name) { index += 1 }
        index += length
        while index < bytes.count, bytes[index] == 0x20 { index += 1 }
        var end = index
        while end < bytes.count,
            bytes[end].isDigit || bytes[end] == UInt8(ascii: ".") || bytes[end] == UInt8(ascii: "-")
                || bytes[end] | 0x20 == UInt8(ascii: "e") || bytes[end] == UInt8(ascii: "+")
        { end += 1 }
        guard index < end else { return nil }
        return Double(bytes.extracting(index..<end).text)
    }
}
