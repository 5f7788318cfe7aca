/// Finds characters of system prompts that change with every request and mean nothing to the model. An engine that does not
/// know them computes the whole prompt anew each time, because its cache ends at the first character that differs.
///
/// Since version 2.1.36, Claude Code begins its system prompt with
/// `x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;`: `cch` and the last part of the version
/// change.
package struct VolatilePrompts {
    /// What the characters are replaced by. The length of the body does not change.
    package static let replacement = UInt8(ascii: "0")

    // The patterns are the operator's, but the text is the client's, and `Regex` backtracks, so it sees single lines, and not
    // all of them (docs/decisions/0021-patterns-see-short-pieces.md).
    private static let searchedLine = 256
    private static let searchedLines = 1000
    private static let mostMatches = 4

    private let patterns: [Regex<AnyRegexOutput>]

    /// - Parameter patterns: further volatile parts of a line: the first group, or the whole match when there is no group.
    package init(patterns: [String] = []) {
        self.patterns = patterns.compactMap { try? Regex($0).matchingSemantics(.unicodeScalar) }
    }

    /// Whether there are parts besides the known ones. Of the known ones, a prompt's hashes are independent (`VolatileLine`).
    package var hasPatterns: Bool { !patterns.isEmpty }

    /// The bytes to replace in a JSON body, in order.
    package func ranges(in facts: RequestFacts, body: RawSpan) -> [Range<Int>] {
        guard !facts.systemTexts.isEmpty else { return [] }
        return body.withBytes { bytes in
            var found: [Range<Int>] = []
            var lines = Self.searchedLines
            for text in facts.systemTexts where text.upperBound <= bytes.count {
                billing(bytes, text, &found)
                if !patterns.isEmpty { searchLines(bytes, text, &lines, &found) }
            }
            return found.isEmpty ? [] : Self.joined(found)
        }
    }

    // MARK: Claude Code's line

    static let billingHeader: StaticString = "x-anthropic-billing-header:"
    /// The line and its values are short. Longer ones are something else, and stay.
    static let longestLine = 512
    private static let longestValue = 64

    private func billing(_ bytes: Bytes, _ text: Range<Int>, _ found: inout [Range<Int>]) {
        guard bytes.extracting(text).hasPrefix(Self.billingHeader) else { return }
        // The line ends with the text, or with an escaped line break.
        let searched = text.lowerBound..<min(text.upperBound, text.lowerBound + Self.longestLine)
        let line = text.lowerBound..<(searched.first { bytes[$0] == UInt8(ascii: "\\") } ?? searched.upperBound)
        if let value = value("cch=", bytes, line), value.count <= Self.longestValue {
            add(value, outsideEscapesOf: line, bytes, &found)
        }
        if let version = value("cc_version=", bytes, line) {
            let dots = version.filter { bytes[$0] == UInt8(ascii: ".") }
            if dots.count > 2, version.count <= Self.longestValue {
                add((dots[2] + 1)..<version.upperBound, outsideEscapesOf: line, bytes, &found)
            }
        }
    }

    /// The text between `name` and the next semicolon.
    private func value(_ name: StaticString, _ bytes: Bytes, _ line: Range<Int>) -> Range<Int>? {
        guard let start = line.first(where: { bytes.extracting($0..<line.upperBound).hasPrefix(name) }) else { return nil }
        let from = start + name.utf8CodeUnitCount
        return from..<((from..<line.upperBound).first { bytes[$0] == UInt8(ascii: ";") } ?? line.upperBound)
    }

    // MARK: Configured patterns

    private func searchLines(_ bytes: Bytes, _ text: Range<Int>, _ lines: inout Int, _ found: inout [Range<Int>]) {
        var start = text.lowerBound
        while start < text.upperBound, lines > 0 {
            lines -= 1
            let end = lineEnd(bytes, start..<text.upperBound)
            var cut = min(end, start + Self.searchedLine)
            // Not in the middle of a character.
            while cut > start, cut < end, bytes[cut] & 0xC0 == 0x80 { cut -= 1 }
            for pattern in patterns { search(pattern, bytes, start..<cut, &found) }
            start = end + 2
        }
    }

    /// Where the escape `\n` that ends the line begins.
    private func lineEnd(_ bytes: Bytes, _ text: Range<Int>) -> Int {
        var index = text.lowerBound
        while index < text.upperBound {
            guard bytes[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            if index + 1 < text.upperBound, bytes[index + 1] == UInt8(ascii: "n") { return index }
            index += 2
        }
        return text.upperBound
    }

    private func search(
        _ pattern: Regex<AnyRegexOutput>, _ bytes: Bytes, _ line: Range<Int>, _ found: inout [Range<Int>]
    ) {
        let text = bytes.extracting(line).text
        var rest = text[...]
        for _ in 0..<Self.mostMatches {
            guard let match = try? pattern.firstMatch(in: rest), !match.range.isEmpty else { return }
            if let range = match.output.count > 1 ? match.output[1].range : match.range {
                let start = line.lowerBound + text.utf8.distance(from: text.startIndex, to: range.lowerBound)
                let end = line.lowerBound + text.utf8.distance(from: text.startIndex, to: range.upperBound)
                add(start..<min(end, line.upperBound), outsideEscapesOf: line, bytes, &found)
            }
            rest = rest[match.range.upperBound...]
        }
    }

    // MARK: Ranges

    /// Adds the letters and digits of a range, but not those of escapes: the body must remain the same JSON but for these
    /// characters. `line` begins outside an escape.
    private func add(_ range: Range<Int>, outsideEscapesOf line: Range<Int>, _ bytes: Bytes, _ found: inout [Range<Int>]) {
        var index = line.lowerBound
        while index < range.upperBound {
            if bytes[index] == UInt8(ascii: "\\") {
                let isUnicode = index + 1 < bytes.count && bytes[index + 1] == UInt8(ascii: "u")
                index += isUnicode ? 6 : 2
                continue
            }
            if index >= range.lowerBound, bytes[index].isASCIILetterOrDigit { note(index, &found) }
            index += 1
        }
    }

    private func note(_ index: Int, _ found: inout [Range<Int>]) {
        if let last = found.last, last.upperBound == index {
            found[found.count - 1] = last.lowerBound..<(index + 1)
        } else {
            found.append(index..<(index + 1))
        }
    }

    /// Sorted, without overlaps, neighbours joined.
    private static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
        var joined: [Range<Int>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        return joined
    }
}

extension UInt8 {
    fileprivate var isASCIILetterOrDigit: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20)
    }
}
