/// A regular expression of the configuration (`volatile-prompts`), and where in a text it is tried.
///
/// The pattern is the operator's, but the text is the client's, and `Regex` backtracks. So it sees short pieces of lines, and few of them
/// (docs/decisions/0021-patterns-see-short-pieces.md).
struct VolatilePattern {
    /// How many pieces are tried.
    struct Limits {
        /// Of one pattern in one request.
        var tries: Int
        /// Of all patterns together in one request; each may use its share.
        var allTries: Int

        /// For a pattern that begins with literal text. It is tried only where that text occurs.
        static let anchored = Limits(tries: 16, allTries: 32)
        /// For any other pattern. It is searched for in the beginnings of the first lines.
        static let searched = Limits(tries: 16, allTries: 16)
    }

    /// Of a piece, in bytes; literal text in front comes on top.
    static let length = 64

    /// The most bytes of the system messages in which literal beginnings are looked for.
    static let searchedBytes = 256 << 10

    let expression: Regex<AnyRegexOutput>
    let limits: Limits
    /// The bytes with which every match begins; empty when there are none.
    private let literal: [UInt8]
    private let isAtLineStart: Bool

    /// Nil when it does not compile.
    init?(_ pattern: String) {
        guard let expression = try? Regex(pattern) else { return nil }
        self.expression = expression.matchingSemantics(.unicodeScalar)
        isAtLineStart = pattern.first == "^" && !LiteralPrefix.hasAlternatives(pattern)
        literal = Array(LiteralPrefix.of(isAtLineStart ? String(pattern.dropFirst()) : pattern).utf8)
        limits = literal.isEmpty ? .searched : .anchored
    }

    /// How many pieces are tried in a request, beside as many other patterns.
    func tries(among patterns: Int) -> Int { max(1, min(limits.tries, limits.allTries / patterns)) }

    /// The next piece of a line to try, which begins at `start` or later; nil when there is none.
    func piece(of line: Range<Int>, from start: Int, _ bytes: Bytes) -> Range<Int>? {
        guard !literal.isEmpty else {
            let end = Self.cut(line.upperBound, line.lowerBound + Self.length, bytes)
            return start < end ? start..<end : nil
        }
        let last = isAtLineStart ? line.lowerBound : line.upperBound - literal.count
        var start = start
        while start <= last, !hasLiteral(start..<line.upperBound, bytes) { start += 1 }
        return start <= last ? start..<Self.cut(line.upperBound, start + literal.count + Self.length, bytes) : nil
    }

    private func hasLiteral(_ text: Range<Int>, _ bytes: Bytes) -> Bool {
        guard text.count >= literal.count, bytes[text.lowerBound] == literal[0] else { return false }
        for index in literal.indices where bytes[text.lowerBound + index] != literal[index] { return false }
        return true
    }

    /// Not in the middle of a character.
    private static func cut(_ end: Int, _ limit: Int, _ bytes: Bytes) -> Int {
        guard limit < end else { return end }
        var cut = limit
        while cut > limit - 4, bytes[cut] & 0xC0 == 0x80 { cut -= 1 }
        return cut
    }

    /// Whether a line may have several pieces, one wherever the literal text occurs.
    var isAnchored: Bool { !literal.isEmpty }

    /// The first match in a piece.
    func match(_ text: Substring) -> Regex<AnyRegexOutput>.Match? {
        literal.isEmpty ? try? expression.firstMatch(in: text) : try? expression.prefixMatch(in: text)
    }
}

/// The literal text with which every match of a regular expression begins.
package enum LiteralPrefix {
    /// Empty when there is none.
    package static func of(_ pattern: String) -> String {
        // The alternatives of `a|b` have no common prefix, and inside `\Q…\E` no character is special.
        guard !hasAlternatives(pattern), !pattern.contains(#"\Q"#) else { return "" }
        let prefix = pattern.prefix { !#".*+?()[]{}|\^$"#.contains($0) }
        // `ab?`: the character in front of such a quantifier is optional.
        let isOptional = pattern.dropFirst(prefix.count).first.map { "*?{".contains($0) } ?? false
        return String(isOptional ? prefix.dropLast() : prefix)
    }

    /// Whether a `|` occurs outside all groups and character classes.
    package static func hasAlternatives(_ pattern: String) -> Bool {
        var groups = 0
        var classes = 0
        var isEscaped = false
        for character in pattern {
            if isEscaped {
                isEscaped = false
                continue
            }
            switch character {
            case "\\": isEscaped = true
            case "[": classes += 1
            case "]": classes = max(0, classes - 1)
            case "(" where classes == 0: groups += 1
            case ")" where classes == 0: groups -= 1
            case "|" where classes == 0 && groups == 0: return true
            default: break
            }
        }
        return false
    }
}
