/// The bytes of a UTF-8 sequence that must still follow its first byte.
struct UTF8Tail: Sendable {
    private var remaining = 0
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    var isComplete: Bool { remaining == 0 }

    /// Takes the first byte of a sequence of two or more bytes (RFC 3629 section 4). Returns false when no sequence begins with
    /// it.
    mutating func begin(_ byte: UInt8) -> Bool {
        lowest = 0x80
        highest = 0xBF
        switch byte {
        case 0xC2...0xDF: remaining = 1
        case 0xE0...0xEF:
            remaining = 2
            if byte == 0xE0 { lowest = 0xA0 }
            if byte == 0xED { highest = 0x9F }
        case 0xF0...0xF4:
            remaining = 3
            if byte == 0xF0 { lowest = 0x90 }
            if byte == 0xF4 { highest = 0x8F }
        default: return false
        }
        return true
    }

    /// Takes the next byte of the sequence. Returns false when it does not belong there.
    mutating func take(_ byte: UInt8) -> Bool {
        guard byte >= lowest, byte <= highest else { return false }
        lowest = 0x80
        highest = 0xBF
        remaining -= 1
        return true
    }
}
