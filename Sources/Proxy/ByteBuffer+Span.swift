import NIOCore

extension ByteBuffer {
    /// The readable bytes, for the duration of the call. A span taken directly from a class's property would outlive its
    /// access.
    func withSpan<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(readableBytesSpan)
    }
}
