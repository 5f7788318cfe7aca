/// Borrowed bytes, valid for the duration of a call.
///
/// All unsafe access to received bytes is here. As with `UnsafeRawBufferPointer`, bounds are checked in debug builds only:
/// callers compare an index with `count` before they read.
@safe
struct Bytes: RandomAccessCollection {
    private let memory: UnsafeRawBufferPointer

    init(_ memory: UnsafeRawBufferPointer) { unsafe self.memory = memory }

    /// The text of a literal, which lives as long as the program.
    init(_ literal: StaticString) {
        unsafe memory = UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
    }

    var startIndex: Int { 0 }
    var endIndex: Int { unsafe memory.count }
    var count: Int { unsafe memory.count }

    subscript(index: Int) -> UInt8 { unsafe memory[index] }

    /// A part of these bytes, with indices from 0 on.
    func extracting(_ range: some RangeExpression<Int>) -> Bytes {
        unsafe Bytes(UnsafeRawBufferPointer(rebasing: memory[range]))
    }

    /// The four bytes from `index` on, the first one lowest. All of them must be there.
    @inline(__always)
    func loadFour(_ index: Int) -> UInt32 {
        unsafe UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: index, as: UInt32.self))
    }

    /// The eight bytes from `index` on, the first one lowest. All of them must be there.
    @inline(__always)
    func loadEight(_ index: Int) -> UInt64 {
        unsafe UInt64(littleEndian: memory.loadUnaligned(fromByteOffset: index, as: UInt64.self))
    }

    /// Up to 16 bytes from `index` on, the first one lowest, and no bits above them. All of them must be there.
    @inline(__always)
    func loadUpToSixteen(_ index: Int, _ count: Int) -> UInt128 {
        // The neighbours are read as well, and thrown away.
        if index &+ 16 <= self.count {
            let all = UInt128(loadEight(index)) | UInt128(loadEight(index &+ 8)) &<< 64
            return count == 16 ? all : all & ((1 &<< UInt128(truncatingIfNeeded: 8 &* count)) &- 1)
        }
        let end = index &+ count
        guard end >= 16 else { return loadFew(index, count) }
        let all = UInt128(loadEight(end &- 16)) | UInt128(loadEight(end &- 8)) &<< 64
        return count == 0 ? 0 : all &>> UInt128(truncatingIfNeeded: 8 &* (16 &- count))
    }

    /// The same where there are fewer than 16 bytes to both sides.
    @inline(never)
    private func loadFew(_ index: Int, _ count: Int) -> UInt128 {
        var value: UInt128 = 0
        for offset in 0..<count { value |= UInt128(self[index &+ offset]) &<< UInt128(truncatingIfNeeded: 8 &* offset) }
        return value
    }

    /// Whether a backslash is among these bytes, which are few, such as those of a key.
    @inline(__always)
    var hasEscapes: Bool {
        let backslash = UInt8(ascii: "\\")
        switch count {
        case 8...16:
            return EightBytes.marks(of: backslash, loadEight(0)) | EightBytes.marks(of: backslash, loadEight(count &- 8)) != 0
        case 4..<8: return EightBytes.marks(of: backslash, UInt64(loadFour(0)) | UInt64(loadFour(count &- 4)) &<< 32) != 0
        default: return EightBytes.firstIndex(of: backslash, in: self, from: 0) < count
        }
    }

    /// Whether these bytes are the literal. Inlined, it is a few comparisons of words with constants.
    @inline(__always)
    func equals(_ literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount else { return false }
        let expected = Bytes(literal)
        if count >= 8 {
            var index = 0
            while index &+ 8 < count {
                guard loadEight(index) == expected.loadEight(index) else { return false }
                index &+= 8
            }
            return loadEight(count &- 8) == expected.loadEight(count &- 8)
        }
        if count >= 4 {
            return loadFour(0) == expected.loadFour(0) && loadFour(count &- 4) == expected.loadFour(count &- 4)
        }
        return hasPrefix(literal)
    }

    /// Whether these bytes begin with the literal.
    func hasPrefix(_ literal: StaticString) -> Bool {
        let literal = Bytes(literal)
        guard count >= literal.count else { return false }
        for index in 0..<literal.count where self[index] != literal[index] { return false }
        return true
    }

    /// These bytes as text; what is not UTF-8 is replaced. Decoded from the memory itself: a collection would be copied first.
    var text: String { unsafe String(decoding: memory, as: UTF8.self) }

    /// Calls `body` with the memory.
    @inline(__always)
    func withMemory<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result { unsafe body(memory) }
}

extension RawSpan {
    /// Calls `body` with these bytes, which it must not keep.
    @inline(__always)
    func withBytes<Result>(_ body: (Bytes) throws -> Result) rethrows -> Result {
        unsafe try withUnsafeBytes { unsafe try body(Bytes($0)) }
    }
}

extension [UInt8] {
    /// Calls `body` with the elements, which it must not keep.
    @inline(__always)
    func withBytes<Result>(_ body: (Bytes) throws -> Result) rethrows -> Result {
        unsafe try withUnsafeBytes { unsafe try body(Bytes($0)) }
    }

    /// Appends a range of the bytes in one copy. Appending them as a sequence would copy them one by one.
    mutating func append(_ bytes: Bytes, _ range: Range<Int>) {
        unsafe bytes.extracting(range).withMemory { memory in
            unsafe memory.withMemoryRebound(to: UInt8.self) { unsafe append(contentsOf: $0) }
        }
    }
}
