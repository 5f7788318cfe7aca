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
        for name in names {
            let key = Array(name.unicodeScalars)
            guard let first = key.first, key.count <= min(Self.longestName, scalars.count) else { continue }
            for start in 0...(scalars.count - key.count) where Self.isKey(key, at: start, in: scalars) {
                guard replaced.count < Self.marks.count,
                    let mark = Unicode.Scalar(Self.marks.lowerBound + UInt32(replaced.count))
                else { return nil }
                scalars[start] = mark
                replaced.append(first)
            }
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

    /// Whether the name stands there as a whole word, in quotes or not, followed by a colon.
    private static func isKey(_ key: [Unicode.Scalar], at start: Int, in text: [Unicode.Scalar]) -> Bool {
        guard text[start] == key[0], text[start..<(start + key.count)].elementsEqual(key) else { return false }
        if start > 0, !" \t\n\r{,\"'".unicodeScalars.contains(text[start - 1]) { return false }
        var rest = text[(start + key.count)...]
        if let quote = rest.first, quote == "\"" || quote == "'" { rest = rest.dropFirst() }
        return rest.first { $0 != " " } == ":"
    }
}
