#if arch(x86_64)
    internal import CBytes
#endif

/// Tests of eight bytes at a time, in one register.
///
/// Each test returns a word in which the high bit of every byte that it looks for is set; the first byte is the lowest. See
/// Hacker's Delight, section 6-1: no addition carries into the next byte, so bytes do not affect each other. The standard
/// library's vectors were a hundred times slower (docs/performance.md).
enum EightBytes {
    private static let highBit: UInt64 = 0x8080_8080_8080_8080
    private static let sevenBits: UInt64 = 0x7F7F_7F7F_7F7F_7F7F

    /// The index of the first marked byte. `marks` must not be 0.
    @inline(__always)
    static func first(_ marks: UInt64) -> Int { marks.trailingZeroBitCount &>> 3 }

    /// Marks the bytes that end plain text in a JSON string: quotes, backslashes, control characters and bytes above ASCII.
    @inline(__always)
    static func stringMarks(_ word: UInt64) -> UInt64 {
        let low = word & sevenBits
        let isNoQuote = (low ^ 0x2222_2222_2222_2222) &+ sevenBits
        let isNoBackslash = (low ^ 0x5C5C_5C5C_5C5C_5C5C) &+ sevenBits
        let isNoControl = low &+ 0x6060_6060_6060_6060
        return (word | ~(isNoQuote & isNoBackslash & isNoControl)) & highBit
    }

    /// Marks control characters, including the tab, and DEL.
    @inline(__always)
    static func controlMarks(_ word: UInt64) -> UInt64 {
        let low = word & sevenBits
        let isNoControl = low &+ 0x6060_6060_6060_6060
        let isNoDelete = (low ^ sevenBits) &+ sevenBits
        return ~(word | isNoControl & isNoDelete) & highBit
    }

    /// Marks the bytes that a request target cannot have: everything except visible ASCII, and `#`.
    @inline(__always)
    static func targetMarks(_ word: UInt64) -> UInt64 {
        let low = word & sevenBits
        let isVisible = low &+ 0x5F5F_5F5F_5F5F_5F5F
        let isNoDelete = (low ^ sevenBits) &+ sevenBits
        let isNoHash = (low ^ 0x2323_2323_2323_2323) &+ sevenBits
        return (word | ~(isVisible & isNoDelete & isNoHash)) & highBit
    }

    /// Marks bytes up to 0x0D: LF, CR, NUL, and some others that a caller has to skip.
    @inline(__always)
    static func lineEndMarks(_ word: UInt64) -> UInt64 {
        // `|` and `&+` have the same precedence in Swift.
        ~(word | ((word & sevenBits) &+ 0x7272_7272_7272_7272)) & highBit
    }

    /// Marks the bytes equal to `byte`, which must be ASCII.
    @inline(__always)
    static func marks(of byte: UInt8, _ word: UInt64) -> UInt64 {
        ~(word | (((word & sevenBits) ^ (0x0101_0101_0101_0101 &* UInt64(byte))) &+ sevenBits)) & highBit
    }

    /// How often `byte`, which must be ASCII, occurs in the range.
    static func count(of byte: UInt8, _ bytes: Bytes, _ range: Range<Int>) -> Int {
        var count = 0
        var index = range.lowerBound
        while index &+ 64 <= range.upperBound {
            count &+= mask(of: byte, bytes, index).nonzeroBitCount
            index &+= 64
        }
        while index &+ 8 <= range.upperBound {
            count &+= marks(of: byte, bytes.loadEight(index)).nonzeroBitCount
            index &+= 8
        }
        while index < range.upperBound {
            if bytes[index] == byte { count &+= 1 }
            index &+= 1
        }
        return count
    }

    /// The first `byte`, which must be ASCII, from `start` on, or the end.
    static func firstIndex(of byte: UInt8, in bytes: Bytes, from start: Int) -> Int {
        firstMark(in: bytes, from: start, marks: { marks(of: byte, $0) }, isMarked: { $0 == byte })
    }

