/// What routing needs to know about a request body.
package struct RequestFacts: Equatable, Sendable {
    /// The top-level `model`, decoded. When there are several, the last one is used, as in the engines' parsers.
    package var model: String?
    /// The body has several fields that an engine may take for the model's name: equal ones, or `Model`, because Go, in which Ollama is
    /// written, ignores the case of keys.
    package var hasSeveralModels = false
    /// The bytes of the value of `model` in the body; in JSON including its quotes.
    package var modelRange: Range<Int>?
    /// The top-level `name` or `source`, in which some of Ollama's requests name their model.
    package var name: String?
    /// The top-level `stream`; nil when the body has none. Ollama then streams, OpenAI does not.
    package var stream: Bool?
    package var user: String?
    package var promptCacheKey: String?
    /// What the request goes on from, and one server made: the top-level `previous_response_id`, `conversation` or
    /// `input_file_id`.
    package var follows: String?
    /// The ranges of the texts of system messages in the body, in order. Escapes in them are not resolved.
    package var systemTexts: [Range<Int>] = []
    /// In bytes.
    package var bodyLength = 0

    package init() {}

    /// The decoded system texts, joined by newlines. At most `limit` bytes of the body are decoded.
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

/// Why a body is not the JSON document or form that it claims to be.
package struct RequestScanProblem: Error, Equatable, Sendable {
    package let message: String
    /// The offset in the body at which the problem was found.
    package let offset: Int
}
