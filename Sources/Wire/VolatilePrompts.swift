/// Finds characters of system prompts that change with every request and mean nothing to the model. An engine that does not
/// know them computes the whole prompt anew each time, because its cache ends at the first character that differs.
///
/// Since version 2.1.36, Claude Code begins its system prompt with
/// `x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;`: `cch` and the last part of the version
/// change.
package struct VolatilePrompts {
    /// What the characters are replaced by. The length of the body does not change.
    package static let replacement = UInt8(ascii: "0")

    private let patterns: [VolatilePattern]

    /// - Parameter patterns: further volatile parts of a line: the first group, or the whole match when there is no group.
    package init(patterns: [String] = []) {
        self.patterns = patterns.compactMap { VolatilePattern($0) }
    }

    /// Whether there are parts besides the known ones. Of the known ones, a prompt's hashes are independent (`VolatileLine`).
    package var hasPatterns: Bool { !patterns.isEmpty }

    /// The bytes to replace in a JSON body, in order.
    package func ranges(in facts: RequestFacts, body: RawSpan) -> [Range<Int>] {
        guard !facts.systemTexts.isEmpty else { return [] }
        return body.withBytes { bytes in
            var found: [Range<Int>] = []
            let texts = facts.systemTexts.filter { $0.upperBound <= bytes.count }
            for text in texts { billing(bytes, text, &found) }
            for pattern in patterns { search(pattern, texts, bytes, &found) }
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

    private func search(_ pattern: VolatilePattern, _ texts: [Range<Int>], _ bytes: Bytes, _ found: inout [Range<Int>]) {
        var budget = VolatilePattern.searchedBytes
        var tries = pattern.tries(among: patterns.count)
        for text in texts {
            let text = text.prefix(budget)
            budget -= text.count
            var start = text.startIndex
            while start < text.endIndex, tries > 0 {
                let end = lineEnd(bytes, start..<text.endIndex)
                search(pattern, bytes, start..<end, &tries, &found)
                start = end + 2
            }
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
        _ pattern: VolatilePattern, _ bytes: Bytes, _ line: Range<Int>, _ tries: inout Int, _ found: inout [Range<Int>]
    ) {
        var start = line.lowerBound
        while tries > 0, let piece = pattern.piece(of: line, from: start, bytes) {
            tries -= 1
            let text = bytes.extracting(piece).text
            guard let match = pattern.match(text[...]), !match.range.isEmpty else {
                guard pattern.isAnchored else { return }
                start = piece.lowerBound + 1
                continue
            }
            func place(_ index: String.Index) -> Int {
                min(piece.lowerBound + text.utf8.distance(from: text.startIndex, to: index), piece.upperBound)
            }
            if let range = match.output.count > 1 ? match.output[1].range : match.range {
                add(place(range.lowerBound)..<place(range.upperBound), outsideEscapesOf: line, bytes, &found)
            }
            guard pattern.isAnchored else { return }
            start = place(match.range.upperBound)
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
