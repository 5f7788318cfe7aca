/// Stops the fuzzer with the current input when the condition does not hold.
func check(_ condition: Bool, _ message: @autoclosure () -> String) { precondition(condition, message()) }

/// Calls `body` with pieces of `bytes`, whose sizes are repeated until the end.
func forEachPiece(of bytes: [UInt8], _ sizes: [Int], _ body: (RawSpan) -> Void) {
    var start = 0
    var index = 0
    while start < bytes.count {
        let end = min(bytes.count, start + max(1, sizes[index % sizes.count]))
        body(bytes.span.bytes.extracting(start..<end))
        start = end
        index += 1
    }
}
