// The end of an answer or event stream, in which timings are looked for: cut anywhere, it finds the same, and no number in it
// is a trap.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let whole = tail(bytes, pieces: [bytes.count]).timings()
    // Longer than what is kept, the pieces decide how much is: only that it does not trap counts then.
    let byteByByte = tail(bytes, pieces: [1]).timings()
    if count <= AnswerTail.kept { check(byteByByte == whole, "one byte at a time it finds something else") }
    _ = ErrorReply(status: count, code: "x", message: String(decoding: bytes, as: UTF8.self)).streamEvent(.anthropic)
    return 0
}

private func tail(_ bytes: [UInt8], pieces: [Int]) -> AnswerTail {
    var tail = AnswerTail()
    forEachPiece(of: bytes, pieces) { tail.append($0, 0..<$0.byteCount) }
    return tail
}
