/// The text inside a JSON string's quotes.
package enum JSONString {
    /// Resolves escapes. Returns nil when an escape or the UTF-8 is malformed. A lone surrogate becomes U+FFFD, as in the parsers
    /// of those engines that accept one.
    static func decode(_ raw: some Collection<UInt8>) -> String? {
        var output: [UInt8] = []
        return unescape(raw, into: &output) == .whole ? String(validating: output, as: UTF8.self) : nil
    }

    /// The same for text that was cut off anywhere. An incomplete escape or character at the end is left out.
    static func decodeBeginning(_ raw: some Collection<UInt8>) -> String? {
        var output: [UInt8] = []
        guard unescape(raw, into: &output) != .malformed else { return nil }
        for missing in 0..<4 {
            if let text = String(validating: output.dropLast(missing), as: UTF8.self) { return text }
        }
        return nil
    }

    private enum Escapes {
        case whole, cutOff, malformed
    }

    private static func unescape(_ raw: some Collection<UInt8>, into output: inout [UInt8]) -> Escapes {
        output.reserveCapacity(raw.count)
        var iterator = raw.makeIterator()
        var pendingHigh: UInt32?
        while let byte = iterator.next() {
            guard byte == UInt8(ascii: "\\") else {
                flush(&pendingHigh, &output)
                output.append(byte)
                continue
            }
            guard let kind = iterator.next() else { return .cutOff }
            if kind == UInt8(ascii: "u") {
                var unit: UInt32 = 0
                for _ in 0..<4 {
                    guard let digit = iterator.next() else { return .cutOff }
                    guard let value = hexadecimalValue(digit) else { return .malformed }
                    unit = unit << 4 | UInt32(value)
                }
                if let high = pendingHigh, (0xDC00...0xDFFF).contains(unit) {
                    append(0x10000 + (high - 0xD800) << 10 + (unit - 0xDC00), &output)
                    pendingHigh = nil
                } else {
                    flush(&pendingHigh, &output)
                    if (0xD800...0xDBFF).contains(unit) { pendingHigh = unit } else { append(unit, &output) }
                }
                continue
            }
            flush(&pendingHigh, &output)
            switch kind {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(kind)
            case UInt8(ascii: "b"): output.append(0x08)
            case UInt8(ascii: "f"): output.append(0x0C)
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "t"): output.append(0x09)
            default: return .malformed
            }
        }
        flush(&pendingHigh, &output)
        return .whole
    }

    /// The value of one hexadecimal digit.
    package static func hexadecimalValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func flush(_ pendingHigh: inout UInt32?, _ output: inout [UInt8]) {
        guard pendingHigh != nil else { return }
        pendingHigh = nil
        append(0xFFFD, &output)
    }

    private static func append(_ scalarValue: UInt32, _ output: inout [UInt8]) {
        let scalar = Unicode.Scalar(scalarValue) ?? "\u{FFFD}"
        output.append(contentsOf: String(scalar).utf8)
    }
}
