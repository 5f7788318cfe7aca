/// Recognises, at the beginning of a text, the line that a client changes with every request and that means nothing to the model; see
/// `VolatilePrompts`. Engines may have got it with its changing characters replaced, so it does not count as content.
struct VolatileLine: Sendable {
    /// The beginning of the text, until it is known whether it is such a line.
    private var held: [UInt8] = []
    /// Whether the current text may begin with such a line.
    private(set) var isHeld = false

    mutating func reset() {
        guard isHeld else { return }
        isHeld = false
        held.removeAll(keepingCapacity: true)
    }

    /// A text begins with this byte.
    @inline(__always)
    mutating func begin(_ byte: UInt8) { isHeld = byte == UInt8(ascii: "x") }

    /// Keeps what it needs of a slice. Returns the rest.
    mutating func hold(_ bytes: Bytes, _ range: Range<Int>) -> Range<Int> {
        let end = range.lowerBound + min(range.count, VolatilePrompts.longestLine - held.count)
        held.append(bytes, range.lowerBound..<end)
        return end..<range.upperBound
    }

    /// Whether there is enough to tell.
    var isDecided: Bool {
        held.count == VolatilePrompts.longestLine || !held.withBytes { Self.mayBegin($0) }
    }

    /// The text is decided: what was kept of it.
    mutating func release() -> [UInt8] {
        isHeld = false
        var kept: [UInt8] = []
        swap(&kept, &held)
        return kept
    }

    /// Keeps the memory for the next text.
    mutating func giveBack(_ kept: consuming [UInt8]) {
        held = kept
        held.removeAll(keepingCapacity: true)
    }

    /// The length of the line at the beginning of a text, with the escape that ends it.
    ///
    /// - Parameter isWhole: the text ends here.
    static func length(_ bytes: Bytes, isWhole: Bool) -> Int {
        guard bytes.hasPrefix(VolatilePrompts.billingHeader) else { return 0 }
        var index = 0
        while index + 1 < bytes.count {
            guard bytes[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            if bytes[index + 1] == UInt8(ascii: "n") { return index + 2 }
            index += 2
        }
        return isWhole && bytes.count < VolatilePrompts.longestLine ? bytes.count : 0
    }

    /// Whether the bytes are the line's beginning, as far as they go.
    private static func mayBegin(_ bytes: Bytes) -> Bool {
        let header = Bytes(VolatilePrompts.billingHeader)
        for index in 0..<min(bytes.count, header.count) where bytes[index] != header[index] { return false }
        return true
    }
}
