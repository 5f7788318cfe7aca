/// Generates `X-Request-Id`s: short, unlikely to collide, not secret. Uses SplitMix64, because the system's generator costs a
/// call for each ID.
struct RequestIDs {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// 14 hexadecimal digits: short enough to be stored inline, without a heap allocation.
    mutating func next() -> String {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return String(unsafeUninitializedCapacity: 14) { bytes in
            for index in 0..<14 {
                let digit = UInt8(truncatingIfNeeded: mixed & 15)
                bytes[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                mixed >>= 4
            }
            return 14
        }
    }
}
