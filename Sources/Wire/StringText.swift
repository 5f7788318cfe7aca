/// Skips the text of a JSON string. Most of a request body is such text.
enum StringText {
    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")

    /// The first byte from `start` on that the caller has to look at: the closing quote, a byte that is not allowed, or an escape
    /// or character that these bytes do not contain whole. Returns the end when there is none.
    ///
    /// - Parameter isRewritten: set when an escape was passed that `PromptText` writes in another way.
    static func end(_ bytes: Bytes, from start: Int, isRewritten: inout Bool) -> Int {
        var index = start
        // Most strings are short, such as keys and roles.
        let nearby = min(bytes.count, start &+ 32)
        while index &+ 8 <= nearby {
            let marks = EightBytes.stringMarks(bytes.loadEight(index))
            if marks == 0 {
                index &+= 8
                continue
            }
            index &+= EightBytes.first(marks)
            guard let next = passed(bytes, index, &isRewritten) else { return index }
            index = next
        }
        while index &+ 64 <= bytes.count {
            let base = index
            var mask = EightBytes.stringMask(bytes, base)
            index = base &+ 64
            while mask != 0 {
                let marked = base &+ mask.trailingZeroBitCount
                guard let next = passed(bytes, marked, &isRewritten) else { return marked }
                guard next &- base < 64 else {
                    index = next
                    break
                }
                mask &= UInt64.max &<< UInt64(next &- base)
            }
        }
        while index < bytes.count {
            index = EightBytes.endOfPlainText(bytes, from: index)
            guard index < bytes.count else { break }
            guard let next = passed(bytes, index, &isRewritten) else { return index }
            index = next
        }
        return index
    }

    /// The same for a caller that does not hash the text.
    static func end(_ bytes: Bytes, from start: Int) -> Int {
        var isRewritten = false
        return end(bytes, from: start, isRewritten: &isRewritten)
    }

    /// The index after the escape or the characters above ASCII at `index`; nil when the caller has to look at it.
    @inline(__always)
    private static func passed(_ bytes: Bytes, _ index: Int, _ isRewritten: inout Bool) -> Int? {
        let byte = bytes[index]
        if byte == backslash { return passedEscape(bytes, index, &isRewritten) }
        return byte >= 0x80 ? passedCharacters(bytes, index) : nil
    }

    @inline(__always)
    private static func passedEscape(_ bytes: Bytes, _ index: Int, _ isRewritten: inout Bool) -> Int? {
        guard index &+ 1 < bytes.count else { return nil }
        switch bytes[index &+ 1] {
        case UInt8(ascii: "n"), quote, backslash, UInt8(ascii: "t"), UInt8(ascii: "r"), UInt8(ascii: "b"), UInt8(ascii: "f"):
            return index &+ 2
        case UInt8(ascii: "/"):
            isRewritten = true
            return index &+ 2
        case UInt8(ascii: "u"):
            isRewritten = true
            return passedUnicodeEscapes(bytes, index)
        default: return nil
        }
    }

    /// The index after the run of `\u` escapes at `index`; nil when the first one is malformed or cut off. Text in which
    /// every character above ASCII is escaped has long runs of escapes.
    private static func passedUnicodeEscapes(_ bytes: Bytes, _ index: Int) -> Int? {
        var next = index
        while next &+ 6 <= bytes.count, bytes[next] == backslash, bytes[next &+ 1] == UInt8(ascii: "u") {
            let digits = bytes.loadFour(next &+ 2)
            guard areHexadecimal(digits) else { break }
            next &+= 6
        }
        return next > index ? next : nil
    }

    /// Whether all four bytes are hexadecimal digits. There are no branches, because a processor cannot predict whether a digit
    /// is a letter. As in `EightBytes`, an addition sets the high bit of each byte that is large enough.
    @inline(__always)
    private static func areHexadecimal(_ digits: UInt32) -> Bool {
        let low = digits & 0x7F7F_7F7F
        let isDigit = (low &+ 0x5050_5050) & ~(low &+ 0x4646_4646)
        let lowercase = low | 0x2020_2020
        let isLetter = (lowercase &+ 0x1F1F_1F1F) & ~(lowercase &+ 0x1919_1919)
        return (isDigit | isLetter) & ~digits & 0x8080_8080 == 0x8080_8080
    }

    /// The index after the run of characters above ASCII at `index`; nil when the first one is malformed or cut off.
    private static func passedCharacters(_ bytes: Bytes, _ index: Int) -> Int? {
        var next = index
        while next < bytes.count, bytes[next] >= 0x80 {
            // Nearly all characters of three and two bytes are recognised from four bytes at once. `characterLength` handles
            // the others.
            if next &+ 4 <= bytes.count {
                let four = bytes.loadFour(next)
                let lead = four & 0xFF
                if four & 0xC0_C0F0 == 0x80_80E0, lead != 0xE0, lead != 0xED {
                    next &+= 3
                    continue
                }
                if four & 0xC0E0 == 0x80C0, lead >= 0xC2 {
                    next &+= 2
                    continue
                }
            }
            let length = characterLength(bytes, next)
            if length == 0 { return next == index ? nil : next }
            next &+= length
        }
        return next
    }

    /// The length of the character of two or more bytes at `index` (RFC 3629 section 4); 0 when it is malformed or cut off.
    @inline(__always)
    private static func characterLength(_ bytes: Bytes, _ index: Int) -> Int {
        func continues(_ offset: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            range.contains(bytes[index &+ offset])
        }
        let left = bytes.count &- index
        switch bytes[index] {
        case 0xC2...0xDF: return left >= 2 && continues(1) ? 2 : 0
        case 0xE0: return left >= 3 && continues(1, 0xA0...0xBF) && continues(2) ? 3 : 0
        case 0xED: return left >= 3 && continues(1, 0x80...0x9F) && continues(2) ? 3 : 0
        case 0xE1...0xEF: return left >= 3 && continues(1) && continues(2) ? 3 : 0
        case 0xF0: return left >= 4 && continues(1, 0x90...0xBF) && continues(2) && continues(3) ? 4 : 0
        case 0xF4: return left >= 4 && continues(1, 0x80...0x8F) && continues(2) && continues(3) ? 4 : 0
        case 0xF1...0xF3: return left >= 4 && continues(1) && continues(2) && continues(3) ? 4 : 0
        default: return 0
        }
    }
}
