import NIOCore

extension ByteBuffer {
    /// The readable bytes, for the time of the call. A span taken directly from a class's property would outlive its access.
    func withSpan<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(readableBytesSpan)
    }
}

extension RawSpan {
    /// Whether these bytes are that text.
    func isEqual(to text: String) -> Bool {
        var text = text
        return withUnsafeBytes { bytes in
            text.withUTF8 { other in
                guard bytes.count == other.count else { return false }
                for index in 0..<bytes.count where bytes[index] != other[index] { return false }
                return true
            }
        }
    }
}
