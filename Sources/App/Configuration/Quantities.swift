/// Durations and sizes as people write them: `300ms`, `64KB`.
enum Quantities {
    /// A year. Nothing here lasts longer, and no sum of such durations overflows.
    static let longestDuration = Duration.seconds(365 * 24 * 3600)

    /// 1 PB; no sum of such sizes overflows.
    static let largestSize = 1 << 50

    static let durationForms = #""300ms", "5s", "3m", "1h" or a number of seconds"#
    static let sizeForms = #""64KB", "256MB", "1GB" (powers of 1024) or a number of bytes"#

    private static let durationUnits: [(name: String, microseconds: Double)] = [
        ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000),
    ]

    private static let sizeUnits: [(name: String, bytes: Int)] = [("B", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)]

    /// Nil when the text is not a number with a unit; more than a year is `longestDuration` and a bit.
    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = split(text), let factor = durationUnits.first(where: { $0.name == unit })?.microseconds
        else { return nil }
        return duration(microseconds: number * factor)
    }

    static func duration(seconds: Double) -> Duration? {
        duration(microseconds: seconds * 1_000_000)
    }

    private static func duration(microseconds: Double) -> Duration? {
        guard microseconds >= 0, microseconds.isFinite else { return nil }
        let longest = Double(longestDuration.components.seconds + 1) * 1_000_000
        return .microseconds(Int64(min(microseconds, longest).rounded()))
    }

    /// Nil when the text is not a number with a unit; more than `largestSize` is one byte more than that.
    static func size(_ text: String) -> Int? {
        guard let (number, unit) = split(text) else { return nil }
        let name = unit.uppercased().replacing("IB", with: "B")
        guard let factor = sizeUnits.first(where: { $0.name == name })?.bytes else { return nil }
        return Int(min(number * Double(factor), Double(largestSize + 1)).rounded())
    }

    private static func split(_ text: String) -> (number: Double, unit: String)? {
        let digits = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        guard digits.first != ".", digits.last != ".", let number = Double(digits) else { return nil }
        return (number, String(text.dropFirst(digits.count)))
    }

    /// The shortest exact way to write a duration: `3m`, `1500ms`.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        guard microseconds != 0 else { return "0s" }
        for unit in durationUnits.reversed() where microseconds % Int64(unit.microseconds) == 0 {
            return "\(microseconds / Int64(unit.microseconds))\(unit.name)"
        }
        return "\(Double(microseconds) / 1_000)ms"
    }

    /// The shortest exact way to write a size.
    static func text(bytes: Int) -> String {
        for unit in sizeUnits.reversed() where bytes != 0 && bytes % unit.bytes == 0 {
            return "\(bytes / unit.bytes)\(unit.name)"
        }
        return "0B"
    }
}
