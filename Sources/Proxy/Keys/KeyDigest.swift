import Crypto
import Wire

/// The SHA-256 of a client's key. The balancer keeps only digests: who reads its memory or its file learns no key.
///
/// A fast hash is enough, because keys are long and random: nobody can try them all.
package struct KeyDigest: Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// - Parameter key: the key itself.
    package init(of key: some Sequence<UInt8>) {
        var hash = SHA256()
        if key.withContiguousStorageIfAvailable({ hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }) == nil {
            hash.update(data: Array(key))
        }
        words = hash.finalize().withUnsafeBytes { bytes in
            func word(_ index: Int) -> UInt64 {
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
            }
            return (word(0), word(1), word(2), word(3))
        }
    }

    /// Nil unless the text is 64 hexadecimal digits.
    package init?(hexadecimal text: String) {
        guard text.utf8.count == 64 else { return nil }
        var words: [UInt64] = []
        for start in stride(from: 0, to: 64, by: 16) {
            let digits = text.utf8.dropFirst(start).prefix(16)
            guard digits.allSatisfy({ JSONString.hexadecimalValue($0) != nil }),
                let word = UInt64(String(decoding: digits, as: UTF8.self), radix: 16)
            else { return nil }
            words.append(word)
        }
        self.words = (words[0], words[1], words[2], words[3])
    }

    /// As 64 hexadecimal digits.
    package var hexadecimal: String {
        [words.0, words.1, words.2, words.3].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    /// The first eight bytes, for a table.
    var prefix: UInt64 { words.0 }
}

extension KeyDigest: Equatable {
    /// Takes the same time whatever the digests are.
    package static func == (one: KeyDigest, other: KeyDigest) -> Bool {
        (one.words.0 ^ other.words.0) | (one.words.1 ^ other.words.1) | (one.words.2 ^ other.words.2)
            | (one.words.3 ^ other.words.3) == 0
    }
}
