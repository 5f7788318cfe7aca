/// The last bytes of an answer, in which engines tell what the work was: `timings` (llama-server) and `usage`.
///
/// A stream is only copied here, never parsed as it passes; the numbers are looked for once, at its end.
package struct AnswerTail: Sendable {
    private static let kept = 4096

    private var bytes: [UInt8] = []

    package init() {}

    package mutating func reset() { bytes.removeAll(keepingCapacity: true) }

    /// Adds content of the answer, in order.
    package mutating func append(_ span: RawSpan, _ range: Range<Int>) {
        let start = max(range.lowerBound, range.upperBound - Self.kept)
        if bytes.count + range.upperBound - start > 2 * Self.kept {
            bytes.removeFirst(max(0, bytes.count - Self.kept))
        }
        span.withUnsafeBytes { bytes.append($0, start..<range.upperBound) }
    }

    /// What llama-server says of its own work. Nil when the answer does not tell.
    package struct EngineTimings: Sendable, Equatable {
        package var cachedTokens: Int?
        package var promptTokens: Int
        package var promptMilliseconds: Double
        package var predictedTokens: Int
        package var predictedMilliseconds: Double
    }

    package func timings() -> EngineTimings? {
        guard let start = lastTimings() else { return nil }
        guard let promptTokens = number(after: "\"prompt_n\":", from: start),
            let promptMilliseconds = number(after: "\"prompt_ms\":", from: start),
            let predictedTokens = number(after: "\"predicted_n\":", from: start),
            let predictedMilliseconds = number(after: "\"predicted_ms\":", from: start)
        else { return nil }
        return EngineTimings(
            cachedTokens: number(after: "\"cache_n\":", from: start).flatMap { Int(exactly: $0) },
            promptTokens: Int(exactly: promptTokens) ?? 0, promptMilliseconds: promptMilliseconds,
            predictedTokens: Int(exactly: predictedTokens) ?? 0, predictedMilliseconds: predictedMilliseconds)
    }

    /// Where the last `"timings"` begins (every event may have one), by Horspool's search: most answers have to be searched
    /// whole, most bytes are skipped. Inside an answer's text the quote after the word is escaped.
    private func lastTimings() -> Int? {
        let wanted: StaticString = "\"timings\""
        let length = wanted.utf8CodeUnitCount
        return bytes.withUnsafeBytes { bytes in
            var start = 0
            var found: Int?
            while start + length <= bytes.count {
                if matches(bytes, wanted, at: start) { found = start }
                switch bytes[start + length - 1] {
                case UInt8(ascii: "s"): start += 1
                case UInt8(ascii: "g"): start += 2
                case UInt8(ascii: "n"): start += 3
                case UInt8(ascii: "i"): start += 4
                case UInt8(ascii: "m"): start += 5
                case UInt8(ascii: "t"): start += 7
                case UInt8(ascii: "\""): start += 8
                default: start += length
                }
            }
            return found
        }
    }

    private func number(after literal: StaticString, from start: Int) -> Double? {
        bytes.withUnsafeBytes { bytes in
            let length = literal.utf8CodeUnitCount
            var index = start
            while index + length <= bytes.count, !matches(bytes, literal, at: index) { index += 1 }
            index += length
            while index < bytes.count, bytes[index] == 0x20 { index += 1 }
            var end = index
            while end < bytes.count,
                bytes[end].isDigit || bytes[end] == UInt8(ascii: ".") || bytes[end] == UInt8(ascii: "-")
                    || bytes[end] | 0x20 == UInt8(ascii: "e") || bytes[end] == UInt8(ascii: "+")
            { end += 1 }
            guard index < end, end - index < 40 else { return nil }
            return Double(String(decoding: UnsafeRawBufferPointer(rebasing: bytes[index..<end]), as: UTF8.self))
        }
    }

    private func matches(_ bytes: UnsafeRawBufferPointer, _ literal: StaticString, at start: Int) -> Bool {
        for index in 0..<literal.utf8CodeUnitCount where bytes[start + index] != literal.utf8Start[index] { return false }
        return true
    }
}
