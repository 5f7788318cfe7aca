/// A small random generator: the same seed gives the same numbers, so that a failure can be run again.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0 ..< `bound`.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// Random bytes, or one of the samples with a few bytes changed, taken out, put in, doubled or cut off.
    mutating func bytes(like samples: [[UInt8]], alphabet: [UInt8]) -> [UInt8] {
        if below(10) == 0 { return (0..<below(60)).map { _ in UInt8(below(256)) } }
        if below(5) == 0 { return (0..<below(40)).map { _ in alphabet[below(alphabet.count)] } }
        var bytes = samples[below(samples.count)]
        for _ in 0..<(1 + below(4)) where !bytes.isEmpty {
            let index = below(bytes.count)
            let byte = below(4) == 0 ? UInt8(below(256)) : alphabet[below(alphabet.count)]
            switch below(6) {
            case 0: bytes[index] = byte
            case 1: bytes.remove(at: index)
            case 2: bytes.insert(byte, at: index)
            case 3: bytes[index] ^= 1 << UInt8(below(8))
            case 4: bytes.insert(contentsOf: bytes[index..<min(bytes.count, index + 1 + below(12))], at: below(bytes.count))
            default: bytes.removeSubrange(index..<min(bytes.count, index + 1 + below(8)))
            }
        }
        return bytes
    }
}
