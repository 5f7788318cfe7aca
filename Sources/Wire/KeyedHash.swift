/// A secret function of numbers: SipHash-2-4 of eight bytes (Aumasson and Bernstein, 2012).
///
/// Equal numbers have equal hashes, but without the key nobody can tell a number's hash, also after having seen those of others. So the
/// hash of a text that may be guessed can be shown as the keyed hash of it.
package struct KeyedHash: Sendable {
    private let start: (UInt64, UInt64, UInt64, UInt64)

    package init(key: (UInt64, UInt64)) {
        start = (
            key.0 ^ 0x736F_6D65_7073_6575, key.1 ^ 0x646F_7261_6E64_6F6D, key.0 ^ 0x6C79_6765_6E65_7261,
            key.1 ^ 0x7465_6462_7974_6573
        )
    }

    /// With a random key, which is nowhere else.
    package init(using random: inout some RandomNumberGenerator) { self.init(key: (random.next(), random.next())) }

    package func hash(_ number: UInt64) -> UInt64 {
        var state = start
        Self.absorb(number, &state)
        // The last block has the number of bytes in its highest byte.
        Self.absorb(8 << 56, &state)
        state.2 ^= 0xFF
        for _ in 0..<4 { Self.round(&state) }
        return state.0 ^ state.1 ^ state.2 ^ state.3
    }

    private static func absorb(_ block: UInt64, _ state: inout (UInt64, UInt64, UInt64, UInt64)) {
        state.3 ^= block
        round(&state)
        round(&state)
        state.0 ^= block
    }

    @inline(__always)
    private static func round(_ state: inout (UInt64, UInt64, UInt64, UInt64)) {
        state.0 &+= state.1
        state.1 = rotated(state.1, 13) ^ state.0
        state.0 = rotated(state.0, 32)
        state.2 &+= state.3
        state.3 = rotated(state.3, 16) ^ state.2
        state.0 &+= state.3
        state.3 = rotated(state.3, 21) ^ state.0
        state.2 &+= state.1
        state.1 = rotated(state.1, 17) ^ state.2
        state.2 = rotated(state.2, 32)
    }

    @inline(__always)
    private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 { word &<< bits | word &>> (64 &- bits) }
}
