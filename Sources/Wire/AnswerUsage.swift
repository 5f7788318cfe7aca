/// What an engine reports about the work for one answer. Nil: it does not say.
package struct AnswerUsage: Sendable, Equatable {
    /// Tokens of the prompt that came from the cache.
    package var cachedTokens: Int?
    /// Tokens of the prompt that were computed.
    package var promptTokens: Int?
    package var promptMilliseconds: Double?
    package var predictedTokens: Int?
    package var predictedMilliseconds: Double?
    /// For loading the model (Ollama).
    package var loadMilliseconds: Double?

    package init(
        cachedTokens: Int? = nil, promptTokens: Int? = nil, promptMilliseconds: Double? = nil, predictedTokens: Int? = nil,
        predictedMilliseconds: Double? = nil, loadMilliseconds: Double? = nil
    ) {
        self.cachedTokens = cachedTokens
        self.promptTokens = promptTokens
        self.promptMilliseconds = promptMilliseconds
        self.predictedTokens = predictedTokens
        self.predictedMilliseconds = predictedMilliseconds
        self.loadMilliseconds = loadMilliseconds
    }

    /// llama-server's `timings`; nil when they are incomplete.
    static func timings(_ bytes: Bytes, from start: Int) -> AnswerUsage? {
        var usage = AnswerUsage()
        forEachNumber(in: bytes, from: start) { name, number in
            switch name.count {
            case 7 where name.equals("cache_n"): usage.cachedTokens = tokens(number)
            case 8 where name.equals("prompt_n"): usage.promptTokens = tokens(number) ?? 0
            case 9 where name.equals("prompt_ms"): usage.promptMilliseconds = milliseconds(number)
            case 11 where name.equals("predicted_n"): usage.predictedTokens = tokens(number) ?? 0
            case 12 where name.equals("predicted_ms"): usage.predictedMilliseconds = milliseconds(number)
            default: break
            }
        }
        let isComplete =
            usage.promptTokens != nil && usage.promptMilliseconds != nil && usage.predictedTokens != nil
            && usage.predictedMilliseconds != nil
        return isComplete ? usage : nil
    }

    /// `usage`: OpenAI counts cached tokens as part of the prompt, Anthropic beside it.
    static func usage(_ bytes: Bytes, from start: Int) -> AnswerUsage? {
        var usage = AnswerUsage()
        var (prompt, created): (Int?, Int?) = (nil, nil)
        var countsCachedApart = false
        forEachNumber(in: bytes, from: start) { name, number in
            switch name.count {
            case 12 where name.equals("input_tokens"): prompt = tokens(number)
            case 13 where name.equals("prompt_tokens"): prompt = tokens(number)
            case 13 where name.equals("cached_tokens"): usage.cachedTokens = tokens(number)
            case 13 where name.equals("output_tokens"): usage.predictedTokens = tokens(number)
            case 17 where name.equals("completion_tokens"): usage.predictedTokens = tokens(number)
            case 23 where name.equals("cache_read_input_tokens"):
                usage.cachedTokens = tokens(number)
                countsCachedApart = true
            case 27 where name.equals("cache_creation_input_tokens"): created = tokens(number)
            default: break
            }
        }
        usage.promptTokens = prompt.map { max(0, countsCachedApart ? $0 + (created ?? 0) : $0 - (usage.cachedTokens ?? 0)) }
        return usage == AnswerUsage() ? nil : usage
    }

    /// Ollama's fields beside `eval_count`. Durations are in nanoseconds.
    static func ollama(_ bytes: Bytes, around index: Int) -> AnswerUsage? {
        // They follow one another, in any order.
        let nearby = bytes.extracting(max(0, index - 400)..<min(bytes.count, index + 400))
        func milliseconds(_ name: StaticString) -> Double? {
            lastNumber(name, nearby).flatMap { self.milliseconds($0 / 1_000_000) }
        }
        let predicted = lastNumber("\"eval_count\":", nearby).flatMap(tokens)
        guard let predicted else { return nil }
        return AnswerUsage(
            promptTokens: lastNumber("\"prompt_eval_count\":", nearby).flatMap(tokens),
            promptMilliseconds: milliseconds("\"prompt_eval_duration\":"), predictedTokens: predicted,
            predictedMilliseconds: milliseconds("\"eval_duration\":"),
            loadMilliseconds: milliseconds("\"load_duration\":"))
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
    /// No prompt and no answer has more.
    private static let mostTokens = 100_000_000

    private static func tokens(_ number: Double) -> Int? {
        Int(exactly: number).flatMap { (0...mostTokens).contains($0) ? $0 : nil }
    }

    /// A duration; nil for anything that cannot be one, such as more than a year.
    private static func milliseconds(_ number: Double) -> Double? { (0...3.2e10).contains(number) ? number : nil }

    /// Calls `body` with the names of the members that are numbers, in the object behind the key at `start` and in the objects
    /// inside it.
    private static func forEachNumber(in bytes: Bytes, from start: Int, _ body: (Bytes, Double) -> Void) {
        var depth = 0
        var index = start
        var name: Range<Int>?
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"):
                depth -= 1
                if depth <= 0 { return }
            case UInt8(ascii: "\"") where depth > 0:
                var end = index + 1
                while end < bytes.count, bytes[end] != UInt8(ascii: "\"") { end += 1 }
                name = (index + 1)..<end
                index = end
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                let value = number(bytes, from: &index)
                // A number at the very end may be cut off.
                if let known = name, let value, index < bytes.count { body(bytes.extracting(known), value) }
                name = nil
                continue
            default: break
            }
            index += 1
        }
    }

    /// The number that begins at `index`, which moves behind it.
    private static func number(_ bytes: Bytes, from index: inout Int) -> Double? {
        let start = index
        var whole = 0
        while index < bytes.count, bytes[index].isDigit, index - start < 15 {
            whole = whole * 10 + Int(bytes[index] & 0x0F)
            index += 1
        }
        let isWhole = index > start && (index == bytes.count || !isNumberCharacter(bytes[index]))
        if isWhole { return Double(whole) }
        while index < bytes.count, isNumberCharacter(bytes[index]) { index += 1 }
        return Double(bytes.extracting(start..<index).text)
    }

    private static func isNumberCharacter(_ byte: UInt8) -> Bool {
        byte.isDigit || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte | 0x20 == UInt8(ascii: "e")
            || byte == UInt8(ascii: "+")
    }

    /// The number behind the last `name`, which includes its quotes and the colon. Generated text stands in front of the counts, and
    /// may have members with these names.
    private static func lastNumber(_ name: StaticString, _ bytes: Bytes) -> Double? {
        let length = name.utf8CodeUnitCount
        var index = bytes.count - length
        while index >= 0, !bytes.extracting(index...).hasPrefix(name) { index -= 1 }
        guard index >= 0 else { return nil }
        index += length
        while index < bytes.count, bytes[index] == 0x20 { index += 1 }
        guard index < bytes.count else { return nil }
        return number(bytes, from: &index)
    }
}
