import Wire

/// Finds the user's name in the system messages of a chat (`sticky.username-pattern`). Each loop has its own finder.
///
/// The client writes the text, and `Regex` backtracks, so the duration of a match depends on both. Therefore the expression
/// is applied only to a limited number of short pieces of the text (docs/decisions/0021-patterns-see-short-pieces.md).
struct UsernameFinder {
    /// How many pieces of a text are tried, and how long each piece is.
    struct Limits {
        var pieces: Int
        /// In Unicode scalars.
        var length: Int

        /// For a pattern that begins with literal text. It is tried only where that text occurs.
        static let anchored = Limits(pieces: 16, length: 256)
        /// For any other pattern. It is searched in pieces that overlap by half. A search tries every position, so these
        /// pieces are shorter.
        static let searched = Limits(pieces: 31, length: 128)
    }

    /// The most bytes of the system messages, in their raw form in the body, in which the pattern's literal prefix is
    /// searched.
    static let searchedBytes = 64 << 10

    private let expression: Regex<AnyRegexOutput>
    /// The text with which every match begins; empty when there is none.
    private let literalPrefix: [UInt8]
    /// The part of `literalPrefix` that is the same in the raw body. JSON may write the characters after it as escapes.
    private let rawPrefix: [UInt8]
    /// The pattern matches only at the beginning of the text.
    private let isAtStart: Bool

    /// Nil when there is no pattern or it does not compile.
    init?(pattern: String?) {
        guard let pattern, let expression = try? Regex(pattern) else { return nil }
        // Matches by Unicode scalars, as `ModelPattern` and the original do. A piece then has as many steps as it has
        // scalars.
        self.expression = expression.matchingSemantics(.unicodeScalar)
        literalPrefix = Array(LiteralPrefix.of(pattern).utf8)
        rawPrefix = Array(literalPrefix.prefix { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "/") })
        isAtStart = pattern.hasPrefix("^") || pattern.hasPrefix(#"\A"#)
    }

    /// The first group of the first match, unless it is empty.
    func username(in facts: RequestFacts, body: RawSpan) -> String? {
        guard !facts.systemTexts.isEmpty, mayMatch(facts, body) else { return nil }
        return username(in: facts.systemText(in: body, limit: Self.searchedBytes), match: match)
    }

    /// Calls `match` with the pieces of the text that may contain a name, until it returns a name.
    func username(in text: String, match: (Substring) -> String?) -> String? {
        if literalPrefix.isEmpty { return searchedName(in: text, match: match) }
        var tries = 0
        var index = text.utf8.startIndex
        while tries < Limits.anchored.pieces, let start = nextPrefix(in: text, from: index) {
            tries += 1
            if let name = match(piece(of: text, from: start, length: Limits.anchored.length)) { return name }
            index = text.utf8.index(after: start)
        }
        return nil
    }

    private func searchedName(in text: String, match: (Substring) -> String?) -> String? {
        var start = text.startIndex
        for _ in 0..<Limits.searched.pieces {
            let piece = piece(of: text, from: start, length: Limits.searched.length)
            if let name = match(piece) { return name }
            if piece.endIndex == text.endIndex || isAtStart { break }
            start = text.unicodeScalars.index(start, offsetBy: Limits.searched.length / 2)
        }
        return nil
    }

    private func piece(of text: String, from start: String.Index, length: Int) -> Substring {
        let end = text.unicodeScalars.index(start, offsetBy: length, limitedBy: text.endIndex)
        return text[start..<(end ?? text.endIndex)]
    }

    private func match(_ piece: Substring) -> String? {
        let found = literalPrefix.isEmpty ? try? expression.firstMatch(in: piece) : try? expression.prefixMatch(in: piece)
        guard let found, found.output.count > 1, let name = found.output[1].substring, !name.isEmpty else { return nil }
        // A name that ends where the piece was cut may continue after the cut.
        return name.endIndex == piece.endIndex && piece.endIndex != piece.base.endIndex ? nil : String(name)
    }

    private func nextPrefix(in text: String, from start: String.Index) -> String.Index? {
        var index = start
        let utf8 = text.utf8
        while let candidate = utf8[index...].firstIndex(of: literalPrefix[0]) {
            if utf8[candidate...].starts(with: literalPrefix) { return candidate }
            index = utf8.index(after: candidate)
        }
        return nil
    }

    /// A cheap check of the raw bytes. When they contain neither the pattern's prefix nor an escape that could hide it,
    /// nothing can match.
    func mayMatch(_ facts: RequestFacts, _ body: RawSpan) -> Bool {
        guard let first = rawPrefix.first else { return true }
        var budget = Self.searchedBytes
        return body.withUnsafeBytes { bytes in
            for range in facts.systemTexts where budget > 0 && range.upperBound <= bytes.count {
                let raw = UnsafeRawBufferPointer(rebasing: bytes[range].prefix(budget))
                budget -= raw.count
                var index = 0
                while index < raw.count {
                    if raw[index] == UInt8(ascii: "\\"), index + 1 < raw.count {
                        if raw[index + 1] == UInt8(ascii: "u") { return true }
                        index += 2
                        continue
                    }
                    if raw[index] == first, raw[index...].starts(with: rawPrefix) { return true }
                    index += 1
                }
            }
            return false
        }
    }
}
