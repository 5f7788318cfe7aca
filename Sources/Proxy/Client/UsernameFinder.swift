import Wire

/// Finds the user's name in the system messages of a chat (`sticky.username-pattern`). One for each loop.
struct UsernameFinder {
    /// So much of the system messages is looked at.
    private static let searched = 64 << 10
    /// So much text after the pattern's literal beginning is given to the regular expression.
    private static let window = 1024

    private let expression: Regex<AnyRegexOutput>
    /// The characters with which every match begins, up to the pattern's first special one.
    private let literalPrefix: String

    init?(pattern: String?) {
        guard let pattern, let expression = try? Regex(pattern) else { return nil }
        self.expression = expression
        let prefix = pattern.prefix { !#".*+?()[]{}|\^$"#.contains($0) }
        // `ab?` and `a|b`: what stands before a quantifier may be absent, an alternative has no common beginning.
        let next = pattern.dropFirst(prefix.count).first
        let isQuantified = next.map { "*?{".contains($0) } ?? false
        literalPrefix = pattern.contains("|") ? "" : String(isQuantified ? prefix.dropLast() : prefix)
    }

    func username(in facts: RequestFacts, body: RawSpan) -> String? {
        guard !facts.systemTexts.isEmpty, mayMatch(facts, body) else { return nil }
        let text = facts.systemText(in: body, limit: Self.searched)
        guard !literalPrefix.isEmpty else { return match(text[...]) }
        var rest = text[...]
        while let start = rest.firstRange(of: literalPrefix)?.lowerBound {
            if let name = match(rest[start...].prefix(Self.window)) { return name }
            rest = rest[rest.index(after: start)...]
        }
        return nil
    }

    private func match(_ text: Substring) -> String? {
        guard let match = try? expression.firstMatch(in: text), match.output.count > 1,
            let name = match.output[1].substring, !name.isEmpty
        else { return nil }
        return String(name)
    }

    /// A cheap look at the raw bytes: without the literal beginning, or escapes that could hide it, nothing can match.
    private func mayMatch(_ facts: RequestFacts, _ body: RawSpan) -> Bool {
        guard let first = literalPrefix.utf8.first else { return true }
        let prefix = Array(literalPrefix.utf8)
        return body.withUnsafeBytes { bytes in
            facts.systemTexts.contains { range in
                guard range.upperBound <= bytes.count else { return false }
                let raw = UnsafeRawBufferPointer(rebasing: bytes[range])
                var index = 0
                while index < raw.count {
                    if raw[index] == UInt8(ascii: "\\"), index + 1 < raw.count {
                        if raw[index + 1] == UInt8(ascii: "u") { return true }
                        index += 2
                        continue
                    }
                    if raw[index] == first, raw.count - index >= prefix.count,
                        raw[index..<(index + prefix.count)].elementsEqual(prefix)
                    {
                        return true
                    }
                    index += 1
                }
                return false
            }
        }
    }
}
