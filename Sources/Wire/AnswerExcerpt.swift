/// The first and the last bytes of an answer, where engines report the work that it took.
///
/// Events of a stream are not parsed as they pass. Their first and last bytes are kept here and searched once, at the end of the
/// answer.
package struct AnswerExcerpt: Sendable {
    /// The number of bytes at the end that are searched. The last event of llama-server's streams and `[DONE]` take about 800
    /// bytes. Up to twice as many are stored, so that not every append has to move them.
    static let kept = 1536
    /// The number of bytes at the beginning. Anthropic's first event has the tokens of the prompt, and llama-server's answers with
    /// embeddings have their usage in front of the vectors.
    static let keptFromStart = 768

    private var beginning: [UInt8] = []
    private var bytes: [UInt8] = []
    var count: Int { bytes.count + beginning.count }
    /// How many lines of a stream have ended.
    private var lineEnds = 0

    package init() {}

    package mutating func reset() {
        beginning.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        lineEnds = 0
    }

    /// Adds content of the answer, in order. `isStream`: its lines are counted.
    package mutating func append(_ span: RawSpan, _ range: Range<Int>, isStream: Bool = false) {
        let start = max(range.lowerBound, range.upperBound - Self.kept)
        span.withBytes { source in
            let isFull = bytes.count + range.upperBound - start > 2 * Self.kept
            if beginning.isEmpty, isFull || start > range.lowerBound { keepBeginning(source, range) }
            if isFull { bytes.removeFirst(max(0, bytes.count - Self.kept)) }
            bytes.append(source, start..<range.upperBound)
            if isStream { lineEnds += EightBytes.count(of: 0x0A, source, range) }
        }
    }

    /// The answer becomes longer than what is searched at its end. `bytes` still has everything before `range`.
    private mutating func keepBeginning(_ source: Bytes, _ range: Range<Int>) {
        beginning += bytes.prefix(Self.keptFromStart)
        let missing = min(Self.keptFromStart - beginning.count, range.count)
        beginning.append(source, range.lowerBound..<(range.lowerBound + missing))
    }

    /// What the engine reports; nil when it reports nothing.
    package func usage() -> AnswerUsage? {
        bytes.withBytes { end in
            switch AnswerKey.last(in: end) {
            case .timings(let start): return .timings(end, from: start)
            case .usage(let start):
                var usage = AnswerUsage.usage(end, from: start)
                // Anthropic's first event has the prompt's tokens, the last one those of the answer.
                if usage?.promptTokens == nil { usage = AnswerUsage.merged(usage, usageAtBeginning()) }
                return usage
            case .ollama(let start): return .ollama(end, around: start)
            case nil: return beginning.isEmpty ? nil : usageAtBeginning()
            }
        }
    }

    private func usageAtBeginning() -> AnswerUsage? {
        // A short answer is all in `bytes`.
        (beginning.isEmpty ? bytes : beginning).withBytes { all in
            let start = all.extracting(..<min(all.count, Self.keptFromStart))
            return AnswerKey.first(in: start).flatMap { AnswerUsage.usage(start, from: $0) }
        }
    }

    /// The first `"id":"…"`, at the beginning or near the end.
    package func firstID() -> String? {
        beginning.withBytes(Self.firstID) ?? bytes.withBytes(Self.firstID)
    }

    private static func firstID(_ bytes: Bytes) -> String? {
        let name: StaticString = "\"id\":"
        var index = 0
        while index + name.utf8CodeUnitCount < bytes.count {
            defer { index += 1 }
            guard bytes[index] == UInt8(ascii: "\""), bytes.extracting(index...).hasPrefix(name) else { continue }
            var start = index + name.utf8CodeUnitCount
            while start < bytes.count, bytes[start].isJSONSpace { start += 1 }
            guard start < bytes.count, bytes[start] == UInt8(ascii: "\"") else { continue }
            start += 1
            guard let end = (start..<bytes.count).first(where: { bytes[$0] == UInt8(ascii: "\"") }), end > start else {
                return nil
            }
            return JSONString.decode(bytes.extracting(start..<end))
        }
        return nil
    }

    /// The number of events of a stream that reports nothing, about one for each token. `linesPerEvent`: 2 for events, 1 for
    /// lines of JSON.
    package func events(linesPerEvent: Int) -> Int { lineEnds / linesPerEvent }
}

/// Where an answer reports its work. Inside generated text the quotes would be escaped.
private enum AnswerKey {
    /// llama-server's `timings`.
    case timings(Int)
    /// `usage`, in the forms of OpenAI, Anthropic, and the Responses API.
    case usage(Int)
    /// Ollama's `eval_count`.
    case ollama(Int)

    /// The key whose name begins at `index`, behind a quote; nil when it is another one.
    @inline(__always)
    private init?(_ bytes: Bytes, at index: Int) {
        let timings: UInt64 = 0x2273_676E_696D_6974  // `timings"`, first byte lowest
        let usage: UInt64 = 0x2265_6761_7375  // `usage"`
        let evaluated: UInt64 = 0x756F_635F_6C61_7665  // `eval_cou`
        let word = bytes.loadEight(index)
        if word == timings {
            self = .timings(index)
        } else if word & 0xFFFF_FFFF_FFFF == usage, Self.opensObject(bytes, after: index + 6) {
            self = .usage(index)
        } else if word == evaluated {
            self = .ollama(index)
        } else {
            return nil
        }
    }

    /// False for `"usage":null`, which every chunk of a stream may have.
    private static func opensObject(_ bytes: Bytes, after index: Int) -> Bool {
        (index..<bytes.count).first { bytes[$0] != 0x20 && bytes[$0] != UInt8(ascii: ":") }.map { bytes[$0] == UInt8(ascii: "{") }
            ?? false
    }

    /// The first `usage`.
    static func first(in bytes: Bytes) -> Int? {
        let quote = UInt8(ascii: "\"")
        var index = EightBytes.firstIndex(of: quote, in: bytes, from: 0)
        while index + 9 <= bytes.count {
            if case .usage(let start) = AnswerKey(bytes, at: index + 1) { return start }
            index = EightBytes.firstIndex(of: quote, in: bytes, from: index + 1)
        }
        return nil
    }

    /// The last key.
    ///
    /// Most answers have none, and all kept bytes have to be searched: backwards for quotes, 64 bytes at a time. The eight bytes
    /// behind each quote are compared at once.
    static func last(in bytes: Bytes) -> AnswerKey? {
        let quote = UInt8(ascii: "\"")
        // The end of what is not searched yet. Eight bytes have to follow each quote.
        var end = bytes.count &- 8
        while end >= 64 {
            let start = end &- 64
            var mask = EightBytes.mask(of: quote, bytes, start)
            while mask != 0 {
                let highest = 63 &- mask.leadingZeroBitCount
                if let key = AnswerKey(bytes, at: start &+ highest &+ 1) { return key }
                mask &= ~(1 &<< UInt64(highest))
            }
            end = start
        }
        while end > 0 {
            end &-= 1
            if bytes[end] == quote, let key = AnswerKey(bytes, at: end &+ 1) { return key }
        }
        return nil
    }
}
