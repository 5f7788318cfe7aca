import Testing

@testable import Wire

@Suite("Looking at eight bytes at a time")
struct EightBytesTests {
    private static let tests: [(name: String, marks: @Sendable (UInt64) -> UInt64, isMarked: @Sendable (UInt8) -> Bool)] = [
        ("string", EightBytes.stringMarks, { $0 < 0x20 || $0 >= 0x80 || $0 == 0x22 || $0 == 0x5C }),
        ("control", EightBytes.controlMarks, { $0 < 0x20 || $0 == 0x7F }),
        ("target", EightBytes.targetMarks, { $0 <= 0x20 || $0 >= 0x7F || $0 == 0x23 }),
        ("line end", EightBytes.lineEndMarks, { $0 <= 0x0D }),
        ("quote", { EightBytes.marks(of: 0x22, $0) }, { $0 == 0x22 }),
        ("carriage return", { EightBytes.marks(of: 0x0D, $0) }, { $0 == 0x0D }),
    ]

    /// What a test says, byte by byte.
    private func marked(_ bytes: [UInt8], by isMarked: (UInt8) -> Bool) -> UInt64 {
        bytes.enumerated().reduce(0) { $0 | (isMarked($1.element) ? 0x80 << UInt64(8 * $1.offset) : 0) }
    }

    @Test("every byte is judged for itself, whatever its neighbours are")
    func everyByte() {
        var random = SplitMix64(seed: 3)
        let telling: [UInt8] = [
            0, 0x09, 0x0A, 0x0D, 0x0E, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x5B, 0x5C, 0x5D, 0x7E, 0x7F, 0x80, 0x8A, 0xA2, 0xDC, 0xFF,
        ]
        for round in 0..<20_000 {
            let bytes = (0..<8).map { _ in
                round % 2 == 0 ? telling[random.below(telling.count)] : UInt8(truncatingIfNeeded: random.next())
            }
            let word = bytes.withBytes { $0.loadEight(0) }
            for test in Self.tests where test.marks(word) != marked(bytes, by: test.isMarked) {
                Issue.record("\(test.name) marks of \(bytes)")
                return
            }
        }
    }

    @Test("64 bytes give a bit each, in their order, by words as by vectors")
    func mask() {
        var random = SplitMix64(seed: 4)
        for _ in 0..<2_000 {
            var bytes = [UInt8](repeating: 0x61, count: 64)
            for _ in 0..<random.below(5) { bytes[random.below(64)] = [0x22, 0x5C, 0x0A, 0xC3, 0x7F][random.below(5)] }
            bytes[random.below(64)] = UInt8(truncatingIfNeeded: random.next())
            let mask = bytes.withBytes { EightBytes.stringMask($0, 0) }
            #expect(mask == bytes.withBytes { EightBytes.stringMaskByWords($0, 0) })
            for (index, byte) in bytes.enumerated() {
                let isMarked = byte < 0x20 || byte >= 0x80 || byte == 0x22 || byte == 0x5C
                #expect((mask >> UInt64(index) & 1 == 1) == isMarked, "byte \(index) of \(bytes)")
            }
        }
    }

    @Test("64 bytes give a bit for each that is the one looked for, by words as by vectors, and are counted")
    func maskOfByte() {
        var random = SplitMix64(seed: 5)
        for _ in 0..<2_000 {
            let bytes = (0..<64).map { _ in [0x0A, 0x22, 0x0B, 0x8A, 0xA2, 0x00, 0x21, 0x23][random.below(8)] as UInt8 }
            for byte: UInt8 in [0x0A, 0x22] {
                let mask = bytes.withBytes { EightBytes.mask(of: byte, $0, 0) }
                #expect(mask == bytes.withBytes { EightBytes.maskByWords(of: byte, $0, 0) })
                for (index, found) in bytes.enumerated() { #expect((mask >> UInt64(index) & 1 == 1) == (found == byte)) }
                let three = bytes + bytes + bytes
                let range = random.below(100)..<192
                #expect(three.withBytes { EightBytes.count(of: byte, $0, range) } == three[range].count { $0 == byte })
            }
        }
    }

    @Test("plain text ends at the first byte that interrupts it", arguments: [0, 1, 7, 8, 9, 15, 63, 64, 70])
    func plainText(position: Int) {
        for interrupting: UInt8 in [0x22, 0x5C, 0x1F, 0x80, 0xFF] {
            var bytes = [UInt8](repeating: 0x7F, count: 75)
            bytes[position] = interrupting
            #expect(bytes.withBytes { EightBytes.endOfPlainText($0, from: 0) } == position)
        }
        #expect([UInt8](repeating: 0x20, count: position).withBytes { EightBytes.endOfPlainText($0, from: 0) } == position)
    }
}

@Suite("Passing over the text of a JSON string")
struct StringTextTests {
    private func end(_ text: [UInt8]) -> Int { text.withBytes { StringText.end($0, from: 0) } }

    @Test("goes on behind escapes and characters beyond ASCII, wherever they lie", arguments: 0..<140)
    func passes(before: Int) {
        let filling = [UInt8](repeating: 0x61, count: before)
        for passed in [#"\""#, #"\\"#, #"\/"#, #"\n"#, #"\u00e9"#, #"\uD83D\uDE00"#, "é", "漢字かな交じり文の長い列", "😀", "a"] {
            #expect(end(filling + Array((passed + "b\"c").utf8)) == before + passed.utf8.count + 1, "\(passed)")
        }
    }

    @Test("stops where the caller has to look", arguments: 0..<140)
    func stops(before: Int) {
        let filling = [UInt8](repeating: 0x61, count: before)
        let stopping: [[UInt8]] = [
            [0x22], [0x0A], [0x5C], Array(#"\x"#.utf8), Array(#"\u12"#.utf8), Array(#"\u12g4"#.utf8),
            [0x80], [0xC1, 0x81], [0xC3], [0xE2, 0x82], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
        ]
        for bytes in stopping {
            #expect(end(filling + bytes) == before, "\(bytes)")
            #expect(end(filling + Array("é".utf8) + bytes) == before + 2, "é and \(bytes)")
        }
        #expect(end(filling) == before)
    }

    @Test("takes all hexadecimal digits behind \\u, and nothing else", arguments: 0..<4)
    func hexadecimalDigits(position: Int) {
        for byte in UInt8.min...UInt8.max {
            var text = Array(#"\u12Af"#.utf8)
            text[2 + position] = byte
            let isDigit = JSONString.hexadecimalValue(byte) != nil
            #expect(end(text) == (isDigit ? 6 : 0), "\(byte)")
        }
    }

    @Test("a byte is found wherever it stands, and nowhere when it is missing", arguments: [0, 1, 7, 8, 9, 15, 16, 17, 30])
    func firstIndex(position: Int) {
        var bytes = [UInt8](repeating: 0x8D, count: 31)
        #expect(bytes.withBytes { EightBytes.firstIndex(of: 0x0D, in: $0, from: 0) } == 31)
        bytes[position] = 0x0D
        for start in 0...31 {
            let found = bytes.withBytes { EightBytes.firstIndex(of: 0x0D, in: $0, from: start) }
            #expect(found == (start <= position ? position : 31))
        }
    }
}
