/// Hashes the text of JSON strings so that the same text has the same hash however a client writes it.
///
/// The hashed form is the JSON text with all characters in UTF-8, except that `"`, `\` and control characters remain escapes, the short
/// ones where there are any. So nearly all text is hashed as it stands; only `\/` and `\u` have to be rewritten.
struct PromptText: Sendable {
    /// An escape that the last slice cut: nothing, `\`, or `\u` with up to three digits.
    private enum Cut: Sendable {
        case none
        case backslash
        case unicode(digits: Int, value: UInt32)
    }

    private var cut = Cut.none
    /// The first half of a surrogate pair.
    private var highSurrogate: UInt32 = 0

    /// Whether the next slice depends on the last one.
    var isCut: Bool {
        if case .none = cut { return highSurrogate != 0 }
        return true
    }

    /// Hashes a slice of a string.
    mutating func absorb(_ bytes: Bytes, _ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>) {
        var index = finishCut(bytes, &hash, &links)
        guard index < bytes.count else { return }
        var start = index
        while true {
            index = EightBytes.firstIndex(of: UInt8(ascii: "\\"), in: bytes, from: index)
            guard index < bytes.count else { break }
            guard index &+ 1 < bytes.count else {
                absorbPlain(bytes, start..<index, &hash, &links)
                cut = .backslash
                return
            }
            switch bytes[index &+ 1] {
            case UInt8(ascii: "/"):
                absorbPlain(bytes, start..<index, &hash, &links)
                start = index &+ 1
                index &+= 2
            case UInt8(ascii: "u"):
                absorbPlain(bytes, start..<index, &hash, &links)
                if index &+ 6 <= bytes.count {
                    index = absorbRun(bytes, index, &hash, &links)
                } else {
                    cut = .unicode(digits: 0, value: 0)
                    index = readDigits(bytes, index &+ 2, &hash, &links)
                }
                start = index
            default: index &+= 2
            }
        }
        absorbPlain(bytes, start..<bytes.count, &hash, &links)
    }

    /// The string has ended.
    mutating func end(_ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>) {
        cut = .none
        flush(&hash, &links)
    }

    /// Reads the rest of an escape. Returns the index after it.
    private mutating func finishCut(_ bytes: Bytes, _ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>) -> Int
    {
        switch cut {
        case .none: return 0
        case .unicode: return readDigits(bytes, 0, &hash, &links)
        case .backslash:
            guard let byte = bytes.first else { return 0 }
            cut = .none
            switch byte {
            case UInt8(ascii: "u"):
                cut = .unicode(digits: 0, value: 0)
                return readDigits(bytes, 1, &hash, &links)
            case UInt8(ascii: "/"):
                absorbPlain(bytes, 0..<1, &hash, &links)
            default:
                flush(&hash, &links)
                absorbEscape(byte, &hash, &links)
            }
            return 1
        }
    }

