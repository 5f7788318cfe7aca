/// What routing wants to know of a request body.
package struct RequestFacts: Equatable, Sendable {
    /// The top-level `model`, decoded. With duplicates the last one counts, as in the engines' parsers.
    package var model: String?
    /// Where the value of `model` lies in the body, quotes included.
    package var modelRange: Range<Int>?
    /// Top-level `stream`; nil when it is not said (Ollama then streams, OpenAI does not).
    package var stream: Bool?
    package var user: String?
    package var promptCacheKey: String?
    /// The texts of system messages, as ranges of raw string contents (escapes unresolved), in order.
    package var systemTexts: [Range<Int>] = []
    /// In bytes.
    package var bodyLength = 0

    package init() {}

    /// The decoded system texts joined by newlines, looking at no more than `limit` bytes of the body.
    package func systemText(in body: RawSpan, limit: Int) -> String {
        var budget = limit
        var parts: [String] = []
        body.withBytes { bytes in
            for range in systemTexts where budget > 0 && range.upperBound <= bytes.count {
                let end = min(range.upperBound, range.lowerBound + budget)
                budget -= end - range.lowerBound
                let raw = bytes.extracting(range.lowerBound..<end)
                let text = end == range.upperBound ? JSONString.decode(raw) : JSONString.decodeBeginning(raw)
                if let text { parts.append(text) }
            }
        }
        return parts.joined(separator: "\n")
    }
}

/// Why a body is not the JSON it claims to be.
package struct RequestScanProblem: Error, Equatable, Sendable {
    package let message: String
    /// The byte of the body at which it was noticed.
    package let offset: Int
}
