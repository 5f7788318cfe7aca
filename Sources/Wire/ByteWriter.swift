/// A buffer for bytes to send or to log. Its memory is kept and used again.
///
/// It has one owner and cannot be copied, so it needs no reference counts and no copy on write. On the hot path an array's checks
/// for those cost several times as much as copying the bytes (docs/performance.md).
@safe
package struct ByteWriter: ~Copyable {
    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    package private(set) var count = 0

    package init() {
        capacity = 512
        unsafe memory = .allocate(byteCount: capacity, alignment: 8)
    }

    deinit { unsafe memory.deallocate() }

    /// The bytes written so far.
    package borrowing func withSpan<Result>(_ body: (RawSpan) throws -> Result) rethrows -> Result {
        unsafe try body(UnsafeRawBufferPointer(start: memory, count: count).bytes)
    }

    /// A copy of the bytes written so far.
    package var bytes: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: memory, count: count)) }

    /// Removes the written bytes and keeps the memory.
    package mutating func reset() { count = 0 }

    @inline(__always)
    package mutating func write(_ byte: UInt8) {
        unsafe grow(by: 1).storeBytes(of: byte, as: UInt8.self)
    }

    @inline(__always)
    package mutating func write(_ literal: StaticString) {
        let length = literal.utf8CodeUnitCount
        unsafe grow(by: length).copyMemory(from: literal.utf8Start, byteCount: length)
    }

    package mutating func write(_ raw: [UInt8]) { raw.withBytes { write($0) } }

    package mutating func write(_ text: String) {
        let done: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { unsafe write(Bytes(UnsafeRawBufferPointer($0))) }
        if done == nil { for byte in text.utf8 { write(byte) } }
    }

    /// Bytes of a received message.
    package mutating func write(_ source: RawSpan, _ range: Range<Int>) {
        source.withBytes { write($0.extracting(range)) }
    }

    /// A decimal number.
    package mutating func write(_ number: Int) {
        if number < 0 { write("-") }
        writeDecimal(number.magnitude, digits: 1)
    }

    /// A decimal number, with leading zeros when it has fewer digits than `least`.
    package mutating func writeDecimal(_ number: UInt, digits least: Int) {
        var length = 1
        var bound: UInt = 10
        // The largest number has 20 digits, and the bound for that would overflow.
        while number >= bound, length < 19 {
            length &+= 1
            bound &*= 10
        }
        if number >= bound { length = 20 }
        length = max(least, length)
        let place = unsafe grow(by: length)
        var rest = number
        var index = length
        while index > 0 {
            index &-= 1
            unsafe place.storeBytes(
                of: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10), toByteOffset: index, as: UInt8.self)
            rest /= 10
        }
    }

    @inline(__always)
    mutating func write(_ bytes: Bytes) {
        unsafe bytes.withMemory { source in
            guard let start = source.baseAddress else { return }
            unsafe grow(by: source.count).copyMemory(from: start, byteCount: source.count)
        }
    }

    /// Makes room at the end, counts it as written, and returns its beginning.
    @inline(__always)
    private mutating func grow(by length: Int) -> UnsafeMutableRawPointer {
        let start = count
        count += length
        if _slowPath(count > capacity) { enlarge() }
        return unsafe memory + start
    }

    private mutating func enlarge() {
        let larger = max(count, 2 * capacity)
        let new = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 8)
        // `count` already includes what will be written next; only the old memory has been written.
        unsafe new.copyMemory(from: memory, byteCount: capacity)
        unsafe memory.deallocate()
        unsafe memory = new
        capacity = larger
    }
}

// MARK: - JSON

extension ByteWriter {
    /// A JSON string with its quotes. Control characters, quotes and backslashes are escaped.
    package mutating func writeJSON(_ text: String) {
        write("\"")
        let done: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { utf8 in
            let raw = unsafe Bytes(UnsafeRawBufferPointer(utf8))
            let plain = EightBytes.endOfPlainText(raw, from: 0)
            write(raw.extracting(..<plain))
            for byte in raw.extracting(plain...) { writeEscaped(byte) }
        }
        if done == nil { for byte in text.utf8 { writeEscaped(byte) } }
        write("\"")
    }

    private mutating func writeEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): write("\\\"")
        case UInt8(ascii: "\\"): write("\\\\")
        case 0x0A: write("\\n")
        case 0x0D: write("\\r")
        case 0x09: write("\\t")
        case 0..<0x20, 0x7F:
            write("\\u00")
            for digit in [byte >> 4, byte & 15] { write(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10) }
        default: write(byte)
        }
    }
}