    /// The first byte from `start` on that ends plain text in a JSON string, or the end.
    static func endOfPlainText(_ bytes: Bytes, from start: Int) -> Int {
        firstMark(in: bytes, from: start, marks: stringMarks) {
            $0 < 0x20 || $0 >= 0x80 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\")
        }
    }

    /// The first byte from `start` on that a request target cannot have, or the end.
    static func endOfTarget(_ bytes: Bytes, from start: Int) -> Int {
        firstMark(in: bytes, from: start, marks: targetMarks) { $0 <= 0x20 || $0 >= 0x7F || $0 == UInt8(ascii: "#") }
    }

    /// The first marked byte from `start` on, or the end. `isMarked` is the same test as `marks`, for one byte.
    @inline(__always)
    private static func firstMark(
        in bytes: Bytes, from start: Int, marks: (UInt64) -> UInt64, isMarked: (UInt8) -> Bool
    ) -> Int {
        var index = start
        while index &+ 8 <= bytes.count {
            let found = marks(bytes.loadEight(index))
            if found != 0 { return index &+ first(found) }
            index &+= 8
        }
        while index < bytes.count, !isMarked(bytes[index]) { index &+= 1 }
        return index
    }

    /// `stringMarks` of the 64 bytes from `index` on as one bit for each byte, the first one lowest. All of them must be there.
    @inline(__always)
    static func stringMask(_ bytes: Bytes, _ index: Int) -> UInt64 {
        #if arch(x86_64)
            return unsafe bytes.withMemory { memory in
                guard let first = memory.baseAddress else { return 0 }
                return unsafe string_marks_64(first + index)
            }
        #else
            return stringMaskByWords(bytes, index)
        #endif
    }

    /// `stringMask` for processors other than x86-64.
    @inline(__always)
    static func stringMaskByWords(_ bytes: Bytes, _ index: Int) -> UInt64 {
        let first = stringMarks(bytes.loadEight(index))
        let second = stringMarks(bytes.loadEight(index &+ 8))
        let third = stringMarks(bytes.loadEight(index &+ 16))
        let fourth = stringMarks(bytes.loadEight(index &+ 24))
        let fifth = stringMarks(bytes.loadEight(index &+ 32))
        let sixth = stringMarks(bytes.loadEight(index &+ 40))
        let seventh = stringMarks(bytes.loadEight(index &+ 48))
        let eighth = stringMarks(bytes.loadEight(index &+ 56))
        if first | second | third | fourth | fifth | sixth | seventh | eighth == 0 { return 0 }
        let low = sideBySide(first) | sideBySide(second) &<< 8 | sideBySide(third) &<< 16 | sideBySide(fourth) &<< 24
        let high = sideBySide(fifth) | sideBySide(sixth) &<< 8 | sideBySide(seventh) &<< 16 | sideBySide(eighth) &<< 24
        return low | high &<< 32
    }

    /// One bit for each of the 64 bytes from `index` on, the first one lowest: set when it is `byte`, which must be ASCII. All of them
    /// must be there.
    @inline(__always)
    static func mask(of byte: UInt8, _ bytes: Bytes, _ index: Int) -> UInt64 {
        #if arch(x86_64)
            return unsafe bytes.withMemory { memory in
                guard let first = memory.baseAddress else { return 0 }
                return unsafe byte_marks_64(first + index, byte)
            }
        #else
            return maskByWords(of: byte, bytes, index)
        #endif
    }

    /// `mask` for processors other than x86-64.
    static func maskByWords(of byte: UInt8, _ bytes: Bytes, _ index: Int) -> UInt64 {
        var mask: UInt64 = 0
        for word in 0..<8 { mask |= sideBySide(marks(of: byte, bytes.loadEight(index &+ 8 &* word))) &<< UInt64(8 &* word) }
        return mask
    }

    /// The eight high bits, moved together into the lowest byte.
    @inline(__always)
    private static func sideBySide(_ marks: UInt64) -> UInt64 { ((marks &>> 7) &* 0x0102_0408_1020_4080) &>> 56 }
}
