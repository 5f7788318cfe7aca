/// The last bytes of an answer, where llama-server reports its `timings`.
///
/// Events of a stream are not parsed as they pass. Their last bytes are kept here and searched once, at the end of the answer.
package struct AnswerTail: Sendable {
    /// The number of bytes that are searched. The last event of llama-server's streams and `[DONE]` take about 800 bytes. Up
    /// to twice as many are stored, so that not every append has to move them.
    static let kept = 1536

    private var bytes: [UInt8] = []
    var count: Int { bytes.count }

    package init() {}

    package mutating func reset() { bytes.removeAll(keepingCapacity: true) }

    /// Adds content of the answer, in order.
    package mutating func append(_ span: RawSpan, _ range: Range<Int>) {
        let start = max(range.lowerBound, range.upperBound - Self.kept)
        if bytes.count + range.upperBound - start > 2 * Self.kept {
            bytes.removeFirst(max(0, bytes.count - Self.kept))
        }
        span.withBytes { bytes.append($0, start..<range.upperBound) }
    }

    /// What llama-server reports about one request.
    package struct EngineTimings: Sendable, Equatable {
        package var cachedTokens: Int?
        package var promptTokens: Int
        package var promptMilliseconds: Double
        package var predictedTokens: Int
        package var predictedMilliseconds: Double
    }

    /// The last timings in the answer; nil when they are missing or incomplete.
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

    /// Where the last `"timings"` begins; every event may have one. Inside generated text the quotes would be escaped.
    ///
    /// Most answers have none, and all kept bytes have to be searched: backwards for quotes, eight bytes at a time. The eight
    /// bytes behind each quote are compared at once.
    private func lastTimings() -> Int? {
        let timings: UInt64 = 0x2273_676E_696D_6974  // `timings"`, first byte lowest
        return bytes.withBytes { bytes in
            func isFound(at quote: Int) -> Bool { bytes.loadEight(quote &+ 1) == timings }
            var index = bytes.count - 9
            // Byte by byte until the rest can be searched eight bytes at a time.
            while index >= 0, index & 7 != 7 {
                if bytes[index] == UInt8(ascii: "\""), isFound(at: index) { return index }
                index &-= 1
            }
            while index >= 7 {
                var marks = EightBytes.marks(of: UInt8(ascii: "\""), bytes.loadEight(index &- 7))
                while marks != 0 {
                    let highest = 63 &- marks.leadingZeroBitCount
                    let quote = index &- 7 &+ highest &>> 3
                    if isFound(at: quote) { return quote }
                    marks &= ~(1 &<< UInt64(highest))
                }
                index &-= 8
            }
            return nil
        }
    }

    private func number(after literal: StaticString, from start: Int) -> Double? {
        bytes.withBytes { bytes in
            let length = literal.utf8CodeUnitCount
            var index = start
            while index + length <= bytes.count, !bytes.extracting(index...).hasPrefix(literal) { index += 1 }
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

}
