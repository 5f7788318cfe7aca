import Testing

@testable import Wire

@Suite("The hash of a prompt")
struct PromptHashTests {
    private func hash(_ bytes: [UInt8], pieces: [Int] = []) -> (digest: UInt64, links: [PromptHash.Link], length: Int) {
        var hash = PromptHash()
        var links = ScratchList<PromptHash.Link>()
        var start = 0
        bytes.withBytes { bytes in
            for end in pieces + [bytes.count] {
                hash.absorb(bytes, start..<end, &links)
                start = end
            }
        }
        return (hash.digest, Array(links.elements), hash.length)
    }

    // The expected values come from another implementation, in Python.
    @Test("is the same on every processor and in every build")
    func known() {
        #expect(hash([]).digest == 0xB956305F04A173D7)
        #expect(hash(Array("hello".utf8)).digest == 0x1FE1D03BB478C385)
        let long = (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let outcome = hash(long)
        #expect(outcome.digest == 0x8A9109A59530939B && outcome.length == 3000)
        #expect(
            outcome.links.map(\.end) == [1024, 2048]
                && outcome.links.map(\.hash) == [hash(Array(long[..<1024])).digest, hash(Array(long[..<2048])).digest])
    }

    @Test("does not depend on the slices, and differs when any byte does")
    func slices() {
        var random = SplitMix64(seed: 21)
        for length in 0..<80 {
            let bytes = (0..<length).map { _ in UInt8(random.below(256)) }
            let whole = hash(bytes).digest
            for _ in 0..<20 {
                let cuts = (0..<random.below(5)).map { _ in random.below(length + 1) }.sorted()
                #expect(hash(bytes, pieces: cuts).digest == whole)
            }
            for index in bytes.indices {
                var other = bytes
                other[index] ^= 1 << UInt8(random.below(8))
                #expect(hash(other).digest != whole)
            }
            #expect(hash(bytes + [0]).digest != whole)
        }
    }

    @Test("up to sixteen bytes are read anywhere in a piece, without their neighbours")
    func loads() {
        for total in 0..<40 {
            let bytes = (0..<total).map { UInt8($0 + 1) }
            bytes.withBytes { bytes in
                for start in 0...total {
                    for count in 0...min(16, total - start) {
                        var expected: UInt128 = 0
                        for offset in (0..<count).reversed() { expected = expected << 8 | UInt128(bytes[start + offset]) }
                        #expect(bytes.loadUpToSixteen(start, count) == expected)
                    }
                }
            }
        }
    }

    @Test("names are compared as a whole, and a backslash is found anywhere in them")
    func names() {
        let name = Array("abcdefghijklmnopqrstuvwxyz".utf8)
        let literals: [StaticString] = [
            "", "a", "abc", "abcd", "abcdefg", "abcdefgh", "abcdefghi", "abcdefghijklmnop", "abcdefghijklmnopq",
        ]
        for literal in literals {
            let count = literal.utf8CodeUnitCount
            for length in 0..<name.count { #expect(Array(name[..<length]).withBytes { $0.equals(literal) } == (length == count)) }
            for index in 0..<count {
                var other = Array(name[..<count])
                other[index] = UInt8(ascii: "\\")
                #expect(other.withBytes { !$0.equals(literal) && $0.hasEscapes })
            }
            #expect(Array(name[..<count]).withBytes { !$0.hasEscapes })
        }
    }

    @Test("a list for one request after another holds what was put in since it was emptied")
    func scratch() {
        var list = ScratchList<Int>()
        for value in 0..<5 { list.append(value) }
        list.keep { $0 % 2 == 0 }
        #expect(Array(list.elements) == [0, 2, 4] && list.last == 4)
        list.removeLast()
        let copy = list
        list.removeAll()
        #expect(list.isEmpty && list.last == nil && list.capacity > 0)
        list.append(9)
        #expect(Array(list.elements) == [9] && Array(copy.elements) == [0, 2])
        list.removeAll(keeping: 4)
        #expect(list.capacity == 0)
        list.removeLast()
        #expect(list.isEmpty)
    }
}
