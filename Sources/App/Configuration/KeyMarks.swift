/// Marks in the text of a file that make its repeated keys different from each other.
///
/// The YAML parser refuses a whole file because of one repeated key, and names the first place only. With marks it reads the file, so
/// that every repetition is reported where it stands, together with all other problems.
struct KeyMarks {
    /// A mark is one character of a plane that Unicode leaves to private use. It replaces the first character of a key, so that all
    /// columns stay the same.
    private static let marks: ClosedRange<UInt32> = 0xF0000...0xFFFFD

    private static let longestName = 256

    /// The characters that were replaced, by the number of the mark.
    private var replaced: [Unicode.Scalar] = []

    /// The text with a mark in every place that looks like one of these keys; nil when there is none, or when the text itself has
    /// such characters.
    mutating func mark(_ names: [String], in text: String) -> String? {
        var scalars = Array(text.unicodeScalars)
        if replaced.isEmpty, scalars.contains(where: { Self.marks.contains($0.value) }) { return nil }
        let before = replaced.count
        let wanted = Set(names)
        for start in scalars.indices where start == 0 || Self.delimiters.contains(scalars[start - 1]) {
            guard let key = Self.key(at: start, in: scalars), !key.isEmpty, wanted.contains(key) else {
                continue
            }
            guard replaced.count < Self.marks.count, let mark = Unicode.Scalar(Self.marks.lowerBound + UInt32(replaced.count))
            else { return nil }
            replaced.append(scalars[start])
            scalars[start] = mark
        }
        guard replaced.count > before else { return nil }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The text as the file has it.
    func restored(_ text: String) -> String {
        guard !replaced.isEmpty else { return text }
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let number = Int(scalar.value) - Int(Self.marks.lowerBound)
            scalars.append(replaced.indices.contains(number) ? replaced[number] : scalar)
        }
        return String(scalars)
    }

    private static let delimiters = Set(" \t\n\r{,\"'".unicodeScalars)

    /// The text up to a colon, if it can be a key: in quotes, whose first one stands before `start`, or without.
    private static func key(at start: Int, in text: [Unicode.Scalar]) -> String? {
        let quote = start > 0 && (text[start - 1] == "\"" || text[start - 1] == "'") ? text[start - 1] : nil
        var key = String.UnicodeScalarView()
        for index in start..<min(text.count, start + longestName) {
            let isEnd = quote.map { text[index] == $0 } ?? (text[index] == ":")
            guard !isEnd else {
                let colon = quote == nil ? index : text[(index + 1)...].firstIndex { $0 != " " }
                return colon.map { $0 < text.count && text[$0] == ":" } == true ? trimmed(key) : nil
            }
            if text[index] == "\n" { return nil }
            key.append(text[index])
        }
        return nil
    }

    /// Spaces between an unquoted key and its colon do not belong to it.
    private static func trimmed(_ key: String.UnicodeScalarView) -> String {
        String(String.UnicodeScalarView(key.reversed().drop { $0 == " " }.reversed()))
    }
}