    /// Hashes a run of whole `\u` escapes; the first one begins at `start`. Text in which every character above ASCII is escaped has
    /// long runs. Returns the index after it.
    private mutating func absorbRun(
        _ bytes: Bytes, _ start: Int, _ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>
    ) -> Int {
        var index = start
        // Some characters in UTF-8, which are hashed together.
        var (written, count): (UInt128, Int) = (0, 0)
        while index &+ 6 <= bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index &+ 1] == UInt8(ascii: "u") {
            let unit = Self.value(ofDigits: bytes.loadFour(index &+ 2))
            index &+= 6
            if unit >= 0x80, unit & 0xF800 != 0xD800, highSurrogate == 0 {
                let (character, length) = Self.utf8(unit)
                written |= UInt128(character) &<< UInt128(truncatingIfNeeded: 8 &* count)
                count &+= length
                guard count > 12 else { continue }
                hash.absorb(written, count: count, &links)
            } else {
                if count > 0 { hash.absorb(written, count: count, &links) }
                absorbUnit(unit, &hash, &links)
            }
            (written, count) = (0, 0)
        }
        if count > 0 { hash.absorb(written, count: count, &links) }
        return index
    }

    /// The value of four hexadecimal digits. That is what they are: the scanner has looked at them.
    @inline(__always)
    private static func value(ofDigits digits: UInt32) -> UInt32 {
        let values = ((digits & 0x0F0F_0F0F) &+ ((digits &>> 6) & 0x0101_0101) &* 9).byteSwapped
        return values & 0xF | values &>> 4 & 0xF0 | values &>> 8 & 0xF00 | values &>> 12 & 0xF000
    }

    private mutating func readDigits(
        _ bytes: Bytes, _ start: Int, _ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>
    ) -> Int {
        guard case .unicode(var digits, var value) = cut else { return start }
        var index = start
        while digits < 4, index < bytes.count {
            value = value &<< 4 | UInt32(JSONString.hexadecimalValue(bytes[index]) ?? 0)
            digits &+= 1
            index &+= 1
        }
        if digits < 4 {
            cut = .unicode(digits: digits, value: value)
        } else {
            cut = .none
            absorbUnit(value, &hash, &links)
        }
        return index
    }

    @inline(__always)
    private mutating func absorbPlain(
        _ bytes: Bytes, _ range: Range<Int>, _ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>
    ) {
        guard !range.isEmpty else { return }
        flush(&hash, &links)
        hash.absorb(bytes, range, &links)
    }

    /// A first half without a second one becomes U+FFFD, as in the engines' parsers.
    private mutating func flush(_ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>) {
        guard highSurrogate != 0 else { return }
        highSurrogate = 0
        absorbScalar(0xFFFD, &hash, &links)
    }

    /// Hashes what a `\u` escape stands for.
    private mutating func absorbUnit(_ unit: UInt32, _ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>) {
        if unit & 0xFC00 == 0xDC00, highSurrogate != 0 {
            let scalar = 0x10000 &+ (highSurrogate & 0x3FF) &<< 10 &+ (unit & 0x3FF)
            highSurrogate = 0
            return absorbScalar(scalar, &hash, &links)
        }
        flush(&hash, &links)
        switch unit {
        case 0xD800...0xDBFF: highSurrogate = unit
        case 0xDC00...0xDFFF: absorbScalar(0xFFFD, &hash, &links)
        case 0x08: absorbEscape(UInt8(ascii: "b"), &hash, &links)
        case 0x09: absorbEscape(UInt8(ascii: "t"), &hash, &links)
        case 0x0A: absorbEscape(UInt8(ascii: "n"), &hash, &links)
        case 0x0C: absorbEscape(UInt8(ascii: "f"), &hash, &links)
        case 0x0D: absorbEscape(UInt8(ascii: "r"), &hash, &links)
        case 0x22, 0x5C: absorbEscape(UInt8(truncatingIfNeeded: unit), &hash, &links)
        case 0..<0x20:
            // `\u00` and two lower-case digits, the first byte lowest.
            let digits = UInt64(Self.digit(unit &>> 4)) | UInt64(Self.digit(unit & 15)) &<< 8
            hash.absorb(UInt128(0x3030_755C | digits &<< 32), count: 6, &links)
        default: absorbScalar(unit, &hash, &links)
        }
    }

    private static func digit(_ value: UInt32) -> UInt8 {
        UInt8(truncatingIfNeeded: value < 10 ? 0x30 &+ value : 0x57 &+ value)
    }

    /// A backslash and the byte.
    private func absorbEscape(_ byte: UInt8, _ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>) {
        hash.absorb(UInt128(0x5C | UInt64(byte) &<< 8), count: 2, &links)
    }

    private func absorbScalar(_ scalar: UInt32, _ hash: inout PromptHash, _ links: inout ScratchList<PromptHash.Link>) {
        let (bytes, count) = Self.utf8(scalar)
        hash.absorb(UInt128(bytes), count: count, &links)
    }

    /// The character in UTF-8, the first byte lowest, and the number of bytes.
    @inline(__always)
    private static func utf8(_ scalar: UInt32) -> (UInt32, Int) {
        func tail(_ shift: UInt32) -> UInt32 { 0x80 | scalar &>> shift & 0x3F }
        return switch scalar {
        case 0..<0x80: (scalar, 1)
        case 0x80..<0x800: (0xC0 | scalar &>> 6 | tail(0) &<< 8, 2)
        case 0x800..<0x10000: (0xE0 | scalar &>> 12 | tail(6) &<< 8 | tail(0) &<< 16, 3)
        default: (0xF0 | scalar &>> 18 | tail(12) &<< 8 | tail(6) &<< 16 | tail(0) &<< 24, 4)
        }
    }
}
