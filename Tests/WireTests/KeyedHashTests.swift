import Testing

@testable import Wire

@Suite("A keyed hash")
struct KeyedHashTests {
    @Test("is SipHash-2-4: the test vector of its authors for eight bytes")
    func vector() {
        let hash = KeyedHash(key: (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908))
        #expect(hash.hash(0x0706_0504_0302_0100) == 0x93F5_F579_9A93_2462)
    }

    @Test("is the same for the same number, and another one with another key")
    func keys() {
        var random = SystemRandomNumberGenerator()
        let (one, other) = (KeyedHash(using: &random), KeyedHash(using: &random))
        #expect(one.hash(5) == one.hash(5) && one.hash(5) != one.hash(6))
        #expect(one.hash(5) != other.hash(5))
    }
}
